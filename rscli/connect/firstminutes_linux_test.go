package connect_test

import (
	"strings"
	"testing"

	"copyservices/rscli"
	"copyservices/rscli/esscli"
	"copyservices/rscli/rsclitest"
)

// TestAsProgram is no test: it is how the test below starts a real process.
func TestAsProgram(t *testing.T) {
	rsclitest.AsProgram(t, map[string]func() int{"esscli": esscli.Main, "rsTestConnection": rscli.TestConnectionMain})
}

// The first minutes of a new guest: the certificate is shown and asked about, then
// user and password, which is stored and not shown.
func TestFirstMinutesOnATerminal(t *testing.T) {
	f := rsclitest.NewServer(t)
	home := t.TempDir()
	env := []string{"HOME=" + home}
	p := rsclitest.StartProgram(t, env, "rsTestConnection", "--trust", "-s", f.Named(), "-u", rsclitest.User)
	p.Expect(f.Named() + " is unknown.")
	p.Expect(f.Fingerprint())
	p.Send("no" + rsclitest.KeyEnter)
	p.Expect("error: the certificate of " + f.Named() + " is not pinned")
	p.ExpectExit(3)

	p = rsclitest.StartProgram(t, env, "esscli", "login", "-s", f.Named())
	p.Expect("User of " + f.Named() + ": ")
	p.Send(rsclitest.User + rsclitest.KeyEnter)
	p.Expect(f.Fingerprint())
	p.Send("yes" + rsclitest.KeyEnter)
	p.Expect("Password of " + rsclitest.User + ": ")
	p.Send(rsclitest.Password + rsclitest.KeyEnter)
	p.Expect("logged in to " + f.Named() + " as " + rsclitest.User + " (operator)\r\n")
	p.ExpectExit(0)
	if strings.Contains(p.Written(), rsclitest.Password) {
		t.Errorf("a password was on the screen: %q", p.Written())
	}

	p = rsclitest.StartProgram(t, env, "rsTestConnection", "--trust")
	p.Expect("pinned      " + f.Named())
	p.ExpectExit(0)
}
