package filearray

import (
	"slices"

	"copyservices/arrayclient/filearray/bitmap"
)

// fragment is the part of a staged write that is in one track.
type fragment struct {
	off  int64 // in the volume
	at   int64 // in the stage file
	n    int32
	area uint8
}

func (f fragment) covers(other fragment) bool {
	return f.off <= other.off && f.off+int64(f.n) >= other.off+int64(other.n)
}

// index notes that n bytes of the volume from off are in area i, at offset at
// of the file. What they cover in the area is forgotten.
func (s *stage) index(i int, off, at, n int64) {
	a := &s.areas[i]
	for n > 0 {
		t := off / trackSize
		part := min(n, (t+1)*trackSize-off)
		fresh := fragment{off, at, int32(part), uint8(i)}
		list := slices.DeleteFunc(s.tracks[t], func(f fragment) bool {
			return f.area == fresh.area && fresh.covers(f)
		})
		if len(list) == 0 || list[len(list)-1].area != fresh.area {
			a.tracks = append(a.tracks, t)
		}
		s.tracks[t] = append(list, fresh)
		off, at, n = off+part, at+part, n-part
	}
	s.pending.Store(int64(len(s.tracks)))
}

// overlaps reports whether any of n tracks has staged bytes.
func (s *stage) overlaps(first, n int64) bool {
	if int64(len(s.tracks)) < n {
		for t := range s.tracks {
			if t >= first && t < first+n {
				return true
			}
		}
		return false
	}
	for t := first; t < first+n; t++ {
		if s.tracks[t] != nil {
			return true
		}
	}
	return false
}

// fragments appends the fragments of the tracks of a range, oldest first in
// each track.
func (s *stage) fragments(list []fragment, off, n int64) []fragment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := off / trackSize; t <= (off+n-1)/trackSize; t++ {
		list = append(list, s.tracks[t]...)
	}
	return list
}

// stagedTracks returns the tracks of area i in order.
func (s *stage) stagedTracks(i int) []int64 {
	list := slices.Clone(s.areas[i].tracks)
	slices.Sort(list)
	return slices.Compact(list)
}

// setState notes how far area i is.
func (s *stage) setState(i int, state areaState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.areas[i].state = state
}

// letPast notes that a write to n tracks goes past the stage.
func (s *stage) letPast(first, n int64) outcome {
	s.past = append(s.past, bitmap.Range{First: first, N: n})
	return pastStage
}

// passing reports whether a write to any of n tracks is on its way past the
// stage. Another one must not be staged then: it would be applied before the
// other is done, and show until it is.
func (s *stage) passing(first, n int64) bool {
	return slices.ContainsFunc(s.past, bitmap.Range{First: first, N: n}.Overlaps)
}

// room reports whether a write of n bytes, which fits into an empty area, fits
// now, if need be into another area.
func (s *stage) room(n int) bool {
	a := &s.areas[s.active]
	full := a.unsynced || a.state > areaOpen || a.end+recordLength(n) > s.size
	if full && a.state == areaOpen {
		a.state = areaSealed
	}
	switch {
	case s.closed > 0:
		return false
	case s.heldBack > 0 && (full || !a.used()) && s.usedAreas() > 1:
		return false
	case !full:
		return true
	case !s.moveOn():
		return false
	}
	if s.background { // the area before need not wait for its time
		s.want(s.areas[s.active].gen - 1)
	}
	return true
}

// moveOn makes the oldest empty area the active one and reports whether it
// takes writes.
func (s *stage) moveOn() bool {
	i := s.oldest(func(a *area) bool { return !a.used() })
	if i < 0 {
		return false
	}
	s.active = i
	return !s.areas[i].unsynced
}

// oldest returns the area of the lowest generation of those that f picks, -1
// when there is none.
func (s *stage) oldest(f func(*area) bool) int {
	found := -1
	for i := range s.areas {
		if f(&s.areas[i]) && (found < 0 || s.areas[i].gen < s.areas[found].gen) {
			found = i
		}
	}
	return found
}

// unsynced reports whether the header of an area is not durable.
func (s *stage) unsynced() bool {
	return slices.ContainsFunc(s.areas, func(a area) bool { return a.unsynced })
}

func (s *stage) usedAreas() (n int) {
	for i := range s.areas {
		if s.areas[i].used() {
			n++
		}
	}
	return n
}

// promise notes that a flush counts on what is staged.
func (s *stage) promise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.areas {
		if a := &s.areas[i]; a.used() {
			a.promised = true
		}
	}
}

// seal returns the oldest area that f picks of those in use; after that it takes no
// more writes, and its steps begin anew. ok is false when there is none.
func (s *stage) seal(f func(*area) bool) (i int, gen uint64, ok bool) {
	i = s.oldest(func(a *area) bool { return a.used() && f(a) })
	if i < 0 {
		return 0, 0, false
	}
	s.areas[i].state = areaSealed
	if i == s.active {
		s.moveOn()
	}
	return i, s.areas[i].gen, true
}

// newest returns the generation of the area in use that was written to last, 0 when
// none is.
func (s *stage) newest() (gen uint64) {
	for i := range s.areas {
		if a := &s.areas[i]; a.used() {
			gen = max(gen, a.gen)
		}
	}
	return gen
}

func (s *stage) leftUpTo(newest uint64) bool {
	return s.oldest(func(a *area) bool { return a.used() && a.gen <= newest }) >= 0
}

// wantAll raises what is wanted to all that is staged.
func (s *stage) wantAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = max(s.wanted, s.newest())
}

// forget takes the fragments of area i, which are in tracks, out of the index.
func (s *stage) forget(i int, tracks []int64) {
	for _, t := range tracks {
		rest := slices.DeleteFunc(s.tracks[t], func(f fragment) bool { return f.area == uint8(i) })
		if len(rest) == 0 {
			delete(s.tracks, t)
		} else {
			s.tracks[t] = rest
		}
	}
	s.pending.Store(int64(len(s.tracks)))
}
