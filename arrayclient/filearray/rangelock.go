package filearray

import "sync"

// rangeLock locks ranges of a source's tracks while they are being copied.
// Few ranges are locked at a time, so a list of them does.
type rangeLock struct {
	mu    sync.Mutex
	freed sync.Cond
	held  []trackRange
}

type trackRange struct{ first, n int64 }

func (a trackRange) overlaps(b trackRange) bool {
	return a.first < b.first+b.n && b.first < a.first+a.n
}

func (l *rangeLock) lock(first, n int64) {
	want := trackRange{first, n}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.freed.L = &l.mu
	for l.busy(want) {
		l.freed.Wait()
	}
	l.held = append(l.held, want)
}

func (l *rangeLock) busy(want trackRange) bool {
	for _, r := range l.held {
		if r.overlaps(want) {
			return true
		}
	}
	return false
}

func (l *rangeLock) unlock(first, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range l.held {
		if r == (trackRange{first, n}) {
			last := len(l.held) - 1
			l.held[i] = l.held[last]
			l.held = l.held[:last]
			break
		}
	}
	l.freed.Broadcast()
}
