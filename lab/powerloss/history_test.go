package main

import (
	"slices"
	"testing"
)

// wantPossible compares what a crash may leave in block 0.
func wantPossible(t *testing.T, l *life, position int, done bool, want ...token) {
	t.Helper()
	got := slices.Clone(l.possible(0, position, done))
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) || (got == nil) != (want == nil) {
		t.Errorf("a crash at %d (done %v) may leave %v, want %v", position, done, got, want)
	}
}

// written returns a life of two blocks whose first has the writes 1, flushed
// between positions 12 and 15, and 2, at position 20.
func written(t *testing.T) *life {
	t.Helper()
	l := newLife(0x100, 2, act{from: 0, to: 5})
	if !l.begin(0, 1, 1, 10) || l.begin(0, 2, 9, 11) {
		t.Fatal("a block takes one write at a time")
	}
	l.end(0, 1, true, never)
	l.promise(l.answered(), 15)
	if !l.begin(0, 1, 2, 20) {
		t.Fatal("the block is not free again")
	}
	l.end(0, 1, true, never)
	return l
}

func TestFlushesPromise(t *testing.T) {
	l := written(t)
	wantPossible(t, l, 10, false, zeros)
	wantPossible(t, l, 11, false, zeros, 1)
	wantPossible(t, l, 14, false, zeros, 1)
	wantPossible(t, l, 15, false, 1)
	wantPossible(t, l, 20, false, 1)
	wantPossible(t, l, 100, false, 1, 2)
}

// TestLostAnswers writes with FUA after a write whose answer never came.
func TestLostAnswers(t *testing.T) {
	l := written(t)
	l.begin(0, 1, 3, 30)
	l.end(0, 1, false, never)
	l.promise(l.answered(), 35)
	wantPossible(t, l, 40, false, 2, 3)
	l.begin(0, 1, 4, 50)
	l.end(0, 1, true, 55)
	wantPossible(t, l, 54, false, 2, 3, 4)
	wantPossible(t, l, 55, false, 4)
}

func TestImages(t *testing.T) {
	source, target := written(t), newLife(0x101, 2, act{from: 0, to: 5})
	answered := source.answered()
	source.begin(0, 1, 3, 25) // while the image is taken
	a := &act{name: "establish", from: 24, to: 30, volumes: []*life{target}}
	target.become(a, source.imageSince(answered))
	source.promise(answered, a.to)
	source.end(0, 1, true, never)
	source.begin(0, 1, 4, 31)

	wantPossible(t, target, 24, false, zeros)
	// Of an establish that was not answered, the image may lack what was not
	// flushed.
	wantPossible(t, target, 28, false, zeros)
	wantPossible(t, target, 28, true, 1, 2, 3)
	wantPossible(t, target, 30, false, 2, 3)
	wantPossible(t, source, 30, false, 2, 3)
	if target.cutOff(28) != a || target.cutOff(30) != nil || target.cutOff(24) != nil {
		t.Error("an act is cut off between its begin and its answer, and only then")
	}
	if target.found(a, 0, 4) || !target.found(a, 0, 3) {
		t.Error("an image has what its source had at its instant")
	}
	wantPossible(t, target, 40, false, 3)

	target.begin(0, 1, 5, 50)
	target.end(0, 1, true, never)
	wantPossible(t, target, 60, false, 3, 5)
}

func TestWithdrawnTargets(t *testing.T) {
	l := written(t)
	l.becomeUnknown(&act{from: 30, to: 40})
	wantPossible(t, l, 35, false, 1, 2)
	wantPossible(t, l, 35, true)
	wantPossible(t, l, 40, false)
	l.begin(0, 1, 3, 50)
	l.end(0, 1, true, never)
	wantPossible(t, l, 55, false)
	l.promise(l.answered(), 60)
	wantPossible(t, l, 60, false, 3)
}

// TestDeletedVolumes loses the power while a volume is deleted and made anew.
func TestDeletedVolumes(t *testing.T) {
	old, fresh := newLife(0x100, 1, act{from: 0, to: 5}), newLife(0x100, 1, act{from: 30, to: 40})
	old.erased = act{from: 20, to: 30}
	v := &verifier{lives: []*life{old, fresh}}
	for position, want := range map[int]*life{0: nil, 1: old, 29: old, 30: nil, 31: fresh, 50: fresh} {
		if got := v.livesAt(position)[0x100]; got != want {
			t.Errorf("a crash at %d: %v, want %v", position, got, want)
		}
	}
	if old.erased.uncertain(20) || !old.erased.uncertain(21) || old.erased.uncertain(30) {
		t.Error("whether a volume is there is open from the request to the answer")
	}
}
