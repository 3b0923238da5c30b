package program

// How a command ends: this file prints every error of the suite and turns it
// into the exit code. The rules for what it prints:
//
//   - "prog: error: " and one sentence: what is wrong, in lower case, without
//     a full stop, on one line. It names the thing (the task, the volumes, the
//     file, the server) as the user named it.
//   - "prog: hint: " and what to do about it, where there is something to do.
//   - "prog: warning: " for what the user should know although the command
//     went on.
//   - Never a secret, a stack trace or the name of a Go type.
//   - All of it goes to stderr, and to what --log names. With --json stdout gets the same as one
//     document, unless the command has already written its own.

import (
	"fmt"
	"slices"
	"strings"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/result"
)

// errorDocument is what --json prints for an error.
type errorDocument struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail is an error as documents have it.
type ErrorDetail struct {
	fault.Detail
	ExitCode int `json:"exit_code"`
}

// DetailOf describes err, which must not be nil, with its exit code.
func DetailOf(err error) ErrorDetail {
	d := fault.DetailOf(err)
	d.Message, d.Hint = result.OneLine(d.Message), result.OneLine(d.Hint)
	return ErrorDetail{d, d.Kind.ExitCode()}
}

// Lack says that the result has not got what an array holds, which does not answer. A
// command that is done then ends as if no server had answered it, after it has printed
// what there is.
func (e *Env) Lack(text string) {
	if !slices.Contains(e.lacking, text) {
		e.lacking = append(e.lacking, text)
	}
}

// Told says that the result itself tells what it lacks.
func (e *Env) Told() { e.lacking = nil }

// end reports err, which may be nil, and returns the exit code.
func (e *Env) end(err error) int {
	if err == nil && e.lacking != nil {
		err = fault.New(fault.Connection, "this is not all: %s", strings.Join(e.lacking, "; ")).
			WithHint("esscli list array shows which arrays answer")
	}
	if err == nil {
		e.logSink.put(severityInfo, "done")
		return 0
	}
	d := DetailOf(err)
	if d.Kind == fault.Denied && e.FromLogin {
		d.Hint = "the password is the one that esscli login stored; if it was changed, log in again"
	}
	e.Complain("", d)
	if e.JSON && e.out.Written == 0 {
		// A stdout that cannot be written to is not worth a second error.
		_ = WriteJSON(e.Stdout, errorDocument{d})
	}
	return d.ExitCode
}

// Complain prints an error and its hint; where, which may be empty, stands in
// front of it.
func (e *Env) Complain(where string, d ErrorDetail) {
	e.say("error", where+d.Message, severityError)
	if d.Hint != "" {
		e.say("hint", d.Hint, severityInfo)
	}
}

// Warn prints a warning; with --quiet it is only logged.
func (e *Env) Warn(format string, args ...any) {
	text := result.OneLine(fmt.Sprintf(format, args...))
	if e.Quiet {
		e.logSink.put(severityWarning, "warning: "+text)
		return
	}
	e.say("warning", text, severityWarning)
}

// Hint prints what can be done about a warning; with --quiet it is left out.
func (e *Env) Hint(format string, args ...any) {
	if !e.Quiet {
		e.say("hint", result.OneLine(fmt.Sprintf(format, args...)), severityInfo)
	}
}

// say prints a message and keeps it where --log asks for that.
func (e *Env) say(what, text string, s severity) {
	fmt.Fprintf(e.Stderr, "%s: %s: %s\n", e.Name, what, text)
	e.logSink.put(s, what+": "+text)
}

// seeHelp is the hint that names a command's help.
func seeHelp(words string) string { return fmt.Sprintf("see %q", words+" --help") }
