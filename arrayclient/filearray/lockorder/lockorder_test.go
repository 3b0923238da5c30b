package lockorder

import (
	"fmt"
	"strings"
	"testing"
)

type (
	outer struct{}
	inner struct{}
	gates struct{}
)

func (outer) Place() int     { return 1 }
func (outer) String() string { return "outer" }
func (inner) Place() int     { return 2 }
func (inner) String() string { return "inner" }
func (gates) Place() int     { return 3 }
func (gates) String() string { return "gates" }
func (gates) Many()          {}

// broken returns with what act panics, empty where it does not.
func broken(act func()) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprint(p)
		}
	}()
	act()
	return ""
}

// TestOrder: what is against the order panics in a build that checks it, and only there.
func TestOrder(t *testing.T) {
	var (
		o    Mutex[outer]
		i    RWMutex[inner]
		many [2]RWMutex[gates]
		part Ranges[outer]
	)
	for _, c := range []struct {
		name string
		act  func()
		want string // empty: nothing is wrong
	}{
		{"in order", func() {
			o.Lock()
			defer o.Unlock()
			i.RLock()
			defer i.RUnlock()
		}, ""},
		{"against it", func() {
			i.RLock()
			defer i.RUnlock()
			o.Lock()
			defer o.Unlock()
		}, "outer is taken while inner is held"},
		{"twice", func() {
			i.RLock()
			defer i.RUnlock()
			i.RLock()
			defer i.RUnlock()
		}, "inner is taken while inner is held"},
		{"tried", func() {
			many[0].Lock()
			defer many[0].Unlock()
			if i.TryRLock() {
				defer i.RUnlock()
			}
		}, ""},
		{"several for writing", func() {
			for n := range many {
				many[n].Lock()
				defer many[n].Unlock()
			}
		}, ""},
		{"several for reading", func() {
			for n := range many {
				many[n].RLock()
				defer many[n].RUnlock()
			}
		}, "gates is taken while gates is held"},
		{"a part", func() {
			i.Lock()
			defer i.Unlock()
			part.Take()
			defer part.Release()
		}, "outer is taken while inner is held"},
	} {
		got := broken(c.act)
		switch {
		case !Checked && got != "":
			t.Errorf("%s: panics without the check: %s", c.name, got)
		case Checked && (got == "") != (c.want == "") || Checked && !strings.Contains(got, c.want):
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}
