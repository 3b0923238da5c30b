package connect_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"copyservices/rscli"
	"copyservices/rscli/rsclitest"
)

func TestPasswordSources(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, "user: operator\nserver: "+f.Addr()+"\n")
	file := b.Write("pw", 0o600, rsclitest.Password+"\r\nsecond line\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-p", rsclitest.Password), 0)
	b.Expect(b.Run(rscli.NewTestConnection, "--password-file", file), 0)
	b.Expect(b.Run(rscli.NewTestConnection, "--password-command", "cat "+file), 0)
	b.Expect(b.Run(rscli.NewTestConnection, "--password-command", "cat "+file+"; sleep 3 &"), 0)
	b.Stdin = strings.NewReader(rsclitest.Password)
	b.Expect(b.Run(rscli.NewTestConnection, "--password-file", "-"), 0)
	b.Expect(b.Run(rscli.NewTestConnection, "-p", "wrong", "--password-file", file), 5,
		"wrong user or password")
	b.Vars["RSCLI_PASSWORD_FILE"] = file
	b.Expect(b.Run(rscli.NewTestConnection), 0)
}

func TestPasswordRefusals(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, "user: operator\nserver: 127.0.0.1:1\n")
	shared := b.Write("shared", 0o644, rsclitest.Password)
	b.Expect(b.Run(rscli.NewTestConnection, "--password-file", shared), 2, "mode 0644",
		"hint: chmod 600 "+shared)
	b.Expect(b.Run(rscli.NewTestConnection, "--password-file", b.Home+"/none"), 2,
		"cannot read the password file")
	b.Expect(b.Run(rscli.NewTestConnection, "--password-file", b.Write("empty", 0o600, "\nx")), 2,
		"no password in the first line")
	b.Expect(b.Run(rscli.NewTestConnection, "--password-file", b.Write("big", 0o600, strings.Repeat("x",
		1<<17))), 2,
		"longer than 64 KiB")
	b.Expect(b.Run(rscli.NewTestConnection, "--password-command", "echo complaint >&2; exit 3"), 5,
		"complaint", "the password command failed: exit status 3")
	b.Expect(b.Run(rscli.NewTestConnection, "--password-command", "true"), 2, "no password")
	b.Expect(b.Run(rscli.NewTestConnection), 2, "standard input is no terminal", "hint: use --password-file")
	b.Vars["RSCLI_CONFIG"] = b.Write("nouser.yaml", 0o600, "server: 127.0.0.1:1\n")
	b.Expect(b.Run(rscli.NewTestConnection), 2, "no user is given")
}

func TestPasswordIsAskedForOnATerminal(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, "user: operator\nserver: "+f.Addr()+"\n")
	b.Terminal = true
	b.ReadSecret = func(context.Context) (string, error) { return rsclitest.Password, nil }
	b.Expect(b.Run(rscli.NewTestConnection), 0, "Password of operator: ")
	b.ReadSecret = func(context.Context) (string, error) { return "", nil }
	b.Expect(b.Run(rscli.NewTestConnection), 2, "no password was typed")
	b.ReadSecret = func(context.Context) (string, error) { return "", io.EOF }
	b.Expect(b.Run(rscli.NewTestConnection), 2, "cannot read the password")
	ctx, cancel := context.WithCancel(t.Context())
	b.ReadSecret = func(ctx context.Context) (string, error) { cancel(); return "", ctx.Err() }
	b.Expect(b.RunContext(ctx, rscli.NewTestConnection), 130)
}
