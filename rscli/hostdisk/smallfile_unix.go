//go:build unix

package hostdisk

import (
	"os"
	"syscall"
)

// readSmall reads what one read returns of the file, which for a sysfs
// attribute is all of it. It goes past os.File because that costs twice the
// system calls, and a host may have thousands of disks. O_NONBLOCK keeps a
// FIFO in a strange tree from holding the caller for ever.
func readSmall(path string, buf []byte) (int, error) {
	fd, err := retry(func() (int, error) {
		return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	})
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	n, err := retry(func() (int, error) { return syscall.Read(fd, buf) })
	syscall.Close(fd)
	if err != nil {
		return 0, &os.PathError{Op: "read", Path: path, Err: err}
	}
	return n, nil
}

func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != syscall.EINTR {
			return n, err
		}
	}
}
