package atomicfile

import (
	"errors"
	"syscall"
)

// folder does nothing: Windows cannot sync one; NTFS journals its names.
type folder struct{}

func openFolder(string) (Folder, error) { return folder{}, nil }

func (folder) Sync() error  { return nil }
func (folder) Close() error { return nil }

// Numbers of winerror.h.
const (
	errorHandleDiskFull = syscall.Errno(39)
	errorDiskFull       = syscall.Errno(112)
)

// IsFull reports whether err says that there is no room left, on the disk or in a
// quota.
func IsFull(err error) bool {
	return errors.Is(err, errorHandleDiskFull) || errors.Is(err, errorDiskFull)
}
