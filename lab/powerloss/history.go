package main

import (
	"math"
	"slices"
	"sync"
)

// never is the position of what did not happen.
const never = math.MaxInt

// item is one thing that was put into a block: by a host's write, or by an act
// that made the volume an image.
type item struct {
	tokens []token // one of them is there; nil: it may be anything
	act    *act    // that put it there; nil for a host's write
	// source is the volume that the act made an image of, nil for none, and upTo
	// the last item of its block that the image may have.
	source *life
	upTo   int
	// issued is the position before it was asked for: a crash up to there cannot
	// find it. From durable on, a crash cannot find anything older.
	issued, durable int
}

// act is something that changed whole volumes between two positions, and at
// once: a crash in between finds it done on all of them, or on none.
type act struct {
	name     string
	from, to int
	volumes  []*life
}

// uncertain reports whether a crash at the position may have cut the act off.
func (a *act) uncertain(position int) bool { return a.from < position && position < a.to }

// life is a volume from its creation to its deletion.
type life struct {
	id              uint32
	created, erased act // of erased, from and to are never as long as it is there

	mu     sync.Mutex
	blocks []block
}

// block is what the harness knows of one block of a volume.
type block struct {
	items []item // in the order in which they took effect
	acked int    // index of the last one that was answered
	busy  bool   // a write is on its way
}

// newLife returns the life of a volume of zeros.
func newLife(id uint32, blocks int, created act) *life {
	l := &life{id: id, created: created, erased: act{from: never, to: never},
		blocks: make([]block, blocks)}
	for b := range l.blocks {
		l.blocks[b].items = []item{{tokens: []token{zeros}, issued: created.from, durable: created.to}}
	}
	return l
}

// begin notes that a host is about to write t to n blocks from first on, unless
// another write to one of them is on its way.
func (l *life) begin(first, n int, t token, position int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.blocks[first : first+n]
	if slices.ContainsFunc(list, func(b block) bool { return b.busy }) {
		return false
	}
	for i := range list {
		list[i].busy = true
		list[i].items = append(list[i].items,
			item{tokens: []token{t}, issued: position, durable: never})
	}
	return true
}

// end notes what became of a write: answered, and durable from a position on, or
// lost with the server. Then its content may or may not be there.
func (l *life) end(first, n int, answered bool, durable int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := first; i < first+n; i++ {
		b := &l.blocks[i]
		b.busy = false
		if answered {
			b.acked = len(b.items) - 1
			b.items[b.acked].durable = durable
		}
	}
}

// snapshot holds for each block the index of an item.
type snapshot []int

// answered returns the last items that were answered.
func (l *life) answered() snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := make(snapshot, len(l.blocks))
	for i := range l.blocks {
		s[i] = l.blocks[i].acked
	}
	return s
}

// promise notes that from the position on what s holds is durable.
func (l *life) promise(s snapshot, position int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, n := range s {
		it := &l.blocks[i].items[n]
		it.durable = min(it.durable, position)
	}
}

// image is what a volume was at some moment.
type image struct {
	source  *life
	content [][]token // of each block, nil for anything
	upTo    snapshot
}

// imageSince returns what the volume was at some moment between the snapshot and
// now.
func (l *life) imageSince(s snapshot) image {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := image{source: l, content: make([][]token, len(s)), upTo: make(snapshot, len(s))}
	for i, n := range s {
		items := l.blocks[i].items
		m.content[i], m.upTo[i] = union(items[n:]), len(items)-1
	}
	return m
}

// union returns all that items may have put into a block, nil for anything.
func union(items []item) []token {
	var out []token
	for _, it := range items {
		if it.tokens == nil {
			return nil
		}
		out = append(out, it.tokens...)
	}
	return out
}

// become notes that an act made the volume an image, durable when it was
// answered.
func (l *life) become(a *act, m image) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range m.content {
		b := &l.blocks[i]
		b.items = append(b.items, item{tokens: m.content[i], act: a, source: m.source,
			upTo: m.upTo[i], issued: a.from, durable: a.to})
		b.acked = len(b.items) - 1
	}
}

// becomeUnknown notes that an act left anything in the volume.
func (l *life) becomeUnknown(a *act) {
	l.become(a, image{content: make([][]token, len(l.blocks)), upTo: make(snapshot, len(l.blocks))})
}

// found narrows what the act made of block i to what was read of it. It reports
// whether that may be.
func (l *life) found(a *act, i int, t token) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.blocks[i]
	it := &b.items[len(b.items)-1]
	if it.act != a || it.tokens == nil {
		return true
	}
	if !slices.Contains(it.tokens, t) {
		return false
	}
	it.tokens = []token{t}
	return true
}

// possible returns what a crash at the position may leave in block i, nil for
// anything. Of an act that the crash cut off, done says whether it was done.
func (l *life) possible(i, position int, done bool) []token {
	return l.possibleUpTo(i, len(l.blocks[i].items)-1, position, done)
}

// possibleUpTo is possible without what came after item upTo.
func (l *life) possibleUpTo(i, upTo, position int, done bool) []token {
	var items []item
	for _, it := range l.blocks[i].items[:upTo+1] {
		if it.issued >= position {
			break
		}
		switch {
		case it.act != nil && it.act.uncertain(position):
			if done {
				return it.unanswered(i, position)
			}
		case it.durable <= position:
			items = append(items[:0], it)
		default:
			items = append(items, it)
		}
	}
	return union(items)
}

// unanswered returns what a crash may leave where an act was done but not
// answered: an image of its source, which had not yet to be durable.
func (it item) unanswered(i, position int) []token {
	if it.tokens == nil || it.source == nil {
		return nil
	}
	more := it.source.possibleUpTo(i, it.upTo, position, false)
	if more == nil {
		return nil
	}
	return append(slices.Clone(it.tokens), more...)
}

// cutOff returns the act on the volume that a crash at the position cut off, or
// nil.
func (l *life) cutOff(position int) *act {
	for _, it := range l.blocks[0].items {
		if it.act != nil && it.act.uncertain(position) {
			return it.act
		}
	}
	return nil
}
