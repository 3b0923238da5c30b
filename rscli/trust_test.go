package rscli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (b *bench) pinFile() string {
	return filepath.Join(b.home, ".config", "rscli",
		"known_servers")
}

func (b *bench) pins() map[string]string {
	b.t.Helper()
	pins, err := readPins(b.pinFile())
	if err != nil {
		b.t.Fatal(err)
	}
	return pins
}

func TestLoopbackIsPinnedAtOnce(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	b.expect(b.run(newTestConnection, "-s", f.addr()), 0)
	if got := b.pins()[f.addr()]; got != f.fingerprint() {
		t.Errorf("pinned is %q", got)
	}
	info, err := os.Stat(b.pinFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of pins: %v, %v", info.Mode(), err)
	}
	b.expect(b.run(newTestConnection, "-s", f.addr()), 0)
	left, _ := os.ReadDir(filepath.Dir(b.pinFile()))
	if len(left) != 1 {
		t.Errorf("files were left behind: %v", left)
	}
}

func TestChangedCertificateIsRefused(t *testing.T) {
	old, f := newFake(t), newFake(t)
	b := newBench(t)
	b.write(".config/rscli/known_servers", 0o600,
		"# pins\n\n"+f.addr()+" "+old.fingerprint()+"\n127.0.0.1:9 "+old.fingerprint()+"\n")
	b.expect(b.run(newTestConnection, "-s", f.addr()), 3,
		old.fingerprint(), f.fingerprint(), "hint:", "rsTestConnection -s "+f.addr()+" --trust")
	if seen, _ := f.requests(); len(seen) > 0 {
		t.Errorf("a server with a wrong certificate was asked %q", seen)
	}
	b.expect(b.run(newTestConnection, "-s", f.addr(), "--trust"), 0)
	want := map[string]string{f.addr(): f.fingerprint(), "127.0.0.1:9": old.fingerprint()}
	if got := b.pins(); len(got) != 2 || got[f.addr()] != want[f.addr()] ||
		got["127.0.0.1:9"] != want["127.0.0.1:9"] {
		t.Errorf("pins are %v, want %v", got, want)
	}
	if !strings.Contains(b.stdout.String(), "pinned      "+f.addr()+" "+f.fingerprint()) {
		t.Errorf("what was pinned is not said:\n%s", &b.stdout)
	}
}

func TestUnknownServerIsRefused(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	b.expect(b.run(newTestConnection, "-s", f.named()), 3,
		f.named()+" is unknown", f.fingerprint(), "--trust")
	if len(b.pins()) > 0 {
		t.Errorf("pinned all the same: %v", b.pins())
	}
	b.expect(b.run(newTestConnection, "-s", f.named(), "--trust"), 0)
	b.expect(b.run(newTestConnection, "-s", f.named()), 0)
}

func TestFirstUse(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	known := filepath.Join(b.home, "deep", "known")
	b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600,
		"user: operator\npassword: "+testPassword+"\ntrust: first-use\nknown_servers: deep/known\n")
	b.expect(b.run(newTestConnection, "-s", f.named()), 0)
	pins, err := readPins(known)
	if err != nil || pins[f.named()] != f.fingerprint() {
		t.Errorf("pins are %v, %v", pins, err)
	}
}

func TestTerminalIsAsked(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	b.terminal = true
	b.Stdin = strings.NewReader("no\n")
	b.expect(b.run(newTestConnection, "-s", f.named()), 3, "Pin it and go on (yes/no)?", "is unknown")
	b.Stdin = strings.NewReader("")
	b.expect(b.run(newTestConnection, "-s", f.named()), 1)
	b.Stdin = strings.NewReader("yes\n")
	b.expect(b.run(newTestConnection, "-s", f.named()), 0, f.fingerprint())
	b.Stdin = strings.NewReader("")
	b.expect(b.run(newTestConnection, "-s", f.named()), 0)
	if b.stderr.Len() > 0 {
		t.Errorf("a pinned server is asked about: %s", &b.stderr)
	}
	b.expect(b.run(newTestConnection, "-s", closedPort(t), "-b", f.named()), 0)
}

