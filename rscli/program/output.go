package program

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"copyservices/taskstore/result"
)

// Result prints what a command found: doc with --json, else what text writes;
// with --quiet only the document.
func (e *Env) Result(doc any, text func(w io.Writer)) error {
	switch {
	case e.JSON:
		return WriteJSON(e.Stdout, doc)
	case e.Quiet:
		return nil
	}
	text(e.Stdout)
	return e.out.Err()
}

// WriteJSON writes one document, indented for people, on lines of its own.
func WriteJSON(w io.Writer, doc any) error {
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// WriteTable prints rows under a header as columns that line up, without any
// lines, so that awk reads them. An empty cell is printed as "-". On a terminal
// that is too narrow long cells are cut, and where that is not enough, each row
// becomes a block of lines.
func WriteTable(w io.Writer, header []string, rows [][]string) {
	for i, row := range rows {
		rows[i] = filled(row)
	}
	if out, ok := w.(*result.Writer); ok && out.Columns > 0 && !fitTable(header, rows, out.Columns) {
		writeBlocks(w, header, rows)
		return
	}
	var text strings.Builder
	table := tablewriter.NewTable(&text,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone,
			Settings: tw.Settings{
				Separators: tw.SeparatorsNone,
				Lines:      tw.LinesNone,
			},
		})),
		tablewriter.WithHeaderAlignment(tw.AlignLeft),
		tablewriter.WithRowAlignment(tw.AlignLeft),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithPadding(tw.Padding{Right: "  ", Overwrite: true}),
	)
	table.Header(header)
	for _, row := range rows {
		if err := table.Append(row); err != nil {
			break
		}
	}
	if err := table.Render(); err != nil {
		return
	}
	for line := range strings.Lines(text.String()) {
		_, _ = io.WriteString(w, strings.TrimRight(line, " \n")+"\n")
	}
}

func filled(row []string) []string {
	cells := make([]string, len(row))
	for i, cell := range row {
		cells[i] = OrDash(result.OneLine(cell))
	}
	return cells
}

const (
	columnGap = 2 // blanks between the columns of a table
	// leastCell is how far a cell may be cut: no time, serial or id of a run is longer.
	leastCell = 25
)

// fitTable cuts the longest cells of rows until the table fits so many columns,
// and reports whether it does. Where it does not, nothing is cut.
func fitTable(header []string, rows [][]string, columns int) bool {
	widths := make([]int, len(header))
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	most := columns // of a cell
	for ; tableWidth(widths, most) > columns; most-- {
		if most < leastCell {
			return false
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = cut(cell, most)
		}
	}
	return true
}

// tableWidth is how wide a table is whose cells have at most so many columns.
func tableWidth(widths []int, most int) int {
	sum := columnGap * (len(widths) - 1)
	for _, width := range widths {
		sum += min(width, most)
	}
	return sum
}

// writeBlocks prints each row as lines of a name and a value, as show does.
func writeBlocks(w io.Writer, header []string, rows [][]string) {
	for i, row := range rows {
		if i > 0 {
			fmt.Fprintln(w)
		}
		for j, cell := range row {
			fmt.Fprintf(w, "%-12s %s\n", header[j], cell)
		}
	}
}

// RoughSize writes a number of bytes that nobody will type again, with one
// digit after the point.
func RoughSize(n int64) string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, i := float64(n), 0
	for value >= 1024 && i < len(units)-1 {
		value /= 1024
		i++
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + units[i]
}

// FormatTime writes a time in the local zone, "-" for none.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02T15:04:05Z07:00")
}

// printVersion names the suite too: the version is that of all its programs.
func printVersion(w io.Writer, name string) error {
	_, err := fmt.Fprintf(w, "%s (copyservices) %s\n", name, Version)
	return err
}

// Count writes a number with its noun.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// OrDash writes "-" for nothing, so that every line has as many words.
func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
