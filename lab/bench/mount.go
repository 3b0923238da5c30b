package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// loopSize is the size of the sparse file below a mounted file system, in
// bytes.
const loopSize = 8 << 30

// imageSuffix makes the name of that file from the folder's.
const imageSuffix = ".image"

// makers make file systems that are mounted to be measured on.
var makers = map[string]tool{"xfs": mkXFS, "btrfs": mkBtrfs}

// mounted returns a folder on a new file system of the kind, which close
// unmounts: in a file of the lab's folder, by way of a loop device. Where that
// is not possible, missing says why.
func (l *lab) mounted(ctx context.Context, kind string) (dir, missing string, err error) {
	dir = filepath.Join(l.disk, kind)
	if _, err := os.Stat(dir); err == nil {
		return dir, "", nil // mounted for another section
	}
	mkfs := makers[kind]
	switch missing := mkfs.notMeasured(); {
	case missing != "":
		return "", missing, nil
	case os.Geteuid() != 0:
		return "", "not measured: mounting " + kind + " needs root", nil
	}
	file := dir + imageSuffix
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
// disk and the disks have nothing to do any more, not even to discard what was
// removed, so that the next one to be measured does not pay for it.
func (l *lab) settle(ctx context.Context, dir string) error {
	if _, err := l.output(l.command(ctx, nil, "sync", "-f", dir)); err != nil {
		return err
	}
	const pause, idle, patience = 250 * time.Millisecond, 3, 30 * time.Second
	before := diskRequests()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		now := diskRequests()
		if now-before <= idle {
			return nil
		}
		before = now
	}
	l.logf("  the disks did not come to rest")
	return nil
}

// diskRequests returns how many requests all disks have done and have under
// way, 0 where the system does not tell.
func diskRequests() (sum int64) {
	data, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		// Reads, writes, under way and discards; iostats.rst of the kernel.
		f := strings.Fields(line)
		for _, i := range []int{3, 7, 11, 14} {
			if i < len(f) {
				n, _ := strconv.ParseInt(f[i], 10, 64)
				sum += n
			}
		}
	}
	return sum
}

// chill drops the file, which has been written to the disk, from the page
// cache.
func (l *lab) chill(ctx context.Context, file string) error {
	_, err := l.output(l.command(ctx, nil, "dd", "if="+file, "iflag=nocache", "count=0",
		"status=none"))
	return err
}

// warm reads the file into the page cache.
func (l *lab) warm(ctx context.Context, file string) error {
	_, err := l.timed(l.command(ctx, nil, "cat", file))
	return err
}
