package main

import (
	"io"
	"maps"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// device is a disk that writes down in a log what changes it. It has a cache as
// real ones have: what was not flushed since may be lost with the power.
type device struct {
	size  int64
	log   *writeLog
	mu    sync.Mutex
	store store
}

func (d *device) read(p []byte, off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.store.ReadAt(p, off)
	return err
}

func (d *device) write(p []byte, off int64, fua bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.store.WriteAt(p, off); err != nil {
		return err
	}
	return d.log.add(entry{kind: entryWrite, fua: fua, off: off, n: int64(len(p))}, p)
}

// erase is for entryZero and entryTrim.
func (d *device) erase(kind entryKind, off, n int64, fua bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.store.zero(off, n); err != nil {
		return err
	}
	return d.log.add(entry{kind: kind, fua: fua, off: off, n: n}, nil)
}

func (d *device) flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.add(entry{kind: entryFlush}, nil)
}

// store is the content of a disk.
type store interface {
	io.ReaderAt
	io.WriterAt
	// zero makes a range zeros.
	zero(off, n int64) error
}

// fileStore is a disk in a sparse file.
type fileStore struct{ *os.File }

func newFileStore(path string, size int64) (fileStore, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fileStore{}, err
	}
	return fileStore{f}, f.Truncate(size)
}

func (f fileStore) zero(off, n int64) error {
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	return unix.Fallocate(int(f.Fd()), mode, off, n)
}

// overlay is a disk whose changes stay in memory, above one that does not
// change.
type overlay struct {
	base  io.ReaderAt
	pages map[int64][]byte // by their number; never changed in place
}

func newOverlay(base io.ReaderAt) *overlay {
	return &overlay{base: base, pages: map[int64][]byte{}}
}

// clone returns a disk like o that changes on its own.
func (o *overlay) clone() *overlay {
	return &overlay{base: o.base, pages: maps.Clone(o.pages)}
}

// eachPage calls f for the parts of [off, off+n) that are in one page each.
func eachPage(off, n int64, f func(page, from, to int64) error) error {
	for n > 0 {
		from := off % pageSize
		part := min(n, pageSize-from)
		if err := f(off/pageSize, from, from+part); err != nil {
			return err
		}
		off, n = off+part, n-part
	}
	return nil
}

func (o *overlay) ReadAt(p []byte, off int64) (int, error) {
	if n, err := o.base.ReadAt(p, off); err != nil {
		return n, err
	}
	eachPage(off, int64(len(p)), func(page, from, to int64) error {
		if own, ok := o.pages[page]; ok {
			copy(p[page*pageSize+from-off:], own[from:to])
		}
		return nil
	})
	return len(p), nil
}

func (o *overlay) WriteAt(p []byte, off int64) (int, error) {
	err := eachPage(off, int64(len(p)), func(page, from, to int64) error {
		fresh := make([]byte, pageSize)
		if to-from < pageSize {
			if _, err := o.ReadAt(fresh, page*pageSize); err != nil {
				return err
			}
		}
		copy(fresh[from:to], p[page*pageSize+from-off:])
		o.pages[page] = fresh
		return nil
	})
	return len(p), err
}

func (o *overlay) zero(off, n int64) error {
	return eachPage(off, n, func(page, from, to int64) error {
		if to-from == pageSize {
			o.pages[page] = zeroPage
			return nil
		}
		_, err := o.WriteAt(zeroPage[:to-from], page*pageSize+from)
		return err
	})
}

// saveTo writes the whole disk to a sparse file.
func (o *overlay) saveTo(path string, size int64) error {
	f, err := newFileStore(path, size)
	if err != nil {
		return err
	}
	defer f.Close()
	p := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(p)) {
		p = p[:min(int64(len(p)), size-off)]
		if _, err := o.ReadAt(p, off); err != nil {
			return err
		}
		err := eachPage(off, int64(len(p)), func(page, from, to int64) error {
			part := p[page*pageSize+from-off:][:to-from]
			if string(part) == string(zeroPage[:len(part)]) {
				return nil
			}
			_, err := f.WriteAt(part, page*pageSize+from)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
