package program_test

import (
	"testing"

	"copyservices/rscli/rsclitest"
)

func TestNoBarWithoutATerminal(t *testing.T) {
	b := rsclitest.NewBench(t)
	p := b.NewProgress("copy")
	p.Update(1, 2)
	p.End()
	b.Terminal, b.JSON = true, true
	if p != nil || b.NewProgress("copy") != nil || b.Err.Len() > 0 {
		t.Errorf("a bar was drawn: %q", &b.Err)
	}
}

func TestNoBarOnADumbTerminal(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Terminal, b.Vars["TERM"] = true, "dumb"
	if b.NewProgress("copy") != nil {
		t.Error("a bar would be drawn")
	}
}
