package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"
)

// report is all that one call of the program found out.
type report struct {
	opts    options
	machine []string
	load    string // average before anything was started
	started time.Time
	took    time.Duration
	results []result
}

// result is a section with its rows.
type result struct {
	section
	rows []row
}

func (r *report) add(s section, rows []row) {
	r.results = append(r.results, result{s, rows})
}

// finish notes the end, and the load average then.
func (r *report) finish(load string) {
	r.took = time.Since(r.started)
	r.machine = append(r.machine, "load average: "+r.load+" before, "+load+" after")
	if busy(r.load, runtime.NumCPU()) {
		r.machine = append(r.machine, "the machine had other work to do: times are too long, and "+
			"ratios worth less than on a quiet one")
	}
}

const preface = `# Measurements

` + "`make bench`" + ` takes these figures and writes this page down to the line that says so.
A row is measured in rounds, in which ours and its peers take turns (A B C A B C), so that
what slows the machine down slows all of them. A figure is the median of the rounds. A
ratio is the median of the ratios of each round, with the least and the greatest: how many
times as fast ours is as the better peer, which is named; in a row that compares with a
figure of our own, how many times as long ours takes.

`

// kept begins the part of the file that is written by hand.
const kept = "<!-- What follows is written by hand; make bench leaves it as it is. -->\n"

// write prints the report in Markdown.
func (r *report) write(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(preface)
	b.WriteString(r.conditions())
	for _, res := range r.results {
		fmt.Fprintf(&b, "## %s\n\n", res.title)
		if err := writeTable(&b, res.rows); err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n%s\n\n", wrap(res.how, 100))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// conditions says under what the figures were taken.
func (r *report) conditions() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Conditions\n\n")
	for _, line := range r.machine {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprintf(&b, "- taken: %s, in %s\n- rounds: %d\n", r.started.UTC().Format(time.DateOnly),
		r.took.Round(time.Second), r.opts.rounds)
	if r.opts.short {
		b.WriteString("- short: only to see that everything works, the figures mean little\n")
	}
	if r.opts.only != nil {
		fmt.Fprintf(&b, "- only the cases that match `%s`\n", r.opts.only)
	}
	return b.String() + "\n"
}

// writeFile replaces the measured part of the file, which need not exist.
func (r *report) writeFile(name string) error {
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var b bytes.Buffer
	if err := r.write(&b); err != nil {
		return err
	}
	b.WriteString(kept)
	if _, byHand, ok := bytes.Cut(old, []byte(kept)); ok {
		b.Write(byHand)
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

// wrap breaks text into lines of at most width columns, where words allow.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		switch {
		case column == 0:
		case column+1+len(word) > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
