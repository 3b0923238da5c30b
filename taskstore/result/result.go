// Package result is for what a program prints as its result: when it is lost, on
// a full disk or a closed stream, the program must not end as if all were well.
package result

import (
	"io"

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
