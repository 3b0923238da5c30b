//go:build unix && !aix && !solaris

package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Try takes the exclusive lock of f, which lasts until f is closed. It does not
// wait. Where the file system has no locks the error has
// errors.ErrUnsupported in its chain.
func Try(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrLocked
	case errors.Is(err, unix.ENOLCK):
		return errors.Join(err, errors.ErrUnsupported)
	}
	return err
}
