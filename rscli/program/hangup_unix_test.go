//go:build unix

package program

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

func TestIgnoredHangupStaysIgnored(t *testing.T) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP) // the test itself may run under nohup
	if n := len(endingSignals()); n != 3 {
		t.Errorf("%d signals end a command", n)
	}
	signal.Ignore(syscall.SIGHUP)
	defer func() { // signal.Reset alone leaves it ignored
		signal.Notify(c, syscall.SIGHUP)
		signal.Stop(c)
	}()
	for _, sig := range endingSignals() {
		if sig == syscall.SIGHUP {
			t.Error("a command under nohup ends with SIGHUP")
		}
	}
}
