package filearray

import (
	"context"
	"sync/atomic"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

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
