package rscli

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
	"strings"
	"unicode"

	"copyservices/arrayclient/fault"
)

// errorDocument is what --json prints for an error.
type errorDocument struct {
	Error errorDetail `json:"error"`
}

type errorDetail struct {
	fault.Detail
	ExitCode int `json:"exit_code"`
}

// detailOf describes err, which must not be nil, with its exit code.
func detailOf(err error) errorDetail {
	d := fault.DetailOf(err)
	d.Message, d.Hint = oneLine(d.Message), oneLine(d.Hint)
	return errorDetail{d, d.Kind.ExitCode()}
}

// end reports err, which may be nil, and returns the exit code.
func (e *Env) end(err error) int {
	if err == nil {
		e.logSink.put(severityInfo, "done")
		return 0
	}
	d := detailOf(err)
	if d.Kind == fault.Denied && e.fromLogin {
		d.Hint = "the password is the one that esscli login stored; if it was changed, log in again"
	}
	e.complain("", d)
	if e.JSON && e.out.Written == 0 {
		// A stdout that cannot be written to is not worth a second error.
		_ = writeJSON(e.Stdout, errorDocument{d})
	}
	return d.ExitCode
}

// complain prints an error and its hint; where, which may be empty, stands in
// front of it.
func (e *Env) complain(where string, d errorDetail) {
	e.say("error", where+d.Message, severityError)
	if d.Hint != "" {
		e.say("hint", d.Hint, severityInfo)
	}
}

// warn prints a warning; with --quiet it is only logged.
func (e *Env) warn(format string, args ...any) {
	text := oneLine(fmt.Sprintf(format, args...))
	if e.Quiet {
		e.logSink.put(severityWarning, "warning: "+text)
		return
	}
	e.say("warning", text, severityWarning)
}

// hint prints what can be done about a warning; with --quiet it is left out.
func (e *Env) hint(format string, args ...any) {
	if !e.Quiet {
		e.say("hint", oneLine(fmt.Sprintf(format, args...)), severityInfo)
	}
}

// say prints a message and keeps it where --log asks for that.
func (e *Env) say(what, text string, s severity) {
	fmt.Fprintf(e.Stderr, "%s: %s: %s\n", e.Name, what, text)
	e.logSink.put(s, what+": "+text)
}

// oneLine makes text that may come from a server or a file fit to print: one
// line, no control characters that a terminal would obey.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// seeHelp is the hint that names a command's help.
func seeHelp(words string) string { return fmt.Sprintf("see %q", words+" --help") }
