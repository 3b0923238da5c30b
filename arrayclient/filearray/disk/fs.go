package disk

import (
	"errors"
	"io"
	"io/fs"
)

// FS is the folder that an array lives in. The engine touches storage through
// it alone, so that tests can crash it at any write. Names are relative and
// use '/'. Errors wrap those of package io/fs.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create makes a file that MUST NOT exist yet.
	Create(name string) (File, error)
	Remove(name string) error
	// List returns the names of the files in dir, sorted.
	List(dir string) ([]string, error)
	// Mkdir makes dir; one that exists is fine.
	Mkdir(dir string) error
	// SyncDir makes the creations and removals in dir durable. An error that
	// wraps ErrUntried comes from before anything was synced; after any other
	// nothing is known about what is on the disk.
	SyncDir(dir string) error
	// CopiesOnWrite reports whether writing over what is there takes new space,
	// as on btrfs and ZFS.
	CopiesOnWrite() bool
	// Space returns the size of the file system underneath and how much of
	// it is free, in bytes; zeros where that is not known.
	Space() (capacity, free int64)
}

// ErrUntried is in the chain of an error of SyncDir that is no failed sync, as
// when there is no descriptor left to open the folder: the next call is as good
// as the first.
var ErrUntried = errors.New("the folder cannot be opened")

// File is an open file of an FS. Reads and writes may run concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes the data and the size durable. After an error nothing is
	// known about what is on the disk, and calling it again proves nothing.
	Sync() error
	// WriteOut begins to bring [off, off+n) to the disk, if it can, so that a
	// later Sync has less to do. It promises nothing.
	WriteOut(off, n int64)
	// ReadAhead begins to read [off, off+n) from the disk, if it can, so that a
	// later ReadAt need not wait for it. It promises nothing.
	ReadAhead(off, n int64)
	// Punch makes n bytes from off read as zeros and frees them if it can.
	Punch(off, n int64) error
	// Clone makes [off, off+n) share the blocks of src, an open file of the same
	// FS, until either is written to. The error is errors.ErrUnsupported where
	// the file system has no such thing; after others the range is undefined.
	Clone(src File, off, n int64) error
	// NextData returns the first extent in [off, end) that is not a hole;
	// start is end where all of it is one.
	NextData(off, end int64) (start, stop int64, err error)
	// Allocate makes the first n bytes occupy storage, whatever they read as.
	Allocate(n int64) error
	// Allocated returns how many bytes of storage the file occupies.
	Allocated() (int64, error)
}

// IsNotExist reports whether err says that there is no such file.
func IsNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// CreateAnew creates a file in place of one that nothing counts on.
func CreateAnew(fsys FS, name string) (File, error) {
	f, err := fsys.Create(name)
	if errors.Is(err, fs.ErrExist) {
		if err = fsys.Remove(name); err == nil {
			f, err = fsys.Create(name)
		}
	}
	return f, err
}

// ReadData reads n bytes of f from off, but for a hole at their end.
func ReadData(f File, off, n int64) ([]byte, error) {
	end := off
	for at := off; at < off+n; {
		start, stop, err := f.NextData(at, off+n)
		if err != nil {
			return nil, err
		}
		if start < stop {
			end = stop
		}
		at = max(stop, at+1)
	}
	b := make([]byte, end-off)
	if _, err := f.ReadAt(b, off); err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}

func createOrOpen(fsys FS, name string) (File, error) {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = fsys.Create(name); err != nil {
			return nil, err
		}
		if err = fsys.SyncDir("."); err != nil {
			f.Close()
		}
	}
	return f, err
}
