package atomicfile

import (
	"errors"
	"syscall"
)

// Windows cannot sync a folder; NTFS journals its names.
func syncFolder(string) error { return nil }

// Numbers of winerror.h.
const (
	errorHandleDiskFull = syscall.Errno(39)
	errorDiskFull       = syscall.Errno(112)
)

func isFull(err error) bool {
	return errors.Is(err, errorHandleDiskFull) || errors.Is(err, errorDiskFull)
}
