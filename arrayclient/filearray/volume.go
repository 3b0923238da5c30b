package filearray

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// volume is a volume as hosts use it.
type volume struct {
	data
	stage  stage
	id     uint16
	uid    uint64
	serial arrayclient.Serial
	array  *Array

	// gate is held for reading by every I/O and for writing by whoever
	// changes the volume's relationships. Nobody waits for a second gate
	// while holding one for reading.
	gate sync.RWMutex
	// files is held for reading by whoever syncs the volume's files without
	// the gate, so that nobody waits for the gate as long as a disk takes, and
	// for writing while the files are replaced.
	files   sync.RWMutex
	frozen  atomic.Pointer[freeze]
	sources []*relationship // those whose source this volume is
	target  *relationship   // the one whose target it is, or nil

	tracks rangeLock // of this volume as a source
	opens  int       // guarded by Array.mu
}

// lockGates locks the gates of all volumes of rels and returns what unlocks
// them. The caller holds Array.mu, so nobody else locks two.
func lockGates(rels []*relationship) (unlock func()) {
	var list []*volume
	for _, r := range rels {
		list = append(list, r.source, r.target)
	}
	return lockVolumes(list)
}

func lockVolumes(list []*volume) (unlock func()) {
	slices.SortFunc(list, func(a, b *volume) int { return int(a.id) - int(b.id) })
	list = slices.Compact(list)
	for _, v := range list {
		v.gate.Lock()
	}
	return func() {
		for _, v := range list {
			v.gate.Unlock()
		}
	}
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
func (v *volume) Size() int64 {
	v.gate.RLock()
	defer v.gate.RUnlock()
	return v.size
}

// ReadAt reads what hosts see: on a target, tracks that are not copied yet
// come from the source.
func (v *volume) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	v.gate.RLock()
	defer v.gate.RUnlock()
	err := v.check(off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	if v.target != nil {
		err = v.target.readTarget(p, off)
	} else {
		err = v.readStaged(p, off)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteAt writes p. On a source, what targets have not copied yet is saved
// first, or p is staged; see package comment.
func (v *volume) WriteAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	err := v.retry(len(p), func() (outcome, error) { return v.tryWrite(p, off) })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Zero makes a range read as zeros.
func (v *volume) Zero(off, n int64, punch bool) error {
	if n == 0 {
		return nil
	}
	return v.retry(0, func() (outcome, error) { return v.tryZero(off, n, punch) })
}

// retry calls try, which may stage n bytes, and destages before it calls it
// again, until it is done.
func (v *volume) retry(n int, try func() (outcome, error)) error {
	for {
		how, err := try()
		switch {
		case err != nil:
		case how == stageFull:
			err = v.destageRoom(n)
		case how == stageBefore:
			err = v.destage()
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// tryWrite writes p unless something has to be destaged before.
func (v *volume) tryWrite(p []byte, off int64) (how outcome, err error) {
	v.enter()
	defer v.gate.RUnlock()
	n := int64(len(p))
	if err := v.check(off, n); err != nil {
		return notStaged, err
	}
	if v.target == nil {
		how, err = v.put(p, off)
		switch {
		case err != nil || how > pastStage:
			return how, err
		case how == notStaged:
			return how, v.writeAt(p, off)
		}
		defer v.passed(off, n)
		if how == pastSaved {
			return how, v.writeAt(p, off)
		}
	}
	return how, v.prepare(off, n, func(at, n int64) error {
		return v.writeAt(p[at-off:at-off+n], at)
	})
}

// tryZero zeroes a range unless something has to be destaged before.
func (v *volume) tryZero(off, n int64, punch bool) (how outcome, err error) {
	v.enter()
	defer v.gate.RUnlock()
	if err := v.check(off, n); err != nil {
		return notStaged, err
	}
	if v.target == nil {
		if how = v.putZeros(off, n); how > pastStage {
			return how, nil
		}
		defer v.passed(off, n)
	}
	return how, v.prepare(off, n, func(at, n int64) error { return v.zero(at, n, punch) })
}

// prepare does what relationships need before [off, off+n) may change, and
// calls write for parts that together are the range. The gate is held.
func (v *volume) prepare(off, n int64, write func(off, n int64) error) error {
	if v.target != nil {
		return v.target.writeTarget(off, n, write)
	}
	if len(v.sources) > 0 {
		if err := v.save(off, n); err != nil {
			return err
		}
	}
	return write(off, n)
}

// Flush makes the writes that returned before it durable.
func (v *volume) Flush() error {
	if !syncsVolumes {
		return nil
	}
	return v.syncAll()
}

// Extents reports the extents as a host sees them.
func (v *volume) Extents(off, n int64, f func(length int64, hole bool) bool) error {
	if n == 0 {
		return nil
	}
	if v.overlapsStaged(off, n) {
		if err := v.destage(); err != nil {
			return v.errNotDestaged(err)
		}
	}
	v.gate.RLock()
	defer v.gate.RUnlock()
	if err := v.check(off, n); err != nil {
		return err
	}
	if v.target != nil {
		return v.target.targetExtents(off, n, f)
	}
	if v.overlapsStaged(off, n) { // written to meanwhile; there may be data anywhere
		f(n, false)
		return nil
	}
	return v.extents(off, n, f)
}

func (v *volume) check(off, n int64) error {
	if off < 0 || n < 0 || off > v.size-n {
		return fault.New(fault.Usage, "volume %s: %d bytes at offset %d are beyond its end at %d: %w",
			v.serial, n, off, v.size, io.ErrUnexpectedEOF)
	}
	return nil
}
