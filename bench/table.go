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

// against makes the row of a contest. The aim is to be at least as fast as the
// better peer, the one with the better median; faster asks for more than that.
// The verdict stays open where a peer could not be measured.
func against(
	work string, ours series, peers []series, better direction, f format, faster bool,
) row {
	r := row{work: work, ours: f(ours.span().median), aim: "≥ 1.0 of the better", reached: open}
	if faster {
		r.aim = "faster than all"
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
		r.reached = verdictOf(speed.median > 1 || speed.median == 1 && !faster)
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
// own; the aim is that it is at most limit times that one.
func multiple(work string, ours, base series, f format, limit float64) row {
	ratio := spanOf(ratios(ours.values, base.values))
	return row{
		work: work, ours: f(ours.span().median),
		peers:   base.name + " " + f(base.span().median),
		ratio:   times(ratio) + " of its figure",
		aim:     fmt.Sprintf("≤ %g of its figure", limit),
		reached: verdictOf(ratio.median <= limit),
	}
}

// figure makes the row of a figure that stands for itself. A limit of 0 is
// none; text is the aim in words.
func figure(work string, s span, f format, limit float64, text string) row {
	r := row{work: work, ours: fmt.Sprintf("%s (%s to %s)", f(s.median), f(s.low), f(s.high))}
	if limit > 0 {
		r.aim, r.reached = text, verdictOf(s.median <= limit)
	}
	return r
}

func times(s span) string { return fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.low, s.high) }

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
