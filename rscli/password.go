package rscli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/term"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/result"
	"copyservices/taskstore/userfile"
)

// maxSmallFile is the most that is read of a configuration or password file.
const maxSmallFile = 64 << 10

// credentials returns user and password from what the layers say; a password
// that none of them has is asked for on a terminal.
func (l *layer) credentials(ctx context.Context, e *Env) (user, password string, err error) {
	if l.user == "" {
		return "", "", fault.New(fault.Usage, "no user is given").
			WithHint("log in: esscli login, on a new server -u superuser; " +
				"or use -u, RSCLI_USER or the key user of the configuration")
	}
	switch {
	case l.password != "":
		password = l.password
	case l.passwordFile != "":
		password, err = readPasswordFile(e, l.passwordFile)
	case l.passwordCommand != "":
		password, err = runPasswordCommand(ctx, e, l.passwordCommand)
	default:
		password, err = e.askPassword(ctx, "Password of "+l.user+": ")
	}
	return l.user, password, err
}

// readPasswordFile returns the first line of a file, or of stdin for "-".
func readPasswordFile(e *Env, path string) (string, error) {
	if path == "-" {
		return firstLine(e.Stdin, "standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fault.New(fault.Usage, "cannot read the password file: %w", err)
	}
	defer f.Close()
	if err := refuseShared(e, f, "is a password file"); err != nil {
		return "", err
	}
	return firstLine(f, path)
}

// firstLine returns the first line without its end, which must not be empty.
func firstLine(r io.Reader, name string) (string, error) {
	text, err := userfile.Read(r, maxSmallFile)
	if err != nil {
		return "", fault.New(fault.Usage, "cannot read the password from %s: %w", name, err)
	}
	line := string(text)
	if end := strings.IndexAny(line, "\r\n"); end >= 0 {
		line = line[:end]
	}
	if line == "" {
		return "", fault.New(fault.Usage, "there is no password in the first line of %s", name)
	}
	return line, nil
}

// refuseShared refuses a regular file that group or others may read. On
// Windows mode bits do not exist; access there is up to the folder's ACL.
func refuseShared(e *Env, f *os.File, because string) error {
	if e.GOOS == "windows" {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return fault.New(fault.Usage, "cannot check who may read %s: %w", f.Name(), err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return fault.New(fault.Usage, "%s %s and others than its owner may read it (mode %04o)",
			f.Name(), because, info.Mode().Perm()).WithHint("chmod 600 %s", f.Name())
	}
	return nil
}

// runPasswordCommand returns the first line that a shell command prints. What
// it writes to stderr the user sees.
func runPasswordCommand(ctx context.Context, e *Env, line string) (string, error) {
	cmd := shellCommand(ctx, line)
	cmd.Stderr = e.Stderr
	// What the command leaves running, an agent perhaps, may keep the pipe open:
	// that is no reason to wait, nor a failure.
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if err != nil {
		return "", fault.New(fault.Denied, "the password command failed: %w", err).
			WithHint("run it by hand: %s", line)
	}
	return firstLine(bytes.NewReader(out), "the password command")
}

// askPassword asks for a secret on the terminal.
func (e *Env) askPassword(ctx context.Context, prompt string) (string, error) {
	if !e.IsTerminal(e.Stdin) {
		return "", fault.New(fault.Usage, "no password is given and standard input is no terminal").
			WithHint("use --password-file or --password-command, put one of them in the configuration, " +
				"or log in: esscli login")
	}
	if f, ok := e.Stdin.(*os.File); ok {
		// Before the prompt: whoever answers it at once is not to be shown.
		defer echoOff(f)()
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

// readLine reads one line of stdin, byte by byte so that it takes nothing
// that belongs to a later reader. When ctx ends first, the reading goroutine
// stays until the process ends.
func (e *Env) readLine(ctx context.Context) (string, error) {
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
