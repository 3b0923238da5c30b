package connect

import (
	"context"
	"os"
	"testing"

	"copyservices/rscli/rsclitest"
)

func TestAskEndsWithTheContext(t *testing.T) {
	b := rsclitest.NewBench(t)
	silent, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	b.Stdin = silent
	tr := &trust{env: b.Env, pins: map[string]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.ask(ctx, "a:1", "sha256:00"); err != context.Canceled || len(tr.pins) > 0 {
		t.Errorf("ask: %v, pins %v", err, tr.pins)
	}
}
