package rscli

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"copyservices/taskstore/result"
)

func TestSecretIsNotShown(t *testing.T) {
	p := openTerminal(t)
	if !isTerminal(p.slave) || !isTerminal(&result.Writer{W: p.slave}) {
		t.Error("a terminal is not taken for one")
	}
	type answer struct {
		secret string
		err    error
	}
	got := make(chan answer)
	go func() {
		secret, err := readSecret(t.Context(), p.slave)
		got <- answer{secret, err}
	}()
	waitFor(t, "the end of the echo", func() bool { return !p.echoes() })
	p.send("s3cret\r")
	if a := <-got; a.secret != "s3cret" || a.err != nil {
		t.Errorf("read %q, %v", a.secret, a.err)
	}
	if !p.echoes() || strings.Contains(p.written(), "s3cret") {
		t.Errorf("echo is %v, the screen is %q", p.echoes(), p.written())
	}
}

func TestInterruptedSecretGivesTheEchoBack(t *testing.T) {
	p := openTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() {
		_, err := readSecret(ctx, p.slave)
		got <- err
	}()
	waitFor(t, "the end of the echo", func() bool { return !p.echoes() })
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) || !p.echoes() {
		t.Errorf("%v, echo is %v", err, p.echoes())
	}
	p.send("\r") // lets the reading goroutine end
}

func TestNoTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) || isTerminal(strings.NewReader("")) {
		t.Error("what is no terminal is taken for one")
	}
	if _, err := readSecret(t.Context(), f); err == nil {
		t.Error("a secret was read from /dev/null")
	}
	if _, err := readSecret(t.Context(), strings.NewReader("x")); err == nil {
		t.Error("a secret was read from memory")
	}
}
