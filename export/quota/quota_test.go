package quota

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

const mib = 1 << 20

// fill takes pieces for an account until it gets no more.
func fill(a *Account, piece int64) (taken int64) {
	for a.Take(piece) {
		taken += piece
	}
	return taken
}

// TestGreedLeavesMemory: whatever clients come before, and keep, the next gets
// something, and that of another owner much.
func TestGreedLeavesMemory(t *testing.T) {
	m := NewMemory(128*mib, 8)
	var greedy int64
	for i := range 64 {
		got := fill(m.Open("one"), mib)
		if greedy += got; i == 0 && got < 8*mib {
			t.Errorf("alone it gets %d MiB", got/mib)
		}
	}
	if greedy > 64*mib {
		t.Errorf("one owner holds %d MiB of 128", greedy/mib)
	}
	if got := fill(m.Open("two"), 64<<10); got < 4*mib {
		t.Errorf("another owner gets %d KiB", got>>10)
	}
	if m.Used() > 128*mib {
		t.Errorf("%d MiB are used", m.Used()/mib)
	}
}

func TestMemoryComesBack(t *testing.T) {
	m := NewMemory(16*mib, 2)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			a := m.Open(fmt.Sprint(i % 3))
			defer a.Close()
			for range 1000 {
				if a.Take(mib) {
					if used := m.Used(); used < mib {
						t.Errorf("%d bytes are used", used)
					}
					a.Give(mib)
				}
			}
		})
	}
	all.Wait()
	if m.Used() != 0 || len(m.owners) != 0 {
		t.Errorf("%d bytes and %d owners are left", m.Used(), len(m.owners))
	}
}

// visitor is a connection that knows whether it had to make way.
type visitor struct {
	*Place
	gone bool
}

func enter(p *Places, address string) *visitor {
	v := &visitor{}
	v.Place = p.Enter(address, func() { v.gone = true })
	return v
}

// TestOldestNewcomerMakesWay, of the address that has most of them; who is served
// stays.
func TestOldestNewcomerMakesWay(t *testing.T) {
	p := NewPlaces(4, 10)
	served, lone := enter(p, "flood"), enter(p, "lone")
	if !served.Serve("host") {
		t.Fatal("the first is not served")
	}
	var flood []*visitor
	for range 100 {
		flood = append(flood, enter(p, "flood"))
	}
	for i, v := range flood {
		if gone := i < len(flood)-3; v.gone != gone {
			t.Errorf("newcomer %d: gone is %v", i, v.gone)
		}
	}
	if lone.gone || served.gone || !served.Serve("host") {
		t.Error("another made way for the flood")
	}
	if !lone.Serve("lone") || flood[0].Serve("flood") || !flood[99].Serve("flood") {
		t.Error("the wrong ones are served")
	}
}

// TestOwnersLeavePlaces: an owner gets about as many as it leaves.
func TestOwnersLeavePlaces(t *testing.T) {
	p := NewPlaces(4, 16)
	got := map[string]int{}
	var first *visitor
	for _, owner := range []string{"a", "b", "c"} {
		for range 20 {
			v := enter(p, owner)
			if v.Serve(owner) {
				got[owner]++
				first = v
			}
			v.Rest()
			v.Serve(owner)
		}
	}
	if got["a"] != 9 || got["b"] != 4 || got["c"] != 2 {
		t.Errorf("the owners have %v of 16", got)
	}
	first.Leave()
	first.Leave()
	if first.Serve("c") {
		t.Error("it is served after it left")
	}
	if v := enter(p, "c"); !v.Serve("c") {
		t.Error("a place that was given up is lost")
	}
}

func TestAddressOf(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7", "[::ffff:192.0.2.7]:2": "192.0.2.7",
		"[2001:db8::1]:3": "2001:db8::/64", "[fe80::1%eth0]:4": "fe80::/64",
	} {
		addr, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := AddressOf(addr); got != want {
			t.Errorf("%s counts as %s, want %s", text, got, want)
		}
	}
}
