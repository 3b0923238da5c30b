package api

import (
	"errors"
	"os"
	"syscall"
)

// Values of lseek(2)'s whence.
const (
	seekData = 3
	seekHole = 4
)

// nextData returns the first range of f at or after off that may hold data;
// an empty one at size when there is none before size. It moves the file's
// offset.
func nextData(f *os.File, off, size int64) (start, end int64) {
	start, err := f.Seek(off, seekData)
	switch {
	case errors.Is(err, syscall.ENXIO): // nothing but a hole to the end
		return size, size
	case err != nil: // the file system cannot tell
		return off, size
	}
	end, err = f.Seek(start, seekHole)
	if err != nil {
		return start, size
	}
	return min(start, size), min(end, size)
}
