package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/result"
)

// AskPassword asks for a secret on the terminal.
func (e *Env) AskPassword(ctx context.Context, prompt string) (string, error) {
	if !e.IsTerminal(e.Stdin) {
		return "", fault.New(fault.Usage, "no password is given and standard input is no terminal").
			WithHint("use --password-file or --password-command, put one of them in the configuration, " +
				"or log in: esscli login")
	}
	if f, ok := e.Stdin.(*os.File); ok {
		// Before the prompt: whoever answers it at once is not to be shown.
		defer EchoOff(f)()
	}
	fmt.Fprint(e.Stderr, prompt)
	secret, err := e.ReadSecret(ctx)
	fmt.Fprintln(e.Stderr)
	switch {
	case errors.Is(err, context.Canceled):
		return "", err
	case err != nil:
		return "", fault.New(fault.Usage, "cannot read the password: %w", err)
	case secret == "":
		return "", fault.New(fault.Usage, "no password was typed")
	}
	return secret, nil
}

// isTerminal reports whether stream is a file that is a terminal.
func isTerminal(stream any) bool {
	f, ok := fileOf(stream)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalColumns is the width of the terminal that stream is, else 0.
func terminalColumns(stream any) int {
	f, ok := fileOf(stream)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

func fileOf(stream any) (*os.File, bool) {
	if w, ok := stream.(*result.Writer); ok {
		stream = w.W
	}
	f, ok := stream.(*os.File)
	return f, ok
}

// readSecret reads a line without echo. When ctx ends first, it gives the
// terminal its echo back; the reading goroutine stays until the process ends.
func readSecret(ctx context.Context, stdin io.Reader) (string, error) {
	f, ok := stdin.(*os.File)
	if !ok {
		return "", errors.New("standard input is no terminal")
	}
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type answer struct {
		secret []byte
		err    error
	}
	done := make(chan answer, 1)
	go func() {
		secret, err := term.ReadPassword(fd)
		done <- answer{secret, err}
	}()
	select {
	case a := <-done:
		return string(a.secret), a.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}

// maxLine is the longest line that a question takes as its answer.
const maxLine = 4096

// ReadLine reads one line of stdin, byte by byte so that it takes nothing
// that belongs to a later reader. When ctx ends first, the reading goroutine
// stays until the process ends.
func (e *Env) ReadLine(ctx context.Context) (string, error) {
	type answer struct {
		line string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		line, err := lineOf(e.Stdin)
		done <- answer{line, err}
	}()
	select {
	case a := <-done:
		return a.line, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// lineOf reads up to the end of a line or of r, and trims it.
func lineOf(r io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for len(line) < maxLine {
		n, err := r.Read(b[:])
		if n == 1 && b[0] == '\n' {
			break
		}
		line = append(line, b[:n]...)
		if err != nil && !(errors.Is(err, io.EOF) && len(line) > 0) {
			return "", err
		}
		if err != nil {
			break
		}
	}
	return strings.TrimSpace(string(line)), nil
}

// ConfirmSecret asks for a new password a second time.
func ConfirmSecret(
	ctx context.Context, ask func(context.Context, string) (string, error), prompt, password string,
) error {
	again, err := ask(ctx, prompt+", again: ")
	if err == nil && again != password {
		return fault.New(fault.Usage, "the two passwords differ")
	}
	return err
}
