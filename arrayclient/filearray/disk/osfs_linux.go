package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func (f osFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return pathError("fdatasync", f, err)
		}
	}
}

// WriteOut has no error to report: one of the disk shows in the next Sync.
func (f osFile) WriteOut(off, n int64) {
	unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}

// ReadAhead asks for little at a time: of more than the device's read-ahead,
// by default 128 KiB, Linux leaves out the rest.
func (f osFile) ReadAhead(off, n int64) {
	const most = 128 << 10
	for ; n > 0; off, n = off+most, n-most {
		unix.Fadvise(int(f.Fd()), off, min(n, most), unix.FADV_WILLNEED)
	}
}

func (f osFile) Punch(off, n int64) error {
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	err := unix.Fallocate(int(f.Fd()), mode, off, n)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return f.writeZeros(off, n)
	}
	return pathError("punch", f, err)
}

func (f osFile) Allocate(n int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, n)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return f.fill(n)
	}
	return pathError("allocate", f, err)
}

func (f osFile) Clone(src File, off, n int64) error {
	from, ok := src.(osFile)
	if !ok {
		return errors.ErrUnsupported
	}
	err := unix.IoctlFileCloneRange(int(f.Fd()), &unix.FileCloneRange{
		Src_fd: int64(from.Fd()), Src_offset: uint64(off), Src_length: uint64(n), Dest_offset: uint64(off),
	})
	for _, cannot := range []error{unix.EOPNOTSUPP, unix.ENOTTY, unix.EINVAL, unix.EXDEV} {
		if errors.Is(err, cannot) {
			return errors.ErrUnsupported
		}
	}
	return pathError("clone", f, err)
}

func (f osFile) NextData(off, end int64) (start, stop int64, err error) {
	start, err = unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // no data from off on
		return end, end, nil
	case errors.Is(err, unix.EINVAL): // a file system without the notion
		return off, end, nil
	case err != nil:
		return 0, 0, pathError("seek data", f, err)
	case start >= end:
		return end, end, nil
	}
	stop, err = unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
	return start, min(stop, end), pathError("seek hole", f, err)
}

func (f osFile) Allocated() (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return st.Blocks * 512, pathError("stat", f, err)
}

func (fsys osFS) SyncDir(dir string) error {
	d, err := os.Open(fsys.path(dir))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUntried, err)
	}
	defer d.Close()
	return d.Sync()
}

// The file systems that write nothing in place, from linux/magic.h and their
// sources.
const (
	magicBtrfs    = 0x9123683e
	magicZFS      = 0x2fc12fc1
	magicBcachefs = 0xca451a4e
)

func (fsys osFS) CopiesOnWrite() bool {
	var st unix.Statfs_t
	if unix.Statfs(string(fsys), &st) != nil {
		return false
	}
	switch uint32(st.Type) {
	case magicBtrfs, magicZFS, magicBcachefs:
		return true
	}
	return false
}

func (fsys osFS) Space() (capacity, free int64) {
	var st unix.Statfs_t
	if unix.Statfs(string(fsys), &st) != nil {
		return 0, 0
	}
	// Bsize is of 32 bits on s390x.
	return int64(st.Blocks) * int64(st.Bsize), int64(st.Bavail) * int64(st.Bsize)
}

// pathError names the file in an error of a bare system call.
func pathError(op string, f osFile, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: f.Name(), Err: err}
}
