package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// loopSize is the size of the sparse file below a mounted file system, in
// bytes.
const loopSize = 8 << 30

// mounted returns a folder on a new file system of the kind, which close
// unmounts: in a file of the lab's folder, by way of a loop device. Where that
// is not possible, missing says why.
func (l *lab) mounted(ctx context.Context, kind string, mkfs tool) (dir, missing string, err error) {
	dir = filepath.Join(l.disk, kind)
	if _, err := os.Stat(dir); err == nil {
		return dir, "", nil // by another section
	}
	switch missing := mkfs.notMeasured(); {
	case missing != "":
		return "", missing, nil
	case os.Geteuid() != 0:
		return "", "not measured: mounting " + kind + " needs root", nil
	}
	file := dir + ".image"
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, loopSize)); err != nil {
		return "", "", err
	}
	if _, err := l.output(l.command(ctx, nil, mkfs.name, "-q", file)); err != nil {
		return "", "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", "", err
	}
	_, err = l.output(l.command(ctx, nil, "mount", "-t", kind, "-o", "loop", file, dir))
	if err != nil {
		return "", fmt.Sprintf("not measured: %v", err), os.Remove(dir)
	}
	l.mounts = append(l.mounts, dir)
	return dir, "", nil
}

// unmount takes down what mounted has set up, also after an interruption.
func (l *lab) unmount() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	for _, dir := range l.mounts {
		_, err := l.output(l.command(ctx, nil, "umount", dir))
		errs = append(errs, err)
	}
	l.mounts = nil
	return errors.Join(errs...)
}

// settle waits until all that was written to the file system of dir is on its
// disk, so that the next one to be measured does not pay for it.
func (l *lab) settle(ctx context.Context, dir string) error {
	_, err := l.output(l.command(ctx, nil, "sync", "-f", dir))
	return err
}

// chill drops the file, which has been written to the disk, from the page
// cache.
func (l *lab) chill(ctx context.Context, file string) error {
	_, err := l.output(l.command(ctx, nil, "dd", "if="+file, "iflag=nocache", "count=0",
		"status=none"))
	return err
}
