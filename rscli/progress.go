package rscli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	barWidth     = 30
	barInterval  = 100 * time.Millisecond
	minimumForIt = 2 * time.Second // running time from which the rest is guessed
)

// progress is a bar on a terminal, on one line that it redraws. A nil
// progress draws nothing, so that callers need not ask.
type progress struct {
	w      io.Writer
	label  string
	now    func() time.Time
	start  time.Time
	drawn  time.Time
	length int // of the line on the screen
}

// newProgress returns a bar on stderr, nil where that is no terminal or the
// user wants no bar.
func (e *Env) newProgress(label string) *progress {
	if e.Quiet || e.JSON || !e.IsTerminal(e.Stderr) {
		return nil
	}
	return &progress{w: e.Stderr, label: oneLine(label), now: time.Now, start: time.Now()}
}

// update shows done of total; the unit does not matter. A total of 0 or less
// is not known.
func (p *progress) update(done, total int64) {
	if p == nil {
		return
	}
	now := p.now()
	if now.Sub(p.drawn) < barInterval && done != total {
		return
	}
	p.drawn = now
	if total <= 0 {
		p.draw(fmt.Sprintf("%s %s", p.label, now.Sub(p.start).Round(time.Second)))
		return
	}
	done = min(max(done, 0), total)
	full := int(float64(done) / float64(total) * barWidth)
	bar := strings.Repeat("#", full) + strings.Repeat(".", barWidth-full)
	percent := int(float64(done) / float64(total) * 100)
	p.draw(fmt.Sprintf("%s [%s] %3d %%%s", p.label, bar, percent, p.rest(now, done, total)))
}

// rest guesses the time that is left from the pace so far.
func (p *progress) rest(now time.Time, done, total int64) string {
	ran := now.Sub(p.start)
	if done == 0 || done == total || ran < minimumForIt {
		return ""
	}
	left := time.Duration(float64(ran) * float64(total-done) / float64(done))
	return fmt.Sprintf(", %s left", left.Round(time.Second))
}

func (p *progress) draw(line string) {
	fmt.Fprintf(p.w, "\r%-*s", p.length, line)
	p.length = len(line)
}

// end takes the bar off the screen.
func (p *progress) end() {
	if p != nil && p.length > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", p.length, "")
		p.length = 0
	}
}
