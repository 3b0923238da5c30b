package access

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

// line hands out slots. Where tries from several addresses wait for one, each
// address has its turn: who sends many waits behind the others.
type line struct {
	slots int // there are

	mu      sync.Mutex
	taken   int
	turns   []netip.Prefix // of the addresses that wait, the next first
	waiting map[netip.Prefix][]chan struct{}
}

func newLine(slots int) *line {
	return &line{slots: slots, waiting: map[netip.Prefix][]chan struct{}{}}
}

// enter waits for a slot. leave gives it back.
func (l *line) enter(ctx context.Context, from netip.Addr) error {
	address := prefixOf(from)
	l.mu.Lock()
	if l.taken < l.slots {
		l.taken++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	if len(l.waiting[address]) == 0 {
		l.turns = append(l.turns, address)
	}
	l.waiting[address] = append(l.waiting[address], turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		l.giveUp(address, turn)
		return ctx.Err()
	}
}

// giveUp takes a try out of the line, or gives back the slot it got just now.
func (l *line) giveUp(address netip.Prefix, turn chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting[address], turn)
	if i < 0 {
		l.next()
		return
	}
	l.remove(address, i)
	if len(l.waiting[address]) == 0 {
		l.turns = slices.DeleteFunc(l.turns, func(a netip.Prefix) bool { return a == address })
	}
}

func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next()
}

// next hands a slot on. The caller holds mu.
func (l *line) next() {
	if len(l.turns) == 0 {
		l.taken--
		return
	}
	address := l.turns[0]
	l.turns = l.turns[1:]
	close(l.waiting[address][0])
	l.remove(address, 0)
	if len(l.waiting[address]) > 0 {
		l.turns = append(l.turns, address)
	}
}

func (l *line) remove(address netip.Prefix, i int) {
	rest := slices.Delete(l.waiting[address], i, i+1)
	if l.waiting[address] = rest; len(rest) == 0 {
		delete(l.waiting, address)
	}
}
