package bitmap

import (
	"sync"

	"copyservices/arrayclient"
)

// RangeLock locks ranges of a source's tracks while they are being copied.
// Few ranges are locked at a time, so a list of them does.
type RangeLock struct {
	mu    sync.Mutex
	freed sync.Cond
	held  []Range
}

// Range is N tracks from First on.
type Range struct{ First, N int64 }

// Tracks returns how many tracks size bytes take.
func Tracks(size int64) int64 {
	return (size + arrayclient.TrackSize - 1) / arrayclient.TrackSize
}

// RangeAt returns the tracks that [off, off+n) of a volume touches.
func RangeAt(off, n int64) Range {
	return Range{First: off / arrayclient.TrackSize, N: Tracks(off%arrayclient.TrackSize + n)}
}

// Overlaps reports whether a and b have a track in common.
func (a Range) Overlaps(b Range) bool {
	return a.First < b.First+b.N && b.First < a.First+a.N
}

// Lock waits until none of n tracks is locked, and locks them.
func (l *RangeLock) Lock(first, n int64) {
	want := Range{first, n}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.freed.L = &l.mu
	for l.busy(want) {
		l.freed.Wait()
	}
	l.held = append(l.held, want)
}

func (l *RangeLock) busy(want Range) bool {
	for _, r := range l.held {
		if r.Overlaps(want) {
			return true
		}
	}
	return false
}

// Unlock unlocks what was locked by a Lock of the same tracks.
func (l *RangeLock) Unlock(first, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range l.held {
		if r == (Range{first, n}) {
			last := len(l.held) - 1
			l.held[i] = l.held[last]
			l.held = l.held[:last]
			break
		}
	}
	l.freed.Broadcast()
}
