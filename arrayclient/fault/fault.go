// Package fault names the kinds of failure that every part of the suite
// shares. A kind is what a script sees as an exit code and what the REST API
// carries between server and command, so the list is append-only and the
// strings never change their meaning.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind classifies a failure. Its string form travels in REST error bodies.
type Kind string

// The kinds, in the order of their exit codes.
const (
	Failed      Kind = "failed"      // for a reason not listed here: exit 1
	Usage       Kind = "usage"       // bad flag, argument, file or request: exit 2
	Connection  Kind = "connection"  // no server answered, or its certificate is not the pinned one: exit 3
	Server      Kind = "server"      // the server failed: exit 4
	Denied      Kind = "denied"      // authentication or permission: exit 5
	Refused     Kind = "refused"     // the array refused the operation: exit 6
	TimedOut    Kind = "timed-out"   // still running when the time was up: exit 7
	NotFound    Kind = "not-found"   // no such task, volume, host, ...: exit 10
	Busy        Kind = "busy"        // the same task is already running: exit 11
	Hook        Kind = "hook"        // a quiesce hook failed, everything thawed again: exit 12
	Interrupted Kind = "interrupted" // by a signal: exit 130
)

// exitCodes: 2 to 6 are those of IBM's DS CLI.
var exitCodes = map[Kind]int{
	Failed: 1, Usage: 2, Connection: 3, Server: 4, Denied: 5, Refused: 6,
	TimedOut: 7, NotFound: 10, Busy: 11, Hook: 12, Interrupted: 130,
}

// ExitCode returns the exit code of k; 1 for a kind this build does not know,
// so that a newer server's kind still ends a script as a failure.
func (k Kind) ExitCode() int {
	if code, ok := exitCodes[k]; ok {
		return code
	}
	return 1
}

// Kinds lists every kind with an exit code, in no particular order.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(exitCodes))
	for k := range exitCodes {
		kinds = append(kinds, k)
	}
	return kinds
}

// ErrExists is in the chain of every error about a name or a volume id that is in
// use, whose kind is Usage: another name would do.
var ErrExists = errors.New("exists already")

// Error is a failure with its kind. Message says what is wrong in one
// sentence without a full stop; Hint, which may be empty, says what to do.
type Error struct {
	Kind    Kind
	Message string
	Hint    string
	cause   error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, nil where there is none.
func (e *Error) Unwrap() error { return e.cause }

// New returns an error of kind k. A %w verb in the format keeps its operand
// as the cause.
func New(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Message: err.Error(), cause: errors.Unwrap(err)}
}

// WithHint sets what the reader of the error can do about it and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// KindOf returns the kind of err: that of the first *Error in its chain,
// Interrupted for a cancelled context, TimedOut for one whose deadline has
// passed, Failed for everything else and "" for nil.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	}
	return Failed
}

// HintOf returns the hint of the first *Error in err's chain that has one.
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.cause
	}
	return ""
}

// Detail is an Error as it is written in JSON and YAML.
type Detail struct {
	Kind    Kind   `json:"kind" yaml:"kind"`
	Message string `json:"message" yaml:"message"`
	Hint    string `json:"hint,omitempty" yaml:"hint,omitempty"`
}

// DetailOf describes err, which must not be nil.
func DetailOf(err error) Detail {
	return Detail{KindOf(err), err.Error(), HintOf(err)}
}

// Err returns the error that d describes.
func (d Detail) Err() *Error {
	return &Error{Kind: d.Kind, Message: d.Message, Hint: d.Hint}
}
