package shell

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/program"
)

// batchReport is what --json prints for commands from a pipe.
type batchReport struct {
	Commands []commandReport `json:"commands"`
}

// commandReport is one of them; Command is without its password.
type commandReport struct {
	Line    int                  `json:"line"`
	Command string               `json:"command"`
	Result  any                  `json:"result,omitempty"`
	Error   *program.ErrorDetail `json:"error,omitempty"`
}

// batch runs the lines of standard input. A command that fails does not keep
// the next from running, unless there is no server to run it; at the end the
// error is of the kind of the first that failed.
func (s *shell) batch(ctx context.Context) error {
	report := batchReport{Commands: []commandReport{}}
	err := s.batchLines(ctx, &report)
	if s.e.JSON {
		return cmp.Or(err, program.WriteJSON(s.e.Stdout, report))
	}
	return err
}

func (s *shell) batchLines(ctx context.Context, report *batchReport) error {
	input, failure := lines(ctx, s.e.Stdin)
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, more := <-input:
			if !more {
				return errors.Join(inputError(<-failure, n), s.verdict(report))
			}
			err := s.batchLine(ctx, []rune(line), n, report)
			if errors.Is(err, errExit) {
				return s.verdict(report)
			}
			if err != nil {
				return err
			}
		}
	}
}

func inputError(err error, line int) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bufio.ErrTooLong):
		return fault.New(fault.Usage, "line %d is longer than %d KiB", line, maxShellLine>>10)
	}
	return fault.New(fault.Failed, "cannot read the commands: %w", err)
}

// batchLine runs one line. It returns an error only if the lines after it
// have no chance either, and errExit.
func (s *shell) batchLine(ctx context.Context, line []rune, n int, report *batchReport) error {
	words, _ := splitWords(line)
	r, err := s.doLine(ctx, line)
	if errors.Is(err, errExit) {
		return err
	}
	if len(words) == 0 {
		return nil
	}
	done := commandReport{Line: n, Command: s.withoutSecret(words), Result: r.doc}
	if err != nil {
		d := program.DetailOf(err)
		done.Error = &d
	}
	report.Commands = append(report.Commands, done)
	where := fmt.Sprintf("line %d: ", n)
	switch {
	case err == nil && !s.e.JSON && !s.e.Quiet:
		r.text(s.e.Stdout)
	case err != nil && s.hopeless(err):
		d := fault.DetailOf(err)
		d.Message = where + d.Message
		return d.Err()
	case err != nil:
		s.e.Complain(where, program.DetailOf(err))
	}
	return nil
}

// hopeless: every further command would fail in the same way.
func (s *shell) hopeless(err error) bool {
	kinds := []fault.Kind{fault.Connection, fault.Interrupted}
	kind := fault.KindOf(err)
	return slices.Contains(kinds, kind) || s.session == nil && kind != fault.Usage
}

// verdict is the error for the commands that failed, nil when none did.
func (s *shell) verdict(report *batchReport) error {
	var first *program.ErrorDetail
	failed := 0
	for _, c := range report.Commands {
		if c.Error == nil {
			continue
		}
		failed++
		if first == nil {
			first = c.Error
		}
	}
	if failed == 0 {
		return nil
	}
	return fault.New(first.Kind, "%d of %s failed", failed, program.Count(len(report.Commands), "command"))
}
