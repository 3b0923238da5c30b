package filearray

import (
	"context"
	"sync"
	"time"
)

// rate bounds how many bytes a second are copied. The zero value does not.
type rate struct {
	mu        sync.Mutex
	perSecond int64
	next      time.Time     // when the next bytes may be copied
	changed   chan struct{} // closed when perSecond changes; nil while nobody waits
}

// set changes the bound; 0 is none. It holds at once, also for who waits.
func (r *rate) set(perSecond int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.perSecond, r.next = perSecond, time.Time{}
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// tracks returns how many tracks may be copied in one go: a quarter of a
// second's, so that writers and whoever looks at the progress wait no longer.
func (r *rate) tracks() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.perSecond <= 0 {
		return saveTracks
	}
	return max(1, r.perSecond/4/trackSize)
}

// wait waits until n more bytes may be copied, or ctx ends.
func (r *rate) wait(ctx context.Context, n int64) {
	for {
		delay, changed := r.reserve(n)
		if delay <= 0 {
			return
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
			continue
		case <-ctx.Done():
			timer.Stop()
		}
		return
	}
}

// reserve takes n bytes' time and returns how long to wait for it.
func (r *rate) reserve(n int64) (time.Duration, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.perSecond <= 0 {
		return 0, nil
	}
	now := time.Now()
	if r.next.Before(now) {
		r.next = now
	}
	delay := r.next.Sub(now)
	r.next = r.next.Add(time.Duration(float64(n) / float64(r.perSecond) * float64(time.Second)))
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return delay, r.changed
}
