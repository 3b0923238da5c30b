package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// verdict says whether a row reaches its aim.
type verdict int

const (
	noAim  verdict = iota
	open           // a figure that the aim is about is not there
	met            // the median reaches it
	missed         // it does not
)

func (v verdict) String() string {
	return map[verdict]string{noAim: "-", open: "open", met: "met", missed: "missed"}[v]
}

func verdictOf(reached bool) verdict {
	if reached {
		return met
	}
	return missed
}

// row is one line of a table; empty texts are printed as a dash.
type row struct {
	work    string
	ours    string // with its unit
	peers   string // their names and figures
	ratio   string
	aim     string
	reached verdict
}

// direction says which of two figures is the better one.
type direction int

const (
	less direction = iota // times, bytes
	more                  // throughput
)

// format prints one figure with its unit.
type format func(float64) string

// aim is what a figure, or the ratio of a row, should be. The zero aim is none.
type aim struct {
	text    string
	reached func(float64) bool
}

func atLeast(least float64, text string) aim {
	return aim{text, func(x float64) bool { return x >= least }}
}

func atMost(most float64, text string) aim {
	return aim{text, func(x float64) bool { return x <= most }}
}

// theBetter is the aim of most contests: as fast as the better peer.
var theBetter = atLeast(1, "≥ 1.0 of the better")

// judge sets the row's aim, and whether x reaches it.
func (r *row) judge(a aim, x float64) {
	r.aim, r.reached = a.text, noAim
	if a.reached != nil {
		r.reached = verdictOf(a.reached(x))
	}
}

// against makes the row of a contest. The aim is for how many times as fast
// ours is as the better peer, the one with the better median. The verdict stays
// open where a peer could not be measured.
func against(
	work string, ours series, peers []series, better direction, f format, a aim,
) row {
	r := row{work: work, ours: f(ours.span().median), aim: a.text}
	if a.reached != nil {
		r.reached = open
	}
	var texts []string
	var best *series
	complete := true
	for i, p := range peers {
		if len(p.values) == 0 {
			texts = append(texts, p.name+" "+p.missing)
			complete = false
			continue
		}
		texts = append(texts, p.name+" "+f(p.span().median))
		if best == nil || beats(p, *best, better) {
			best = &peers[i]
		}
	}
	r.peers = strings.Join(texts, ", ")
	if best == nil {
		return r
	}
	speed := spanOf(speedRatios(ours.values, best.values, better))
	r.ratio = fmt.Sprintf("%s of %s", times(speed), best.name)
	if complete {
		r.judge(a, speed.median)
	}
	return r
}

func beats(a, b series, better direction) bool {
	if better == less {
		return a.span().median < b.span().median
	}
	return a.span().median > b.span().median
}

// speedRatios says round by round how many times as fast ours is.
func speedRatios(ours, peer []float64, better direction) []float64 {
	if better == less {
		return ratios(peer, ours)
	}
	return ratios(ours, peer)
}

// multiple makes the row of a figure that is compared with another one of our
// own; the aim is for how many times as long it takes.
func multiple(work string, ours, base series, better direction, f format, a aim) row {
	ratio := spanOf(speedRatios(base.values, ours.values, better))
	r := row{
		work: work, ours: f(ours.span().median),
		peers: base.name + " " + f(base.span().median),
		ratio: times(ratio) + " of its time",
	}
	r.judge(a, ratio.median)
	return r
}

// figure makes the row of a figure that stands for itself.
func figure(work string, s span, f format, a aim) row {
	r := row{work: work, ours: fmt.Sprintf("%s (%s to %s)", f(s.median), f(s.low), f(s.high))}
	r.judge(a, s.median)
	return r
}

func times(s span) string {
	digits := 2
	if s.median < 0.1 {
		digits = 3
	}
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, s.median, digits, s.low, digits, s.high)
}

func milliseconds(seconds float64) string {
	switch ms := seconds * 1e3; {
	case ms < 1:
		return fmt.Sprintf("%.3f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	default:
		return fmt.Sprintf("%.0f ms", ms)
	}
}

func mebibytes(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }

func kibibytes(bytes float64) string { return fmt.Sprintf("%.1f KiB", bytes/(1<<10)) }

func throughput(bytes float64) string { return fmt.Sprintf("%.0f MiB/s", bytes/(1<<20)) }

func perSecond(n float64) string { return fmt.Sprintf("%.1f k/s", n/1e3) }

var columns = []string{"work", "ours", "peer", "ratio (least to greatest)", "aim", "reached"}

func (r row) cells() []string {
	cells := []string{r.work, r.ours, r.peers, r.ratio, r.aim, r.reached.String()}
	for i, c := range cells {
		if c == "" {
			cells[i] = "-"
		}
	}
	return cells
}

// writeTable prints the rows in Markdown, padded so that they can be read on a
// terminal as well.
func writeTable(w io.Writer, rows []row) error {
	lines := [][]string{columns}
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	widths := make([]int, len(columns))
	for _, cells := range lines {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	rule := make([]string, len(columns))
	for i, n := range widths {
		rule[i] = strings.Repeat("-", n)
	}
	lines = append(lines[:1], append([][]string{rule}, lines[1:]...)...)
	for _, cells := range lines {
		if _, err := io.WriteString(w, tableLine(cells, widths)); err != nil {
			return err
		}
	}
	return nil
}

func tableLine(cells []string, widths []int) string {
	var b strings.Builder
	for i, c := range cells {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
		b.WriteString("| " + c + pad + " ")
	}
	return b.String() + "|\n"
}
