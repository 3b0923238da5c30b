//go:build unix

package rscli

import (
	"os/signal"
	"syscall"
	"testing"
)

func TestIgnoredHangupStaysIgnored(t *testing.T) {
	if n := len(endingSignals()); n != 3 {
		t.Errorf("%d signals end a command", n)
	}
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	for _, sig := range endingSignals() {
		if sig == syscall.SIGHUP {
			t.Error("a command under nohup ends with SIGHUP")
		}
	}
}