func TestTrustAsksOnATerminal(t *testing.T) {
	f, before := newFake(t), newFake(t)
	b := newBench(t)
	b.terminal = true
	b.Stdin = strings.NewReader("no\n")
	b.expect(b.run(newTestConnection, "-s", f.named(), "--trust"), 3,
		f.named()+" is unknown.", f.fingerprint(), "is not pinned", "hint: answer yes")
	if seen, _ := f.requests(); len(seen) > 0 || len(b.pins()) > 0 {
		t.Errorf("after a no it asked for %q and pinned %v", seen, b.pins())
	}
	b.Stdin = strings.NewReader("yes\n")
	b.expect(b.run(newTestConnection, "-s", f.named(), "--trust"), 0)
	b.Stdin = strings.NewReader("")
	b.expect(b.run(newTestConnection, "-s", f.named(), "--trust"), 0)
	if b.stderr.Len() > 0 {
		t.Errorf("what is pinned is asked about: %s", &b.stderr)
	}
	b.write(".config/rscli/known_servers", 0o600, f.named()+" "+before.fingerprint()+"\n")
	b.Stdin = strings.NewReader("yes\n")
	b.expect(b.run(newTestConnection, "-s", f.named(), "--trust"), 0,
		"shows another certificate than the pinned one", before.fingerprint(), f.fingerprint())
	if got := b.pins()[f.named()]; got != f.fingerprint() {
		t.Errorf("pinned is %s", got)
	}
}

func TestCACert(t *testing.T) {
	f, other := newFake(t), newFake(t)
	b := newBench(t)
	own := b.write("own.pem", 0o644, "a comment\n"+pemOf(other.cert)+pemOf(f.cert))
	b.expect(b.run(newTestConnection, "-s", f.addr(), "--cacert", own), 0)
	b.expect(b.run(newTestConnection, "-s", f.named(), "--cacert", own),
		0) // under a name it does not bear
	if len(b.pins()) > 0 {
		t.Errorf("pinned with a CA file: %v", b.pins())
	}
	foreign := b.write("foreign.pem", 0o644, pemOf(other.cert))
	b.expect(b.run(newTestConnection, "-s", f.addr(), "--cacert", foreign), 3, "is not to be trusted")
	b.expect(b.run(newTestConnection, "-s", f.addr(), "--cacert", own, "--trust"), 2,
		"nothing is pinned")
	none := b.write("none.pem", 0o644, "nothing")
	b.expect(b.run(newTestConnection, "-s", f.addr(), "--cacert", none), 2, "holds no certificate")
	bad := b.write("bad.pem", 0o644, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	b.expect(b.run(newTestConnection, "-s", f.addr(), "--cacert", bad), 2, "is damaged")
	b.expect(b.run(newTestConnection, "-s", f.addr(), "--cacert", b.home+"/x"), 2,
		"cannot read the CA file")
}

func TestNowhereToKeepPins(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	b.vars["HOME"] = ""
	b.expect(b.run(newTestConnection, "-s", f.addr()), 0)
	if b.stderr.Len() > 0 {
		t.Errorf("a warning without -v: %s", &b.stderr)
	}
	b.expect(b.run(newTestConnection, "-v", "-s", f.addr()), 0, "trusted this time only")
	b.vars["HOME"] = b.write("file", 0o600, "") // no folder can be made here
	b.expect(b.run(newTestConnection, "-s", f.addr()), 0)
	b.expect(b.run(newTestConnection, "-s", f.addr(), "--trust"), 1, "cannot keep the certificate")
}

func TestDamagedPinsAreNotForgotten(t *testing.T) {
	f := newFake(t)
	for _, text := range []string{"127.0.0.1:1\n", f.addr() + " sha256:00\n", "a b c\n"} {
		b := newBench(t)
		b.write(".config/rscli/known_servers", 0o600, "# one\n"+text)
		b.expect(b.run(newTestConnection, "-s", f.addr()), 2, "known_servers: line 2")
	}
}

func TestTrustOfBothServers(t *testing.T) {
	a, b := newFake(t), newFake(t)
	w := newBench(t)
	w.expect(w.run(newTestConnection, "-s", a.named(), "-b", b.named(), "--trust"), 0)
	if got := w.pins(); got[a.named()] != a.fingerprint() ||
		got[b.named()] != b.fingerprint() {
		t.Errorf("pins are %v", got)
	}
	down := closedPort(t)
	w.expect(w.run(newTestConnection, "-s", a.named(), "-b", down, "--trust"), 0,
		"warning: cannot get the certificate of "+down)
	w.expect(w.run(newTestConnection, "-s", down, "--trust"), 3, "connection refused")
}
