package filearray

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/segments"
	"copyservices/arrayclient/filearray/writelog"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/lockorder"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// volume is a volume as hosts use it.
type volume struct {
	data   *segments.Data
	log    *writelog.Log
	id     uint16
	uid    uint64
	serial arrayclient.Serial
	array  *Array

	// gate is held for reading by every I/O, for a piece of it (io.go), and for
	// writing by whoever changes the volume's relationships or files. Nobody
	// waits for a second gate while holding one for reading.
	gate lockorder.RWMutex[lockorder.Gate]
	// files is held for reading by whoever syncs the volume's files without
	// the gate, so that nobody waits for the gate as long as a disk takes, and
	// for writing while the files are replaced or closed.
	files  lockorder.RWMutex[lockorder.Files]
	frozen atomic.Pointer[freeze]
	// sources are the relationships whose source this volume is, target is the
	// one whose target it is, or nil. They change while Array.mu and the gates
	// of both volumes are held; who holds either of them may read.
	sources []*relationship
	target  *relationship

	tracks tracksLock // of this volume as a source
	// length is the size as hosts are told it, and space the storage that the
	// files occupied when they were last looked at: both without a lock.
	length, space atomic.Int64

	absent   bool // its files could not be opened; never changes
	opens    int  // guarded by Array.mu
	deleting bool // guarded by Array.mu; nobody opens it any more
}

// volumesOf returns the volumes of rels in the order of their ids.
func volumesOf(rels []*relationship) []*volume {
	var list []*volume
	for _, r := range rels {
		list = append(list, r.source, r.target)
	}
	slices.SortFunc(list, func(a, b *volume) int { return int(a.id) - int(b.id) })
	return slices.Compact(list)
}

// lockGates locks the gates of all volumes of rels, in order, and returns what
// unlocks them. The caller holds Array.acts.
func lockGates(rels []*relationship) (unlock func()) {
	list := volumesOf(rels)
	for _, v := range list {
		v.gate.Lock()
	}
	return func() {
		for _, v := range list {
			v.gate.Unlock()
		}
	}
}

// tracksLock locks tracks of a volume while they are copied.
type tracksLock struct {
	bitmap.RangeLock
	order lockorder.Ranges[lockorder.Tracks]
}

func (l *tracksLock) Lock(first, n int64) {
	l.order.Take()
	l.RangeLock.Lock(first, n)
}

func (l *tracksLock) Unlock(first, n int64) {
	l.RangeLock.Unlock(first, n)
	l.order.Release()
}

// handle is an open volume.
type handle struct {
	*volume
	closed sync.Once
}

func (h *handle) Close() error {
	h.closed.Do(func() {
		h.array.mu.Lock()
		h.opens--
		h.array.mu.Unlock()
	})
	return nil
}

// Size returns the size in bytes, which grows when the volume is expanded.
func (v *volume) Size() int64 { return v.length.Load() }

// setFiles gives the volume the files of its size. Nobody else uses it, or the
// gate and files are held for writing.
func (v *volume) setFiles(size int64, files []*segments.File) {
	v.data.SetFiles(size, files)
	v.length.Store(size)
}

// allocatedSoon returns how much storage the files occupy, or, while they are
// being replaced, did before.
func (v *volume) allocatedSoon() (int64, error) {
	if !v.files.TryRLock() {
		return v.space.Load(), nil
	}
	defer v.files.RUnlock()
	n, err := v.data.Allocated()
	v.space.Store(n)
	return n, err
}

// closeFiles closes the files of a volume that is deleted. Who syncs it after
// that has nothing to do.
func (v *volume) closeFiles() error {
	v.files.Lock()
	defer v.files.Unlock()
	return v.data.Drop()
}

func (v *volume) check(off, n int64) error {
	if off < 0 || n < 0 || off > v.data.Size-n {
		return fault.New(fault.Usage, "volume %s: %d bytes at offset %d are beyond its end at %d: %w",
			v.serial, n, off, v.data.Size, io.ErrUnexpectedEOF)
	}
	return nil
}

// roomFor returns the error for a write of n bytes to v that the reserve has no
// room for, nil when it may be tried. The gate is held.
func (v *volume) roomFor(off, n int64) error {
	r := &v.array.spare
	if r.Full() || !r.CopiesOnWrite && v.data.Filled(off, n) {
		return nil
	}
	return disk.FullError(syscall.ENOSPC)
}

// giveUp makes v take no I/O because of what is wrong with one of its files. The
// files stay as they are.
func (v *volume) giveUp(cause error) {
	cause = lostVolume(v.serial, cause)
	v.data.Fail(cause)
	v.array.log.Error("volume failed", "volume", string(v.serial), "error", cause,
		"hint", fault.HintOf(cause))
}
