package filearray

import (
	"errors"
	"sync"

	"copyservices/arrayclient"
	"copyservices/arrayclient/filearray/disk"
)

const trackSize = arrayclient.TrackSize

// saveTracks is how many tracks are saved in one go at most, and how many are
// locked meanwhile.
const saveTracks = 64

// bufferTracks is how many tracks go through a buffer in one go: few enough to
// stay in the processor's cache between the read, the look for zeros and the
// write.
const bufferTracks = 4

var buffers = sync.Pool{New: func() any {
	b := make([]byte, bufferTracks*trackSize)
	return &b
}}

// trackBuffers holds the single tracks of ordinary writes.
var trackBuffers = sync.Pool{New: func() any {
	b := make([]byte, trackSize)
	return &b
}}

// clearTracks is how many tracks of data a target's range is cleared of in
// one go.
const clearTracks = 1024

// trackState is what a target has of a track.
type trackState int

const (
	trackLacking trackState = iota
	trackStored             // in its files, but not marked
	trackCopied
)

// run returns the state of track t and how many tracks from there on, at most
// limit, are alike. They are locked.
func (r *relationship) run(t, limit int64) (trackState, int64) {
	set, n := r.copied.Run(t, limit)
	if set {
		return trackCopied, n
	}
	stored, n := r.stored.Run(t, n)
	if stored {
		return trackStored, n
	}
	return trackLacking, n
}

// readTarget reads from the target. A track that is not copied comes from the
// source; when it was copied meanwhile the source may have changed while it
// was read, and it is read again.
func (r *relationship) readTarget(p []byte, off int64) error {
	if err := r.err(); err != nil {
		return err
	}
	return r.parts(off, int64(len(p)), func(at, n int64, own bool) error {
		part := p[at-off : at-off+n]
		for !own {
			if err := r.source.data.ReadAt(part, at); err != nil {
				return err
			}
			if r.unchanged(at, n) {
				return r.err()
			}
			own = r.copied.AllSet(at/trackSize, (at+n-1)/trackSize-at/trackSize+1)
			if !own {
				return r.readTarget(part, at)
			}
		}
		return r.target.data.ReadAt(part, at)
	})
}

// unchanged reports whether no track of the range has been copied.
func (r *relationship) unchanged(off, n int64) bool {
	first, last := off/trackSize, (off+n-1)/trackSize
	set, same := r.copied.Run(first, last-first+1)
	return !set && same == last-first+1
}

// parts calls f for the parts of the target's range that are alike: own says
// that the target itself holds them.
func (r *relationship) parts(off, n int64, f func(off, n int64, own bool) error) error {
	end := off + n
	for off < min(end, r.source.data.Size) {
		t := off / trackSize
		own, same := r.copied.Run(t, (end-1)/trackSize-t+1)
		stop := min(end, (t+same)*trackSize, r.source.data.Size)
		if err := f(off, stop-off, own); err != nil {
			return err
		}
		off = stop
	}
	if off < end {
		return f(off, end-off, true)
	}
	return nil
}

// copyLocked is copyLacking for tracks that it locks.
func (r *relationship) copyLocked(t, n int64) (copied int64, err error) {
	r.source.tracks.Lock(t, n)
	defer r.source.tracks.Unlock(t, n)
	return r.copyLacking(t, n)
}

// copyLacking copies those of n tracks that the target lacks, and returns how
// many it copied and did not clone. They are locked.
func (r *relationship) copyLacking(first, n int64) (copied int64, err error) {
	for t := first; t < first+n; {
		state, same := r.run(t, first+n-t)
		if state == trackLacking {
			cloned := r.cloneTracks(t, same)
			if cloned == 0 {
				var errs []error
				same, errs = r.source.copyTracks(t, same, []*relationship{r})
				if errs[0] != nil {
					return copied, errs[0]
				}
				copied += same
			} else {
				same = cloned
			}
			r.stored.Add(t, same)
		}
		t += same
	}
	return copied, nil
}

// minClone is the least number of tracks that are cloned in one go: of fewer,
// the file system would have more to note than there is to copy.
const minClone = 16

// cloneTracks lets the target share the source's blocks where the file system
// can do that, and returns for how many of n tracks; 0 means that they are to
// be copied. They are locked.
func (r *relationship) cloneTracks(first, n int64) int64 {
	n = min(n, r.source.data.Size/trackSize-first)
	if n < minClone || r.array.cannotClone.Load() || r.array.store.Spare.Spent() || !r.noteSharing() {
		return 0
	}
	err := r.target.data.Clone(r.source.data, first*trackSize, n*trackSize)
	if errors.Is(err, errors.ErrUnsupported) {
		r.array.cannotClone.Store(true)
	}
	if err != nil { // copying shows whether it was more than cloning
		return 0
	}
	return n
}

// noteSharing makes it durable that the target may share the source's blocks,
// and reports whether it is.
func (r *relationship) noteSharing() bool {
	if r.mayShare.Load() {
		return true
	}
	a := r.array
	noted, known := a.store.SharingNoted(r.uid)
	record := disk.JSONRecord(disk.RecSharing, r.uid)
	if !noted && (!known || a.store.CommitRecord(record, nil) != nil) {
		return false
	}
	r.mayShare.Store(true)
	return true
}

// targetExtents reports the extents of the image.
func (r *relationship) targetExtents(off, n int64, f func(int64, bool) bool) error {
	stopped := false
	g := func(length int64, hole bool) bool {
		stopped = stopped || !f(length, hole)
		return !stopped
	}
	return r.parts(off, n, func(at, n int64, own bool) error {
		if stopped {
			return nil
		}
		if own {
			return r.target.data.Extents(at, n, g)
		}
		return r.uncopiedExtents(at, n, g)
	})
}

// uncopiedExtents reports extents that the target does not hold. What a track
// of the source is says nothing about the image once the track was copied: a
// host may have made a hole of it since. So extents are reported when it is
// known that none of their tracks was.
func (r *relationship) uncopiedExtents(off, n int64, f func(int64, bool) bool) error {
	list := make([]extent, 0, extentsAtOnce)
	for n > 0 {
		list = list[:0]
		var length int64
		err := r.source.data.Extents(off, n, func(l int64, hole bool) bool {
			list = append(list, extent{l, hole})
			length += l
			return len(list) < extentsAtOnce
		})
		if err != nil || length == 0 {
			return err
		}
		if !r.unchanged(off, length) {
			return r.targetExtents(off, n, f)
		}
		if err := r.err(); err != nil {
			return err
		}
		for _, e := range list {
			if !f(e.n, e.hole) {
				return nil
			}
		}
		off, n = off+length, n-length
	}
	return nil
}
