// Package result is for what a program prints. When its result is lost, on a full disk
// or a closed stream, the program must not end as if all were well; and text that it
// has from others must not drive the terminal.
package result

import (
	"io"
	"strings"
	"unicode"

	"copyservices/arrayclient/fault"
)

// Writer writes to W, which is a standard output, and keeps the first error. It is
// for one goroutine.
type Writer struct {
	W       io.Writer
	Columns int   // of the terminal that W is, else 0
	Written int64 // bytes
	err     error
}

// Write implements io.Writer. Its errors are of kind Failed.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.W.Write(p)
	w.Written += int64(n)
	if err == nil {
		return n, nil
	}
	err = fault.New(fault.Failed, "cannot write the result: %w", err)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// Err is the first error of writing, nil when everything was written.
func (w *Writer) Err() error { return w.err }

// OneLine makes text that may come from a server or a file fit to print: one
// line, no control characters that a terminal would obey.
func OneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
