package access

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
)

// TestLineGivesEachAddressItsTurn: one that sends many tries does not keep the
// one of another waiting behind them all.
func TestLineGivesEachAddressItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(1)
		if err := l.enter(t.Context(), remote); err != nil {
			t.Fatal(err)
		}
		order := make(chan netip.Addr, 100)
		try := func(ctx context.Context, from netip.Addr) {
			go func() {
				if l.enter(ctx, from) == nil {
					order <- from
					l.leave()
				}
			}()
			synctest.Wait()
		}
		impatient, leave := context.WithCancel(t.Context())
		try(impatient, other)
		for range 60 {
			try(t.Context(), remote)
		}
		try(t.Context(), other)
		leave()
		synctest.Wait()
		l.leave()
		synctest.Wait()
		if first, second := <-order, <-order; first != other && second != other {
			t.Errorf("the other address waits behind %v and %v", first, second)
		}
		if len(order) != 59 || l.taken != 0 || len(l.turns) != 0 || len(l.waiting) != 0 {
			t.Errorf("%d were not served, %d slots are taken, %v wait", 59-len(order), l.taken, l.turns)
		}
	})
}
