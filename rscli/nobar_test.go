package rscli

import (
	"testing"
)

func TestNoBarWithoutATerminal(t *testing.T) {
	b := newBench(t)
	p := b.newProgress("copy")
	p.update(1, 2)
	p.end()
	b.terminal, b.JSON = true, true
	if p != nil || b.newProgress("copy") != nil || b.stderr.Len() > 0 {
		t.Errorf("a bar was drawn: %q", &b.stderr)
	}
}

func TestNoBarOnADumbTerminal(t *testing.T) {
	b := newBench(t)
	b.terminal, b.vars["TERM"] = true, "dumb"
	if b.newProgress("copy") != nil {
		t.Error("a bar would be drawn")
	}
}
