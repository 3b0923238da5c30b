package filearray

import (
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/records"
)

// writeTarget lets write change the target's range, unless something else has
// to be done before. Of tracks that are not copied yet it covers all or
// nothing; they are marked once the new data is durable. The gate is held.
func (r *relationship) writeTarget(
	off, n int64, write func(off, n int64) error,
) (how outcome, err error) {
	if r.opts.TargetInhibit {
		return direct, fault.New(fault.Refused,
			"volume %s: writes are inhibited while it is the target of %s",
			r.target.serial, r.source.serial)
	}
	if err := r.err(); err != nil {
		return direct, err
	}
	if !r.ready(off, n) {
		return targetBefore, nil
	}
	err = r.parts(off, n, func(at, n int64, own bool) error {
		if own {
			return write(at, n)
		}
		how = markAfter
		return r.overwrite(at, n, write)
	})
	return how, err
}

// tracksOfRange returns the tracks of the target's range that the source has
// too.
func (r *relationship) tracksOfRange(off, n int64) (first, tracks int64) {
	end := min(off+n, r.source.data.Size)
	if off >= end {
		return 0, 0
	}
	first = off / trackSize
	return first, (end-1)/trackSize - first + 1
}

// ready reports whether the target's range may be written to: the change is
// recorded, and the tracks of which only a part changes are copied.
func (r *relationship) ready(off, n int64) bool {
	if first, tracks := r.tracksOfRange(off, n); tracks > 0 && !r.recorded(first, tracks) {
		return false
	}
	var few [2]int64
	for _, t := range r.inPart(few[:0], off, n) {
		if !r.copied.IsSet(t) {
			return false
		}
	}
	return true
}

// inPart appends the tracks of which a range covers only a part.
func (r *relationship) inPart(list []int64, off, n int64) []int64 {
	end := min(off+n, r.source.data.Size)
	if off >= end {
		return list
	}
	if off%trackSize != 0 {
		list = append(list, off/trackSize)
	}
	if t := end / trackSize; end%trackSize != 0 && end != r.source.data.Size &&
		(len(list) == 0 || list[0] != t) {
		list = append(list, t)
	}
	return list
}

// overwrite writes whole tracks that are not marked yet. Nobody copies them
// after that; markWritten marks them.
func (r *relationship) overwrite(off, n int64, write func(off, n int64) error) error {
	first, tracks := off/trackSize, bitmap.Tracks(n)
	r.source.tracks.Lock(first, tracks)
	defer r.source.tracks.Unlock(first, tracks)
	if err := write(off, n); err != nil {
		return err
	}
	r.stored.Add(first, tracks)
	return nil
}

// readyTarget does, durably, what ready wants. No gate is held.
func (v *volume) readyTarget(off, n int64) error {
	marks, err := v.makeReady(off, n)
	if err != nil {
		return err
	}
	return v.commitMarks(marks)
}

func (v *volume) makeReady(off, n int64) (marks []records.Mark, err error) {
	v.gate.RLock()
	defer v.gate.RUnlock()
	r := v.target
	if r == nil || r.hasFailed() {
		return nil, nil
	}
	if first, tracks := r.tracksOfRange(off, n); tracks > 0 && !r.recorded(first, tracks) {
		marks = append(marks, records.Mark{Rel: r, First: first, N: tracks, Changed: true})
	}
	for _, t := range r.inPart(nil, off, n) {
		if r.copied.IsSet(t) {
			continue
		}
		if _, err := r.copyLocked(t, 1); err != nil {
			return nil, err
		}
		marks = append(marks, records.Mark{Rel: r, First: t, N: 1})
	}
	return marks, nil
}

// markWritten marks what overwrite wrote of a range. No gate is held.
func (v *volume) markWritten(off, n int64) error {
	r, marks := v.unmarked(off, n)
	if r == nil {
		return nil // withdrawn meanwhile
	}
	if err := v.commitMarks(marks); err != nil {
		return err
	}
	return r.err()
}

// unmarked returns the relationship whose target v is, and marks for what the
// target's files have of a range and are not marked to have.
func (v *volume) unmarked(off, n int64) (r *relationship, marks []records.Mark) {
	v.gate.RLock()
	defer v.gate.RUnlock()
	if r = v.target; r == nil {
		return nil, nil
	}
	first, tracks := r.tracksOfRange(off, n)
	for end := first + tracks; first < end; {
		stored, same := r.stored.Run(first, end-first)
		if stored {
			marks = append(marks, records.Mark{Rel: r, First: first, N: same})
		}
		first += same
	}
	return r, marks
}
