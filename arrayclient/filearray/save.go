package filearray

import (
	"fmt"

	"copyservices/arrayclient/filearray/records"
	"copyservices/arrayclient/filearray/segments"
)

// savedPart returns how much of the beginning of a source's range may change at
// once: every target has it. The gate is held.
func (v *volume) savedPart(off, n int64) int64 {
	first := off / trackSize
	tracks := (off+n-1)/trackSize - first + 1
	saved := v.savedTracks(first, tracks)
	if saved == 0 {
		return 0
	}
	return min(n, (first+saved)*trackSize-off)
}

// savedTracks returns how many tracks from first on, at most limit, need no
// saving.
func (v *volume) savedTracks(first, limit int64) int64 {
	for _, r := range v.sources {
		if r.hasFailed() {
			continue
		}
		for _, b := range r.bitmaps() {
			set, same := b.Run(first, limit)
			if !set {
				return 0
			}
			limit = same
		}
	}
	return limit
}

func (v *volume) needsSaving(first, n int64) bool {
	for _, r := range v.sources {
		if !r.hasFailed() && (!r.copied.AllSet(first, n) || !r.recorded(first, n)) {
			return true
		}
	}
	return false
}

// saveAhead copies to the targets what they have not copied yet of the
// beginning of a source's range, and makes that durable; the range is about to
// change. The gate is taken for few tracks at a time, and not while they are
// synced. Only a broken journal, or a failed source, is an error: a target that
// cannot take a track fails, the source goes on.
func (v *volume) saveAhead(off, n int64) error {
	first, end := off/trackSize, (off+n-1)/trackSize+1
	var marks []records.Mark
	for work := int64(0); first < end && work < saveAtOnce; {
		step, err := v.saveSome(first, end-first, &marks, &work)
		if err != nil {
			return err
		}
		first += step
	}
	return v.commitMarks(marks)
}

// saveSome saves some of n tracks from first on and returns how many. It adds to
// work how many tracks were copied.
func (v *volume) saveSome(first, n int64, marks *[]records.Mark, work *int64) (int64, error) {
	v.gate.RLock()
	defer v.gate.RUnlock()
	if err := v.data.Err(); err != nil {
		return 0, err
	}
	if saved := v.savedTracks(first, n); saved > 0 {
		return saved, nil
	}
	n, copies := v.saveStep(first, n)
	*work += copies
	var failures records.Failures
	v.saveTogether(first, n, marks, &failures)
	return n, v.array.store.CommitFailures(&failures)
}

// saveTracks saves tracks, which are in order, and appends to marks what is
// to be committed. The gate is held.
func (v *volume) saveTracks(marks []records.Mark, tracks []int64) ([]records.Mark, error) {
	var failures records.Failures
	for len(tracks) > 0 {
		n := int64(1)
		for n < int64(len(tracks)) && tracks[n] == tracks[0]+n {
			n++
		}
		v.saveTogether(tracks[0], n, &marks, &failures)
		tracks = tracks[n:]
	}
	return marks, v.array.store.CommitFailures(&failures)
}

// saveTogether saves n tracks from first on that no target may change
// meanwhile.
func (v *volume) saveTogether(first, n int64, marks *[]records.Mark, failures *records.Failures) {
	v.tracks.Lock(first, n)
	defer v.tracks.Unlock(first, n)
	v.saveRuns(first, n, marks, failures)
}

// saveStep returns how many of n tracks are saved in one piece, and how much
// work that is: holes cost nothing but what the targets have there.
func (v *volume) saveStep(first, n int64) (step, work int64) {
	targets := int64(max(1, len(v.sources)))
	holes := v.data.HoleTracks(first, n)
	if holes == 0 {
		step = min(n, max(1, saveWork/targets))
		return step, step * targets
	}
	for _, r := range v.sources {
		holes = min(holes, r.target.clearable(first, holes))
	}
	return holes, 1
}

// clearable returns how many of n tracks from first on can be cleared in one
// piece.
func (v *volume) clearable(first, n int64) int64 {
	off := first * trackSize
	length := min(n*trackSize, v.data.Size-off)
	if part := v.data.Bound(off, length, clearTracks*trackSize); part < length {
		return max(1, part/trackSize)
	}
	return n
}

// saveRuns saves n tracks, which are locked, and appends what is to be committed.
func (v *volume) saveRuns(first, n int64, marks *[]records.Mark, failures *records.Failures) {
	for t := first; t < first+n; {
		t += v.saveRun(t, first+n-t, marks, failures)
	}
	for _, r := range v.sources {
		if !r.hasFailed() && !r.recorded(first, n) {
			*marks = append(*marks, records.Mark{Rel: r, First: first, N: n, Changed: true})
		}
	}
}

// saveRun copies tracks from t on that are alike for every relationship, at
// most limit, to those targets that lack them, and returns how many.
func (v *volume) saveRun(t, limit int64, marks *[]records.Mark, failures *records.Failures) int64 {
	var lacking, unmarked []*relationship
	for _, r := range v.sources {
		state, same := r.run(t, limit)
		limit = min(limit, same)
		switch {
		case r.hasFailed():
		case state == trackLacking:
			lacking = append(lacking, r)
		case state == trackStored:
			unmarked = append(unmarked, r)
		}
	}
	n := limit
	if len(lacking) > 0 {
		var errs []error
		n, errs = v.copyTracks(t, limit, lacking)
		for i, r := range lacking {
			if errs[i] != nil {
				failures.Add(r, errs[i])
				continue
			}
			r.stored.Add(t, n)
			unmarked = append(unmarked, r)
		}
	}
	for _, r := range unmarked {
		*marks = append(*marks, records.Mark{Rel: r, First: t, N: n})
	}
	return n
}

// copyTracks copies tracks from t on, at most limit, to the targets of rels
// and returns how many, and the error of each. The tracks are locked.
func (v *volume) copyTracks(t, limit int64, rels []*relationship) (int64, []error) {
	errs := make([]error, len(rels))
	off := t * trackSize
	v.array.store.Spare.Hope() // refused, they fail for good
	for i, r := range rels {
		errs[i] = r.target.roomFor(off, min(limit*trackSize, v.data.Size-off))
	}
	each := func(f func(d *segments.Data) error) {
		for i, r := range rels {
			if errs[i] == nil {
				errs[i] = f(r.target.data)
			}
		}
	}
	if limit > 1 {
		if n := v.data.HoleTracks(t, limit); n > 0 {
			each(func(d *segments.Data) error { return d.Clear(off, min(n*trackSize, v.data.Size-off)) })
			return n, errs
		}
	}
	n := min(limit, saveTracks)
	pool := &buffers
	if n == 1 {
		pool = &trackBuffers
	}
	buf := pool.Get().(*[]byte)
	defer pool.Put(buf)
	for end := min(off+n*trackSize, v.data.Size); off < end; {
		p := (*buf)[:min(int64(len(*buf)), end-off)]
		if err := v.data.ReadAt(p, off); err != nil {
			err = fmt.Errorf("source %s cannot be read: %w", v.serial, err)
			each(func(*segments.Data) error { return err })
			return n, errs
		}
		each(func(d *segments.Data) error { return d.Store(p, off) })
		off += int64(len(p))
	}
	return n, errs
}
