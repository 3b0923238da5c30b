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
	timedOut atomic.Bool
}

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

// expired reports whether the timeout released the writes.
func (f *freeze) expired() bool { return f != nil && f.timedOut.Load() }

// freezeWrites holds the writes to v from the moment at which its gate is next
// locked, and reports whether they were not held before. Array.acts is held.
func (v *volume) freezeWrites(timeout time.Duration) bool {
	if v.frozen.Load() != nil {
		return false
	}
	f := &freeze{released: make(chan struct{})}
	f.timer = time.AfterFunc(timeout, func() {
		f.timedOut.Store(true)
		if v.thaw(f) {
			v.array.log.Error("freeze released by its timeout", "volume", string(v.serial))
		}
	})
	v.frozen.Store(f)
	return true
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
		if r.freeze.expired() {
			late = fault.New(fault.Refused, "the writes to %s were released by the timeout before: "+
				"the images may not be those of one instant", r.source.serial).
				WithHint("withdraw the relationships and establish them again")
		}
	}
	return late
}

// Thaw releases all writes that freezes hold: nothing may wait while the array
// is about to be closed.
func (a *Array) Thaw() {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, v := range a.volumes {
		if v.thaw(v.frozen.Load()) {
			a.log.Warn("freeze released because the array closes", "volume", string(v.serial))
		}
	}
}
