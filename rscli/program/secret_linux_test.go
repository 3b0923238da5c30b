package program_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore/result"
)

func TestSecretIsNotShown(t *testing.T) {
	p := rsclitest.OpenTerminal(t)
	if !program.IsTerminal(p.Slave) || !program.IsTerminal(&result.Writer{W: p.Slave}) {
		t.Error("a terminal is not taken for one")
	}
	type answer struct {
		secret string
		err    error
	}
	got := make(chan answer)
	go func() {
		secret, err := program.ReadSecret(t.Context(), p.Slave)
		got <- answer{secret, err}
	}()
	rsclitest.WaitFor(t, "the end of the echo", func() bool { return !p.Echoes() })
	p.Send("s3cret\r")
	if a := <-got; a.secret != "s3cret" || a.err != nil {
		t.Errorf("read %q, %v", a.secret, a.err)
	}
	if !p.Echoes() || strings.Contains(p.Written(), "s3cret") {
		t.Errorf("echo is %v, the screen is %q", p.Echoes(), p.Written())
	}
}

func TestInterruptedSecretGivesTheEchoBack(t *testing.T) {
	p := rsclitest.OpenTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() {
		_, err := program.ReadSecret(ctx, p.Slave)
		got <- err
	}()
	rsclitest.WaitFor(t, "the end of the echo", func() bool { return !p.Echoes() })
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) || !p.Echoes() {
		t.Errorf("%v, echo is %v", err, p.Echoes())
	}
	p.Send("\r") // lets the reading goroutine end
}

func TestNoTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if program.IsTerminal(f) || program.IsTerminal(strings.NewReader("")) {
		t.Error("what is no terminal is taken for one")
	}
	if _, err := program.ReadSecret(t.Context(), f); err == nil {
		t.Error("a secret was read from /dev/null")
	}
	if _, err := program.ReadSecret(t.Context(), strings.NewReader("x")); err == nil {
		t.Error("a secret was read from memory")
	}
}
