package quota

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
)

// Places limits connections. One that is not served yet is a newcomer: it may
// have to make way for another. One that is served never has to. The methods may
// be called from many goroutines at once.
type Places struct {
	newcomers int // at most
	served    int // at most

	mu      sync.Mutex
	waiting *list.List     // of *Place, the oldest first
	from    map[string]int // how many of waiting are from an address
	serving int
	owners  map[string]int // how many of serving each owner has
}

// NewPlaces returns room for so many connections of each sort.
func NewPlaces(newcomers, served int) *Places {
	return &Places{
		newcomers: newcomers, served: served, waiting: list.New(),
		from: make(map[string]int), owners: make(map[string]int),
	}
}

// Place is what one connection has of Places.
type Place struct {
	places  *Places
	address string
	owner   string // while it is served
	evict   func()
	waiting *list.Element // nil unless it is a newcomer
	serving bool
}

// Enter lets a connection from an address in as a newcomer. When there are too
// many, the one that has waited longest of the address that has most makes way:
// its evict is called, which must not wait, and it has no place any more.
func (p *Places) Enter(address string, evict func()) *Place {
	pl := &Place{places: p, address: address, evict: evict}
	p.mu.Lock()
	loser := p.wait(pl)
	p.mu.Unlock()
	if loser != nil {
		loser.evict()
	}
	return pl
}

// Serving returns how many connections are served.
func (p *Places) Serving() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.serving
}

// wait makes pl a newcomer and returns who has to make way, or nil. The caller
// holds mu.
func (p *Places) wait(pl *Place) (loser *Place) {
	if p.waiting.Len() >= p.newcomers {
		loser = p.oldest()
		loser.leave()
	}
	pl.waiting = p.waiting.PushBack(pl)
	p.from[pl.address]++
	return loser
}

// oldest returns the newcomer that has waited longest of the address that has
// most of them. The caller holds mu.
func (p *Places) oldest() *Place {
	var found *Place
	for e := p.waiting.Front(); e != nil; e = e.Next() {
		pl := e.Value.(*Place)
		if found == nil || p.from[pl.address] > p.from[found.address] {
			found = pl
		}
	}
	return found
}

// Serve makes a newcomer one that is served, for the owner: by that name it is
// counted. It reports false when the owner has more than are left, or when the
// newcomer had to make way. One that is served already stays so.
func (pl *Place) Serve(owner string) bool {
	p := pl.places
	p.mu.Lock()
	defer p.mu.Unlock()
	if pl.serving {
		return true
	}
	left := p.served - p.serving
	if pl.waiting == nil || left == 0 || p.owners[owner] > left {
		return false
	}
	pl.leave()
	pl.serving, pl.owner = true, owner
	p.serving++
	p.owners[owner]++
	return true
}

// Rest makes a newcomer again of one that is served. One that had to make way
// stays so.
func (pl *Place) Rest() {
	p := pl.places
	p.mu.Lock()
	var loser *Place
	if pl.serving {
		pl.leave()
		loser = p.wait(pl)
	}
	p.mu.Unlock()
	if loser != nil {
		loser.evict()
	}
}

// Leave gives the place up, once or more often.
func (pl *Place) Leave() {
	pl.places.mu.Lock()
	defer pl.places.mu.Unlock()
	pl.leave()
}

func (pl *Place) leave() {
	p := pl.places
	if pl.waiting != nil {
		p.waiting.Remove(pl.waiting)
		pl.waiting = nil
		less(p.from, pl.address)
	}
	if pl.serving {
		pl.serving = false
		p.serving--
		less(p.owners, pl.owner)
	}
}

func less(counts map[string]int, key string) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// AddressOf returns what clients are counted by that are not known better: the
// address without its port, of IPv6 the network, all of which one machine has.
func AddressOf(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String()
	}
	ip := tcp.AddrPort().Addr().Unmap()
	if ip.Is4() {
		return ip.String()
	}
	const network = 64
	return netip.PrefixFrom(ip.WithZone(""), network).Masked().String()
}
