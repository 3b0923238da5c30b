package rest

import (
	"testing"
	"time"
)

func TestKeyLock(t *testing.T) {
	var locks keyLocks
	unlock, err := locks.lock(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	other, err := locks.lock(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	other()
	got := make(chan struct{})
	go func() {
		again, err := locks.lock(t.Context(), "k")
		if err == nil {
			again()
		}
		close(got)
	}()
	select {
	case <-got:
		t.Error("locked twice")
	case <-time.After(20 * time.Millisecond):
	}
	unlock()
	<-got
	if len(locks.held) != 0 {
		t.Errorf("still held: %v", locks.held)
	}
}
