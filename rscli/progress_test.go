package rscli

import (
	"strings"
	"testing"
	"time"
)

func TestProgressBar(t *testing.T) {
	var screen strings.Builder
	now := time.Unix(0, 0)
	p := &progress{w: &screen, label: "copy", now: func() time.Time { return now }, start: now}
	p.update(0, 100)
	p.update(1, 100) // too soon to be drawn
	now = now.Add(10 * time.Second)
	p.update(50, 100)
	now = now.Add(time.Second)
	p.update(200, 100)
	p.end()
	p.end()
	frames := strings.Split(strings.TrimPrefix(screen.String(), "\r"), "\r")
	want := []string{
		"copy [" + strings.Repeat(".", 30) + "]   0 %",
		"copy [" + strings.Repeat("#", 15) + strings.Repeat(".", 15) + "]  50 %, 10s left",
		"copy [" + strings.Repeat("#", 30) + "] 100 %",
		"", "",
	}
	if len(frames) != len(want) {
		t.Fatalf("frames %q", frames)
	}
	for i, frame := range frames {
		if strings.TrimRight(frame, " ") != want[i] {
			t.Errorf("frame %d is %q, want %q", i, frame, want[i])
		}
	}
	if len(frames[2]) != len(frames[1]) {
		t.Errorf("a shorter line leaves a rest of the longer one: %q after %q", frames[2], frames[1])
	}
}

func TestProgressOfUnknownLength(t *testing.T) {
	var screen strings.Builder
	p := &progress{w: &screen, label: "copy", now: time.Now, start: time.Now()}
	p.update(5, 0)
	if got := screen.String(); got != "\rcopy 0s" {
		t.Errorf("drew %q", got)
	}
}

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
