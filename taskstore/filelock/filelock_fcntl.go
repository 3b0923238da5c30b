//go:build aix || solaris

package filelock

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// Try takes the exclusive lock of f, which must be open for writing and lasts
// until this process closes the file, through f or any other descriptor. It does
// not wait, and keeps out other processes only. Where the file system has no
// locks the error has errors.ErrUnsupported in its chain.
func Try(f *os.File) error {
	whole := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &whole)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES):
		return ErrLocked
	case errors.Is(err, syscall.ENOLCK):
		return errors.Join(err, errors.ErrUnsupported)
	}
	return err
}
