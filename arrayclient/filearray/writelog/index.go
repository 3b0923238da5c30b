package writelog

import (
	"slices"
	"sync/atomic"

	"copyservices/arrayclient/filearray/bitmap"
)

// fragment is the part of a logged write that is in one track.
type fragment struct {
	off  int64 // in the volume
	at   int64 // in the file
	n    int32
	area uint8
}

func (f fragment) covers(other fragment) bool {
	return f.off <= other.off && f.off+int64(f.n) >= other.off+int64(other.n)
}

// index tells where in the file the logged bytes of each track are.
type index struct {
	tracks  map[int64][]fragment
	pending atomic.Int64 // how many tracks there are
}

// clear forgets all.
func (x *index) clear() {
	x.tracks = map[int64][]fragment{}
	x.pending.Store(0)
}

// add notes that n bytes of the volume from off are in area i, which is a, at offset at
// of the file. What they cover in the area is forgotten.
func (x *index) add(a *area, i int, off, at, n int64) {
	for n > 0 {
		t := off / trackSize
		part := min(n, (t+1)*trackSize-off)
		fresh := fragment{off, at, int32(part), uint8(i)}
		list := slices.DeleteFunc(x.tracks[t], func(f fragment) bool {
			return f.area == fresh.area && fresh.covers(f)
		})
		if len(list) == 0 || list[len(list)-1].area != fresh.area {
			a.tracks = append(a.tracks, t)
		}
		x.tracks[t] = append(list, fresh)
		off, at, n = off+part, at+part, n-part
	}
	x.pending.Store(int64(len(x.tracks)))
}

// forget takes the fragments of area i, which are in tracks, out of the index.
func (x *index) forget(i int, tracks []int64) {
	for _, t := range tracks {
		rest := slices.DeleteFunc(x.tracks[t], func(f fragment) bool { return f.area == uint8(i) })
		if len(rest) == 0 {
			delete(x.tracks, t)
		} else {
			x.tracks[t] = rest
		}
	}
	x.pending.Store(int64(len(x.tracks)))
}

// overlaps reports whether any of n tracks has logged bytes.
func (x *index) overlaps(first, n int64) bool {
	if int64(len(x.tracks)) < n {
		for t := range x.tracks {
			if t >= first && t < first+n {
				return true
			}
		}
		return false
	}
	for t := first; t < first+n; t++ {
		if x.tracks[t] != nil {
			return true
		}
	}
	return false
}

// of appends the fragments of the tracks of a range, oldest first in each track.
func (x *index) of(list []fragment, off, n int64) []fragment {
	for t := off / trackSize; t <= (off+n-1)/trackSize; t++ {
		list = append(list, x.tracks[t]...)
	}
	return list
}

// beyond returns how many tracks are not set in b.
func (x *index) beyond(b *bitmap.Bitmap) (n int64) {
	for t := range x.tracks {
		if !b.IsSet(t) {
			n++
		}
	}
	return n
}
