package rscli

import (
	"context"
	"io"
	"strings"
	"testing"
)

func TestPasswordSources(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600, "user: operator\nserver: "+f.addr()+"\n")
	file := b.write("pw", 0o600, testPassword+"\r\nsecond line\n")
	b.expect(b.run(newTestConnection, "-p", testPassword), 0)
	b.expect(b.run(newTestConnection, "--password-file", file), 0)
	b.expect(b.run(newTestConnection, "--password-command", "cat "+file), 0)
	b.expect(b.run(newTestConnection, "--password-command", "cat "+file+"; sleep 3 &"), 0)
	b.Stdin = strings.NewReader(testPassword)
	b.expect(b.run(newTestConnection, "--password-file", "-"), 0)
	b.expect(b.run(newTestConnection, "-p", "wrong", "--password-file", file), 5,
		"wrong user or password")
	b.vars["RSCLI_PASSWORD_FILE"] = file
	b.expect(b.run(newTestConnection), 0)
}

func TestPasswordRefusals(t *testing.T) {
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600, "user: operator\nserver: 127.0.0.1:1\n")
	shared := b.write("shared", 0o644, testPassword)
	b.expect(b.run(newTestConnection, "--password-file", shared), 2, "mode 0644",
		"hint: chmod 600 "+shared)
	b.expect(b.run(newTestConnection, "--password-file", b.home+"/none"), 2,
		"cannot read the password file")
	b.expect(b.run(newTestConnection, "--password-file", b.write("empty", 0o600, "\nx")), 2,
		"no password in the first line")
	b.expect(b.run(newTestConnection, "--password-file", b.write("big", 0o600, strings.Repeat("x",
		1<<17))), 2,
		"longer than 64 KiB")
	b.expect(b.run(newTestConnection, "--password-command", "echo complaint >&2; exit 3"), 5,
		"complaint", "the password command failed: exit status 3")
	b.expect(b.run(newTestConnection, "--password-command", "true"), 2, "no password")
	b.expect(b.run(newTestConnection), 2, "standard input is no terminal", "hint: use --password-file")
	b.vars["RSCLI_CONFIG"] = b.write("nouser.yaml", 0o600, "server: 127.0.0.1:1\n")
	b.expect(b.run(newTestConnection), 2, "no user is given")
}

func TestPasswordIsAskedForOnATerminal(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600, "user: operator\nserver: "+f.addr()+"\n")
	b.terminal = true
	b.ReadSecret = func(context.Context) (string, error) { return testPassword, nil }
	b.expect(b.run(newTestConnection), 0, "Password of operator: ")
	b.ReadSecret = func(context.Context) (string, error) { return "", nil }
	b.expect(b.run(newTestConnection), 2, "no password was typed")
	b.ReadSecret = func(context.Context) (string, error) { return "", io.EOF }
	b.expect(b.run(newTestConnection), 2, "cannot read the password")
	ctx, cancel := context.WithCancel(t.Context())
	b.ReadSecret = func(ctx context.Context) (string, error) { cancel(); return "", ctx.Err() }
	b.expect(b.runContext(ctx, newTestConnection), 130)
}
