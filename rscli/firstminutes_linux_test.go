package rscli

import (
	"strings"
	"testing"
)

// TestAsProgram is no test: it is how the test below starts a real process.
func TestAsProgramX(t *testing.T) {
	asProgram(t, map[string]func() int{"esscli": ESSCLIMain, "rsTestConnection": TestConnectionMain})
}

// The first minutes of a new guest: the certificate is shown and asked about, then
// user and password, which is stored and not shown.
func TestFirstMinutesOnATerminal(t *testing.T) {
	f := newFake(t)
	home := t.TempDir()
	env := []string{"HOME=" + home}
	p := startBare(t, env, "rsTestConnection", "--trust", "-s", f.named(), "-u", testUser)
	p.expect(f.named() + " is unknown.")
	p.expect(f.fingerprint())
	p.send("no" + keyEnter)
	p.expect("error: the certificate of " + f.named() + " is not pinned")
	p.expectExit(3)

	p = startBare(t, env, "esscli", "login", "-s", f.named())
	p.expect("User of " + f.named() + ": ")
	p.send(testUser + keyEnter)
	p.expect(f.fingerprint())
	p.send("yes" + keyEnter)
	p.expect("Password of " + testUser + ": ")
	p.send(testPassword + keyEnter)
	p.expect("logged in to " + f.named() + " as " + testUser + " (operator)\r\n")
	p.expectExit(0)
	if strings.Contains(p.written(), testPassword) {
		t.Errorf("a password was on the screen: %q", p.written())
	}

	p = startBare(t, env, "rsTestConnection", "--trust")
	p.expect("pinned      " + f.named())
	p.expectExit(0)
}
