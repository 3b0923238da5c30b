package filearray

import (
	"math/rand/v2"
	"testing"
)

// TestRangeSet holds random changes against a plain set.
func TestRangeSet(t *testing.T) {
	rng := newRand(t)
	const tracks = 200
	var s rangeSet
	var want [tracks]bool
	for range 20000 {
		first := rng.Int64N(tracks)
		n := 1 + rng.Int64N(min(12, tracks-first))
		add := rng.IntN(2) == 0
		if add {
			s.add(first, n)
		} else {
			s.remove(first, n)
		}
		for i := first; i < first+n; i++ {
			want[i] = add
		}
		checkRuns(t, rng, &s, want[:])
	}
}

func checkRuns(t *testing.T, rng *rand.Rand, s *rangeSet, want []bool) {
	t.Helper()
	from := rng.Int64N(int64(len(want)))
	limit := 1 + rng.Int64N(int64(len(want))-from)
	alike := int64(1)
	for alike < limit && want[from+alike] == want[from] {
		alike++
	}
	if in, n := s.run(from, limit); in != want[from] || n != alike {
		t.Fatalf("from %d on %d tracks are in the set: %t, want %d: %t", from, n, in, alike, want[from])
	}
	for i := 1; i < len(s.list); i++ {
		if last := s.list[i-1]; last.first+last.n >= s.list[i].first {
			t.Fatalf("ranges %v and %v are not apart", last, s.list[i])
		}
	}
}
