package program

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestProgressBar(t *testing.T) {
	var screen strings.Builder
	now := time.Unix(0, 0)
	p := &Progress{w: &screen, label: "copy", now: func() time.Time { return now }, start: now}
	p.Update(0, 100)
	p.Update(1, 100) // too soon to be drawn
	now = now.Add(10 * time.Second)
	p.Update(50, 100)
	now = now.Add(time.Second)
	p.Update(200, 100)
	p.End()
	p.End()
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
	p := &Progress{w: &screen, label: "copy", now: time.Now, start: time.Now()}
	p.Update(5, 0)
	if got := screen.String(); got != "\rcopy 0s" {
		t.Errorf("drew %q", got)
	}
}

// Whatever is shown fits the terminal, the last column free, so that no line wraps
// and is left behind.
func TestProgressFits(t *testing.T) {
	var screen strings.Builder
	columns := 0
	now := time.Unix(0, 0)
	for _, label := range []string{"x", "20313698", strings.Repeat("Übung ", 30)} {
		for columns = 1; columns <= 120; columns++ {
			p := &Progress{
				w: &screen, label: label, bytes: true, now: func() time.Time { return now },
				start: now.Add(-time.Minute), columns: func() int { return columns },
			}
			for _, total := range []int64{1 << 30, 0} {
				screen.Reset()
				p.drawn = time.Time{}
				p.Update(1<<29, total)
				for _, frame := range strings.Split(screen.String(), "\r") {
					if n := utf8.RuneCountInString(frame); n > max(columns-1, 1) {
						t.Errorf("%d columns on a terminal of %d: %q", n, columns, frame)
					}
				}
				if total > 0 && columns > 6 && !strings.Contains(screen.String(), "50 %") {
					t.Errorf("%d columns do not tell how far it is: %q", columns, &screen)
				}
			}
		}
	}
}

func TestProgressShowsBytesAndRate(t *testing.T) {
	p := &Progress{label: "v", bytes: true, columns: func() int { return 80 }}
	got := p.line(4*time.Second, 1<<29, 1<<30)
	want := "v [" + strings.Repeat("#", 15) + strings.Repeat(".", 15) +
		"]  50 %, 4s left, 512MiB of 1GiB, 128MiB/s"
	if got != want {
		t.Errorf("drew %q, want %q", got, want)
	}
	if got = p.line(4*time.Second, 1<<29, 0); got != "v 4s, 512MiB, 128MiB/s" {
		t.Errorf("of unknown length: %q", got)
	}
}
