package filearray

import (
	"copyservices/arrayclient/filearray/records"
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

// recorded reports whether changes of n tracks need not be recorded any more.
func (r *relationship) recorded(first, n int64) bool {
	return r.changed == nil || r.changed.AllSet(first, n)
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
	return n, v.commitFailures(&failures)
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
	return marks, v.commitFailures(&failures)
}

// saveTogether saves n tracks from first on that no target may change
// meanwhile.
func (v *volume) saveTogether(first, n int64, marks *[]records.Mark, failures *records.Failures) {
	v.tracks.Lock(first, n)
	defer v.tracks.Unlock(first, n)
	v.saveRuns(first, n, marks, failures)
}

// commitFailures notes the failures of relationships that a batch has.
func (v *volume) commitFailures(failures *records.Failures) error {
	return v.array.store.CommitFailures(failures)
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
