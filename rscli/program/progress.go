package program

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"copyservices/taskstore/result"
)

const (
	barWidth     = 30 // columns, where there is room
	barLeast     = 8  // else there is none
	barInterval  = 100 * time.Millisecond
	minimumForIt = 2 * time.Second // running time from which pace and rest are guessed
	// defaultColumns is the width of a terminal that does not tell its own.
	defaultColumns = 80
)

// Progress is a bar on a terminal, on one line that it redraws. A nil
// progress draws nothing, so that callers need not ask.
type Progress struct {
	w       io.Writer
	label   string
	bytes   bool // what is counted are bytes, which are shown with their rate
	columns func() int
	now     func() time.Time
	start   time.Time
	drawn   time.Time
	length  int // of the line on the screen, in columns
}

// NewProgress returns a bar on stderr, nil where that is no terminal, or one that
// cannot redraw a line, or where the user wants no bar.
func (e *Env) NewProgress(label string) *Progress {
	if e.Quiet || e.JSON || !e.IsTerminal(e.Stderr) || e.Getenv("TERM") == "dumb" {
		return nil
	}
	columns := func() int { return e.Columns(e.Stderr) }
	return &Progress{
		w: e.Stderr, label: result.OneLine(label), columns: columns, now: time.Now, start: time.Now(),
	}
}

// NewByteProgress returns a bar for a number of bytes.
func (e *Env) NewByteProgress(label string) *Progress {
	p := e.NewProgress(label)
	if p != nil {
		p.bytes = true
	}
	return p
}

// Update shows done of total. A total of 0 or less is not known.
func (p *Progress) Update(done, total int64) {
	if p == nil {
		return
	}
	now := p.now()
	if now.Sub(p.drawn) < barInterval && done != total {
		return
	}
	p.drawn = now
	p.draw(p.line(now.Sub(p.start), done, total))
}

// line puts together what fits the terminal: the label and how far it is come
// first, then the bar, the rest of the time, the bytes and their rate. The last
// column stays free: what is written there moves the cursor of some terminals.
func (p *Progress) line(ran time.Duration, done, total int64) string {
	room := p.room()
	if total <= 0 {
		return cut(strings.Join(append([]string{p.label + " " + ran.Round(time.Second).String()},
			p.amounts(ran, done, 0)...), ", "), room)
	}
	done = min(max(done, 0), total)
	part := float64(done) / float64(total)
	tail := fmt.Sprintf("%3d %%", int(part*100))
	if len(tail)+2 > room {
		return cut(strings.TrimSpace(tail), room)
	}
	label := cut(p.label, room-len(tail)-1)
	free := room - utf8.RuneCountInString(label) - len(tail) - 1
	for _, detail := range append(restOf(ran, done, total), p.amounts(ran, done, total)...) {
		if detail = ", " + detail; len(detail) > free-barLeast-3 {
			break
		}
		tail += detail
		free -= len(detail)
	}
	bar := ""
	if width := min(barWidth, free-3); width >= barLeast {
		full := int(part * float64(width))
		bar = "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "] "
	}
	return label + " " + bar + tail
}

func (p *Progress) room() int {
	columns := defaultColumns
	if p.columns != nil {
		if n := p.columns(); n > 0 {
			columns = n
		}
	}
	return max(columns-1, 1)
}

// amounts are the bytes done and their rate, nothing where no bytes are counted.
func (p *Progress) amounts(ran time.Duration, done, total int64) []string {
	if !p.bytes {
		return nil
	}
	amount := RoughSize(done)
	if total > 0 {
		amount += " of " + RoughSize(total)
	}
	if ran < minimumForIt {
		return []string{amount}
	}
	return []string{amount, RoughSize(int64(float64(done)/ran.Seconds())) + "/s"}
}

// restOf guesses the time that is left from the pace so far.
func restOf(ran time.Duration, done, total int64) []string {
	if done == 0 || done == total || ran < minimumForIt {
		return nil
	}
	left := time.Duration(float64(ran) * float64(total-done) / float64(done))
	return []string{left.Round(time.Second).String() + " left"}
}

// cut shortens text to so many columns, with an ellipsis where there is room for
// one.
func cut(text string, columns int) string {
	runes := []rune(text)
	switch {
	case len(runes) <= columns:
		return text
	case columns <= 3:
		return string(runes[:max(columns, 0)])
	}
	return string(runes[:columns-3]) + "..."
}

// draw pads with blanks over what a longer line left, but never beyond the line:
// a terminal that has become narrower shows the rest of the old one itself.
func (p *Progress) draw(line string) {
	length := utf8.RuneCountInString(line)
	blanks := max(min(p.length, p.room())-length, 0)
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", blanks))
	p.length = length
}

// End takes the bar off the screen.
func (p *Progress) End() {
	if p != nil && p.length > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", min(p.length, p.room()), "")
		p.length = 0
	}
}
