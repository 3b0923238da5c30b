package filearray

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/lockorder"
	"copyservices/arrayclient/filearray/segments"
	"copyservices/arrayclient/filearray/writelog"
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
	r := &v.array.store.Spare
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

// FreezeTimeout is how long the writes to the sources of a consistency group
// wait for the Consistency Created task.
const FreezeTimeout = 120 * time.Second

// freeze holds the writes to one source. It does not outlive the process: the
// hosts' requests that wait end with it.
type freeze struct {
	released chan struct{}
	timer    *time.Timer
	// early is what released the writes before the group was known to be complete;
	// nil for nothing. It is set before released is closed.
	early atomic.Pointer[string]
}

// What releases writes early.
var (
	byTimeout = "its timeout"
	byEnd     = "the end of the server"
)

// active reports whether writes wait. It may be called on nil.
func (f *freeze) active() bool {
	if f == nil {
		return false
	}
	select {
	case <-f.released:
		return false
	default:
		return true
	}
}

// releasedEarly returns what released the writes before the group was known to be
// complete, empty for nothing. It may be called on nil.
func (f *freeze) releasedEarly() string {
	if f == nil || f.early.Load() == nil {
		return ""
	}
	return *f.early.Load()
}

// freezeWrites holds the writes to v from the moment at which its gate is next
// locked, and returns what holds them: the freeze of an earlier establish stays as it
// is. In an array that is about to end it is released at once. Array.acts is held.
func (v *volume) freezeWrites(timeout time.Duration) *freeze {
	if f := v.frozen.Load(); f != nil {
		return f
	}
	f := &freeze{released: make(chan struct{})}
	f.timer = time.AfterFunc(timeout, func() {
		if v.thawEarly(f, &byTimeout) {
			v.array.log.Error("freeze released by its timeout", "volume", string(v.serial))
		}
	})
	v.frozen.Store(f)
	// Thaw says that the array ends before it looks for freezes: one of the two sees
	// the other.
	if v.array.ending.Load() {
		v.thawEarly(f, &byEnd)
	}
	return f
}

// thawEarly is thaw before the group is known to be complete.
func (v *volume) thawEarly(f *freeze, by *string) bool {
	if f == nil {
		return false
	}
	f.early.CompareAndSwap(nil, by)
	return v.thaw(f)
}

// thaw releases the writes that f holds, unless they are released already.
func (v *volume) thaw(f *freeze) bool {
	if f == nil || !v.frozen.CompareAndSwap(f, nil) {
		return false
	}
	f.timer.Stop()
	close(f.released)
	return true
}

// thawIfUnneeded releases the writes when no relationship needs them held.
// Array.acts is held.
func (v *volume) thawIfUnneeded() {
	f := v.frozen.Load()
	for _, r := range v.sources {
		if f != nil && r.freeze == f {
			return
		}
	}
	v.thaw(f)
}

// enter takes the gate for a write, once no freeze holds it.
func (v *volume) enter() {
	for {
		v.gate.RLock()
		f := v.frozen.Load()
		if f == nil {
			return
		}
		v.gate.RUnlock()
		<-f.released
	}
}

// ConsistencyCreated releases the writes to the sources of pairs that were
// established with freeze; see arrayclient.Freezer. It waits for no act: writes
// wait for it.
func (a *Array) ConsistencyCreated(_ context.Context, pairs []arrayclient.Pair) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if err := a.errClosed(); err != nil {
		return err
	}
	rels, err := a.lookupRelationships(pairs)
	if err != nil {
		return err
	}
	for _, r := range rels {
		if r.freeze == nil {
			return consistent(rels)
		}
	}
	err = consistent(rels)
	for _, r := range rels {
		r.source.thaw(r.freeze)
	}
	return err
}

// consistent returns why the images of rels are not those of one instant, or nil.
func consistent(rels []*relationship) error {
	var late error
	for _, r := range rels {
		if r.freeze == nil {
			return fault.New(fault.Refused, "relationship %s was not established with freeze, "+
				"or the server was started again since", r.pair())
		}
		if by := r.freeze.releasedEarly(); by != "" {
			late = fault.New(fault.Refused, "the freeze of %s was released by %s before: "+
				"the images may not be those of one instant", r.source.serial, by).
				WithHint("withdraw the relationships and establish them again")
		}
	}
	return late
}

// Thaw releases all writes that freezes hold, and those that later ones would: see
// arrayclient.Thawer.
func (a *Array) Thaw() {
	a.ending.Store(true)
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, v := range a.volumes {
		if v.thawEarly(v.frozen.Load(), &byEnd) {
			a.log.Warn("freeze released because the array closes", "volume", string(v.serial))
		}
	}
}
