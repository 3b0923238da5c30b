package filearray

import (
	"context"
	"copyservices/arrayclient/filearray/records"
	"errors"
	"sync"
	"time"
)

// commitAfter is how long the background copy goes on between two commits. A
// crash has it copy again what was not committed; each commit costs syncs.
const commitAfter = 2 * time.Second

// copyAgainAfter is how long the background copy waits when a commit was
// refused, as while the disk of the checkpoints is full.
const copyAgainAfter = time.Second

// resume starts the copying of r if it has to be copied in the background.
func resume(r *relationship) {
	rec := r.array.store.RelationshipRecord(r.uid)
	if r.lost() != nil {
		return // it could only fail, for good
	}
	if rec != nil && !rec.Options.NoCopy && rec.Failed == "" && rec.Completed.IsZero() {
		startCopy(r)
	}
}

// startCopy copies r in the background, if nobody does yet.
func startCopy(r *relationship) {
	a := r.array
	if !r.copying.CompareAndSwap(false, true) {
		return
	}
	a.copies.Go(func() {
		for {
			err := copier{r}.copyAndFinish()
			if err == nil {
				return
			}
			a.log.Error("background copy stopped", "pair", r.pair().String(), "error", err)
			if a.store.Err() != nil || !(copier{r}).pause(copyAgainAfter) {
				return
			}
		}
	})
}

// copier copies one relationship in the background.
type copier struct{ *relationship }

// pause waits for d and reports whether the relationship goes on.
func (r copier) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.ctx.Done():
		return false
	}
}

// copyAndFinish copies what the target lacks. A relationship of a consistency
// group does not end while the freeze lasts: that would release the writes to
// its source before the other images are taken.
func (r copier) copyAndFinish() error {
	if err := r.copyAll(); err != nil {
		return err
	}
	if r.freeze != nil {
		select {
		case <-r.freeze.released:
		case <-r.ctx.Done():
		}
	}
	if r.ctx.Err() != nil {
		return nil
	}
	return r.array.finish(r.relationship)
}

// copyAll copies what the target lacks. It returns nil when all is copied, the
// relationship has ended or failed, or the array is closing, and an error when
// the journal is broken.
func (r copier) copyAll() error {
	m := marker{rel: r, since: time.Now()}
	defer m.wait()
	for t := int64(0); t < r.copied.Tracks && r.ctx.Err() == nil; {
		set, n := r.copied.Run(t, r.copied.Tracks-t)
		if set {
			t += n
			continue
		}
		p, err := r.copyPiece(t, n)
		if err == nil {
			err = m.add(t, p)
		}
		if err != nil {
			return err
		}
		t += p.n
		r.rate.wait(r.ctx, p.bytes)
		r.array.rate.wait(r.ctx, p.bytes)
	}
	return errors.Join(m.commit(), m.wait())
}

// marker commits the marks of what the background copy has copied, while it
// copies on.
type marker struct {
	rel     copier
	marks   []records.Mark
	since   time.Time  // the last commit began
	running chan error // of the commit under way, nil if there is none
}

func (m *marker) add(t int64, p piece) error {
	if last := len(m.marks) - 1; last >= 0 && m.marks[last].First+m.marks[last].N == t {
		m.marks[last].N += p.n
	} else if p.n > 0 {
		m.marks = append(m.marks, records.Mark{Rel: m.rel.relationship, First: t, N: p.n})
	}
	if time.Since(m.since) < commitAfter {
		return nil
	}
	return m.commit()
}

// commit begins to make the marks durable. Its error is that of the commit
// before.
func (m *marker) commit() error {
	if err := m.wait(); err != nil || len(m.marks) == 0 {
		return err
	}
	marks, running := m.marks, make(chan error, 1)
	go func() { running <- m.rel.commitCopied(marks) }()
	m.marks, m.since, m.running = nil, time.Now(), running
	return nil
}

// wait waits for the commit under way.
func (m *marker) wait() error {
	if m.running == nil {
		return nil
	}
	err := <-m.running
	m.running = nil
	return err
}

// commitCopied makes pending durable, with the gate held as all marks are.
func (r copier) commitCopied(pending []records.Mark) error {
	records.SyncTargets(pending)
	r.target.gate.RLock()
	defer r.target.gate.RUnlock()
	if r.ctx.Err() != nil {
		return nil
	}
	return r.array.store.Commit(pending, nil, nil)
}

type piece struct {
	n     int64 // tracks
	bytes int64 // that were written
}

// copyPiece copies some of n tracks from t on. Their marks are the caller's
// to commit: until then writers that need them copy them again, which does no
// harm because the source has not changed. A piece of no tracks means that the
// relationship is over.
func (r copier) copyPiece(t, n int64) (piece, error) {
	select {
	case r.array.slots <- struct{}{}:
		defer func() { <-r.array.slots }()
	case <-r.ctx.Done():
		return piece{}, nil
	}
	r.target.gate.RLock()
	defer r.target.gate.RUnlock()
	if r.ctx.Err() != nil {
		return piece{}, nil
	}
	n, hole := r.plan(t, n)
	if !hole && r.array.cannotClone.Load() {
		r.source.data.ReadAhead((t+n)*trackSize, n*trackSize)
	}
	copied, err := r.copyLocked(t, n)
	if err != nil {
		var failed records.Failures
		failed.Add(r.relationship, err)
		return piece{}, r.array.store.CommitFailures(&failed)
	}
	if hole {
		return piece{n: n}, nil
	}
	if copied > 0 {
		r.target.data.WriteOut(t*trackSize, min(n*trackSize, r.source.data.Size-t*trackSize))
	}
	return piece{n, copied * trackSize}, nil
}

// plan returns how many of n tracks to copy in one go: few enough not to keep
// writers waiting, but any number of which neither side has data.
func (r copier) plan(t, n int64) (step int64, hole bool) {
	holes := r.source.data.HoleTracks(t, n)
	if holes == 0 {
		return min(n, saveTracks, r.rate.tracks(), r.array.rate.tracks()), false
	}
	if empty := r.target.data.HoleTracks(t, holes); empty > 0 {
		return empty, true
	}
	return min(holes, clearTracks), true
}

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
