//go:build !linux

package disk

import "errors"

// Sync flushes everything: the fdatasync of Linux is not everywhere.
func (f osFile) Sync() error { return f.File.Sync() }

func (f osFile) WriteOut(int64, int64) {}

func (f osFile) ReadAhead(int64, int64) {}

func (f osFile) Allocate(n int64) error { return f.fill(n) }

func (fsys osFS) CopiesOnWrite() bool { return false }

func (f osFile) Punch(off, n int64) error { return f.writeZeros(off, n) }

// NextData knows no holes.
func (f osFile) NextData(off, end int64) (start, stop int64, err error) { return off, end, nil }

func (f osFile) Clone(File, int64, int64) error { return errors.ErrUnsupported }

func (f osFile) Allocated() (int64, error) { return f.Size() }

// SyncDir does nothing: what is left of the systems either cannot sync a
// folder (Windows) or was not tried.
func (fsys osFS) SyncDir(string) error { return nil }

func (fsys osFS) Space() (capacity, free int64) { return 0, 0 }
