package bitmap

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random test, 0 for a new one")

// TestRangeSet holds random changes against a plain set.
func TestRangeSet(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const tracks = 200
	var s RangeSet
	var want [tracks]bool
	for range 20000 {
		first := rng.Int64N(tracks)
		n := 1 + rng.Int64N(min(12, tracks-first))
		add := rng.IntN(2) == 0
		if add {
			s.Add(first, n)
		} else {
			s.Remove(first, n)
		}
		for i := first; i < first+n; i++ {
			want[i] = add
		}
		checkRuns(t, rng, &s, want[:])
	}
}

func checkRuns(t *testing.T, rng *rand.Rand, s *RangeSet, want []bool) {
	t.Helper()
	from := rng.Int64N(int64(len(want)))
	limit := 1 + rng.Int64N(int64(len(want))-from)
	alike := int64(1)
	for alike < limit && want[from+alike] == want[from] {
		alike++
	}
	if in, n := s.Run(from, limit); in != want[from] || n != alike {
		t.Fatalf("from %d on %d tracks are in the set: %t, want %d: %t", from, n, in, alike, want[from])
	}
	for i := 1; i < len(s.list); i++ {
		if last := s.list[i-1]; last.First+last.N >= s.list[i].First {
			t.Fatalf("ranges %v and %v are not apart", last, s.list[i])
		}
	}
}
