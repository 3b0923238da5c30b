package filearray

import (
	"errors"
	"runtime"
	"syscall"
)

// isFull reports whether err says that there is no room left, on the disk or in a
// quota.
func isFull(err error) bool {
	var number syscall.Errno
	if runtime.GOOS == "windows" && errors.As(err, &number) {
		return number == 39 || number == 112 // of winerror.h
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
