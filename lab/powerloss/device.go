package main

import "sync"

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
