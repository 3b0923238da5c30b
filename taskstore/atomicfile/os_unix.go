//go:build !windows

package atomicfile

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

type folder struct{ *os.File }

func openFolder(dir string) (Folder, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return folder{f}, nil
}

// Sync takes the answer of a file system that has no such thing as done: there
// is nothing more to ask of it. AIX syncs no file that is not open for writing,
// which a folder never is.
func (f folder) Sync() error {
	err := f.File.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	if runtime.GOOS == "aix" && errors.Is(err, syscall.EBADF) {
		return nil
	}
	return err
}

// IsFull reports whether err says that there is no room left, on the disk or in a
// quota.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
