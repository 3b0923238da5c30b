package connect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/program"
	"copyservices/taskstore/userfile"
)

// maxSmallFile is the most that is read of a configuration or password file.
const maxSmallFile = 64 << 10

// credentials returns user and password from the settings; a password
// that none of them has is asked for on a terminal.
func (l *Settings) credentials(ctx context.Context, e *program.Env) (user, password string, err error) {
	if l.User == "" {
		return "", "", fault.New(fault.Usage, "no user is given").
			WithHint("log in: esscli login, on a new server -u superuser; " +
				"or use -u, RSCLI_USER or the key user of the configuration")
	}
	switch {
	case l.Password != "":
		password = l.Password
	case l.PasswordFile != "":
		password, err = ReadPasswordFile(e, l.PasswordFile)
	case l.passwordCommand != "":
		password, err = runPasswordCommand(ctx, e, l.passwordCommand)
	default:
		password, err = e.AskPassword(ctx, "Password of "+l.User+": ")
	}
	return l.User, password, err
}

// ReadPasswordFile returns the first line of a file, or of stdin for "-".
func ReadPasswordFile(e *program.Env, path string) (string, error) {
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
func refuseShared(e *program.Env, f *os.File, because string) error {
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
func runPasswordCommand(ctx context.Context, e *program.Env, line string) (string, error) {
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
