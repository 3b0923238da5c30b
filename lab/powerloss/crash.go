package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// loss is what a power loss takes of the writes since the last flush.
type loss int

const (
	loseNothing loss = iota
	loseWrites       // a random half of the requests
	losePages        // a random half of the pages
	losses
)

func (l loss) String() string {
	return [...]string{"all writes are there", "half of the writes are lost",
		"half of the pages are lost"}[l]
}

// crash is a moment in which the power goes.
type crash struct {
	position int // in the log
	loss     loss
	again    bool // and once more while the server recovers
	seed     uint64
}

// chooseCrashes returns n moments of the log from position first on, in their
// order. A third is random in time, as in life; a third among the entries, of
// which there are most when most happens; a third within spans.
func chooseCrashes(rnd *rand.Rand, n, first int, log *writeLog, spans []span) []crash {
	last := len(log.entries)
	list := make([]crash, n)
	for i := range list {
		c := crash{position: first + rnd.IntN(last-first+1)}
		switch i % 3 {
		case 0:
			c.position = log.randomInTime(rnd, first, last)
		case 1:
			if len(spans) > 0 {
				c.position = max(first, log.randomIn(rnd, spans[rnd.IntN(len(spans))]))
			}
		}
		c.loss, c.again, c.seed = loss(rnd.IntN(int(losses))), rnd.IntN(4) == 0, rnd.Uint64()
		list[i] = c
	}
	slices.SortFunc(list, func(a, b crash) int { return a.position - b.position })
	return list
}

// randomIn returns a position in the span, most often one of those at which most
// may be lost: before a flush, and at the end.
func (l *writeLog) randomIn(rnd *rand.Rand, s span) int {
	if rnd.IntN(4) == 0 {
		return s.from + rnd.IntN(s.to-s.from+1)
	}
	choice := []int{s.to}
	for p := s.from; p < s.to; p++ {
		if l.entries[p].kind == entryFlush {
			choice = append(choice, p)
		}
	}
	return choice[rnd.IntN(len(choice))]
}

// randomInTime returns the position at a random time between two positions.
func (l *writeLog) randomInTime(rnd *rand.Rand, first, last int) int {
	from, to := l.entries[first-1].when, l.entries[last-1].when
	return max(first, l.positionAt(from+upTo(rnd, to-from+1)))
}

// keeps returns what decides whether a part of a write that was not flushed is
// there.
func (l loss) keeps(rnd *rand.Rand) func(newRequest bool) bool {
	kept := true
	return func(newRequest bool) bool {
		if l == losePages || l == loseWrites && newRequest {
			kept = rnd.IntN(2) == 0
		}
		return kept
	}
}

// replay does to s what entries [from, to) of the log did, but what keeps
// refuses.
func (l *writeLog) replay(s store, from, to int, keeps func(newRequest bool) bool) error {
	for _, e := range l.entries[from:to] {
		if e.kind == entryFlush {
			continue
		}
		var data []byte
		if e.kind == entryWrite {
			var err error
			if data, err = l.data(e); err != nil {
				return err
			}
		}
		first := true
		err := eachPage(e.off, e.n, func(page, from, to int64) error {
			kept := keeps(first) || e.fua
			first = false
			off := page*pageSize + from
			switch {
			case !kept:
				return nil
			case e.kind == entryWrite:
				_, err := s.WriteAt(data[off-e.off:][:to-from], off)
				return err
			}
			return s.zero(off, to-from)
		})
		if err != nil {
			return fmt.Errorf("the log cannot be replayed: %w", err)
		}
	}
	return nil
}

func keepAll(bool) bool { return true }

// rebuilder makes a disk as crashes leave it. Crashes come in the order of
// their positions.
type rebuilder struct {
	log  *writeLog
	base fileStore // as of the entry done, with nothing lost
	done int
}

// disk returns the disk after the crash.
func (r *rebuilder) disk(c crash, rnd *rand.Rand) (*overlay, error) {
	safe := r.log.lastFlush(c.position)
	if safe > r.done {
		if err := r.log.replay(r.base, r.done, safe, keepAll); err != nil {
			return nil, err
		}
		r.done = safe
	}
	o := newOverlay(r.base)
	// Before safe is nothing that could be lost any more, if flushes came late.
	return o, r.log.replay(o, safe, c.position, c.loss.keeps(rnd))
}
