//go:build !windows

package atomicfile

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// syncFolder takes the answer of a file system that has no such thing as
// done: there is nothing more to ask of it. AIX syncs no file that is not
// open for writing, which a folder never is.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	if runtime.GOOS == "aix" && errors.Is(err, syscall.EBADF) {
		return nil
	}
	return err
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
