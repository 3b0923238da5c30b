package nbd

import (
	"sync/atomic"
	"time"
)

// stallPeriod is how often a busy reader is looked at. A request that it is
// found with twice loses it the role.
const stallPeriod = time.Millisecond

// turn guards the reader's role. The reader does not hand a request that
// should be fast to another goroutine, which would cost more than the
// request. It announces it with begin; when end comes late, the role has gone
// to another goroutine meanwhile, so that no request stalls those behind it.
type turn struct {
	// state is odd while the reader is at a request, and never the same for
	// two requests.
	state atomic.Uint64
	// watched is set while timer is due. The timer rests with the reader, so
	// that an idle connection costs nothing.
	watched atomic.Bool
	seen    atomic.Uint64 // state at the last look
	timer   *time.Timer
	lost    func()
}

// init sets what to call, on its own goroutine, when the role is lost.
func (t *turn) init(lost func()) {
	t.lost = lost
	t.timer = time.AfterFunc(time.Hour, t.look)
	t.timer.Stop()
}

// begin announces a request and returns the ticket that ends it.
func (t *turn) begin() uint64 {
	ticket := t.state.Add(1)
	t.watch()
	return ticket
}

// end reports whether the reader still has its role.
func (t *turn) end(ticket uint64) bool {
	return t.state.CompareAndSwap(ticket, ticket+1)
}

func (t *turn) watch() {
	if !t.watched.Load() && t.watched.CompareAndSwap(false, true) {
		t.timer.Reset(stallPeriod)
	}
}

func (t *turn) stop() { t.timer.Stop() }

// look is the timer's function.
func (t *turn) look() {
	now := t.state.Load()
	switch {
	case t.seen.Swap(now) != now:
		t.timer.Reset(stallPeriod)
	case now&1 == 1:
		t.watched.Store(false)
		if t.state.CompareAndSwap(now, now+1) {
			t.lost()
		}
	default:
		// begin may just have seen watched still set: look again.
		t.watched.Store(false)
		if t.state.Load() != now {
			t.watch()
		}
	}
}

// paces of requests, each judged by itself.
const (
	paceRead = iota
	paceWrite
	paceOther // flush and the like, and writes that include one
	paces
)

const (
	// slowRequest is the time from which a request should have gone to a
	// worker: several times what the hand-over costs.
	slowRequest = 100 * time.Microsecond
	// slowWeight is how many fast requests make up for a slow one. A single
	// one may be the scheduler's doing: it takes two to be slow.
	slowWeight = 16
	maxDebt    = 4 * slowWeight
)

// pace remembers whether requests have been slow lately. Updates that are
// lost to a race do not matter.
type pace struct{ debt atomic.Int32 }

func (p *pace) slow() bool { return p.debt.Load() > slowWeight }

// note takes the time of one request.
func (p *pace) note(d time.Duration) {
	debt := p.debt.Load()
	switch {
	case d >= stallPeriod:
		p.debt.Store(maxDebt)
	case d >= slowRequest:
		p.debt.Store(min(debt+slowWeight, maxDebt))
	case debt > 0:
		p.debt.Store(debt - 1)
	}
}

// pace returns the class that r is judged in.
func (r *request) pace() int {
	switch {
	case r.kind == cmdRead:
		return paceRead
	case r.kind == cmdWrite && r.flags&cmdFlagFUA == 0:
		return paceWrite
	}
	return paceOther
}
