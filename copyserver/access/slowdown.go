package access

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// After some failures every further try from an address has to wait its turn,
// longer each time, and is turned away when the queue is too long. Tries for
// a user are delayed too, wherever they come from, but never turned away:
// nobody can lock a user out from elsewhere. Right passwords that are still
// remembered pass by all of this.
const (
	freeByAddress  = 3
	delayByAddress = 250 * time.Millisecond // doubled with every failure, up to
	mostByAddress  = 8 * time.Second

	freeByUser  = 10
	delayByUser = 100 * time.Millisecond // doubled with every failure, up to
	mostByUser  = 2 * time.Second

	longestQueue = 10 * time.Second
	// forgetAfter the last failure the count starts anew.
	forgetAfter = 10 * time.Minute
	// maxTracked bounds the memory: the stalest makes room.
	maxTracked = 4096
)

// TooMany says that a login was not even tried because of the failures
// before it.
type TooMany struct {
	RetryAfter time.Duration
	err        *fault.Error
}

func (e *TooMany) Error() string { return e.err.Error() }

// Unwrap returns the fault, of kind Denied.
func (e *TooMany) Unwrap() error { return e.err }

type slowdown struct {
	mu        sync.Mutex
	users     map[string]*failures // by taskstore.Key of the name, known or not
	addresses map[netip.Prefix]*failures
}

type failures struct {
	count int
	last  time.Time
	free  time.Time // when the next try may begin
}

func newSlowdown() *slowdown {
	return &slowdown{users: map[string]*failures{}, addresses: map[netip.Prefix]*failures{}}
}

// wait returns when a try may begin. turn says that it had to wait for it.
func (s *slowdown) wait(
	ctx context.Context, user string, from netip.Addr,
) (turn bool, err error) {
	d, turn := s.reserve(user, from)
	if d > longestQueue {
		err := fault.New(fault.Denied, "too many failed logins from %s", from.Unmap()).
			WithHint("try again in %d seconds", int(d.Seconds())+1)
		return false, &TooMany{d, err}
	}
	if d <= 0 {
		return turn, nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return turn, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// reserve takes the next turn of the address, if it hands out turns, and says
// how far off the try is. Beyond longestQueue it takes none. A turn counts as
// a failure until passed says otherwise, so that a queue grows steeper too.
func (s *slowdown) reserve(user string, from netip.Addr) (d time.Duration, turn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	f := s.addresses[prefixOf(from)]
	if turn = f.handsOut(now); turn {
		start := later(now, f.free)
		if d = start.Sub(now); d > longestQueue {
			return d, false
		}
		f.free = start.Add(f.delay(freeByAddress, delayByAddress, mostByAddress))
		f.count++
	}
	if f := s.users[userKey(user)]; f.matters(now) && f.count > freeByUser {
		d = max(d, f.delay(freeByUser, delayByUser, mostByUser))
	}
	return d, turn
}

// wantsTurn reports whether tries from an address need a turn by now.
func (s *slowdown) wantsTurn(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addresses[prefixOf(from)].handsOut(time.Now())
}

// failed counts a failure, of a try that had a turn or not.
func (s *slowdown) failed(user string, from netip.Addr, turn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	count(s.users, userKey(user), now)
	f := count(s.addresses, prefixOf(from), now)
	if turn && f.count > 1 {
		f.count--
	}
	if f.count > freeByAddress {
		f.free = later(f.free, now.Add(f.delay(freeByAddress, delayByAddress, mostByAddress)))
	}
}

// passed takes back that a turn counted as a failure.
func (s *slowdown) passed(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.addresses[prefixOf(from)]; f != nil && f.count > 0 {
		f.count--
	}
}

// count adds a failure, to a new count when the old one has been forgotten.
func count[K comparable](all map[K]*failures, key K, now time.Time) *failures {
	f := all[key]
	if !f.matters(now) {
		makeRoom(all)
		f = &failures{}
		all[key] = f
	}
	f.count++
	f.last = now
	return f
}

// makeRoom drops the stalest of a full map.
func makeRoom[K comparable](all map[K]*failures) {
	if len(all) < maxTracked {
		return
	}
	var stalest K
	var last time.Time
	for key, f := range all {
		if last.IsZero() || f.last.Before(last) {
			stalest, last = key, f.last
		}
	}
	delete(all, stalest)
}

func (f *failures) matters(now time.Time) bool {
	return f != nil && now.Sub(f.last) < forgetAfter
}

func (f *failures) handsOut(now time.Time) bool {
	return f.matters(now) && f.count > freeByAddress
}

// delay doubles with every failure beyond the free ones.
func (f *failures) delay(free int, first, most time.Duration) time.Duration {
	d := first
	for i := free + 1; i < f.count && d < most; i++ {
		d *= 2
	}
	return min(d, most)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// maxTrackedName bounds the memory that invented names can take.
const maxTrackedName = 4 * taskstore.MaxName // bytes: no user has a longer one

func userKey(name string) string {
	return taskstore.Key(name[:min(len(name), maxTrackedName)])
}

// prefixOf counts an IPv6 network as one: whoever has an address of a /64
// has all of them.
func prefixOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // of no address at all: they share one
	}
	return p
}
