package connect_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copyservices/rscli"
	"copyservices/rscli/connect"
	"copyservices/rscli/rsclitest"
)

func pinFile(b *rsclitest.Bench) string {
	return filepath.Join(b.Home, ".config", "rscli",
		"known_servers")
}

func pins(b *rsclitest.Bench) map[string]string {
	b.T.Helper()
	pins, err := connect.ReadPins(pinFile(b))
	if err != nil {
		b.T.Fatal(err)
	}
	return pins
}

func TestLoopbackIsPinnedAtOnce(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 0)
	if got := pins(b)[f.Addr()]; got != f.Fingerprint() {
		t.Errorf("pinned is %q", got)
	}
	info, err := os.Stat(pinFile(b))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of pins: %v, %v", info.Mode(), err)
	}
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 0)
	left, _ := os.ReadDir(filepath.Dir(pinFile(b)))
	if len(left) != 1 {
		t.Errorf("files were left behind: %v", left)
	}
}

func TestChangedCertificateIsRefused(t *testing.T) {
	old, f := rsclitest.NewServer(t), rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Write(".config/rscli/known_servers", 0o600,
		"# pins\n\n"+f.Addr()+" "+old.Fingerprint()+"\n127.0.0.1:9 "+old.Fingerprint()+"\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 3,
		old.Fingerprint(), f.Fingerprint(), "hint:", "rsTestConnection -s "+f.Addr()+" --trust")
	if seen, _ := f.Requests(); len(seen) > 0 {
		t.Errorf("a server with a wrong certificate was asked %q", seen)
	}
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--trust"), 0)
	want := map[string]string{f.Addr(): f.Fingerprint(), "127.0.0.1:9": old.Fingerprint()}
	if got := pins(b); len(got) != 2 || got[f.Addr()] != want[f.Addr()] ||
		got["127.0.0.1:9"] != want["127.0.0.1:9"] {
		t.Errorf("pins are %v, want %v", got, want)
	}
	if !strings.Contains(b.Out.String(), "pinned      "+f.Addr()+" "+f.Fingerprint()) {
		t.Errorf("what was pinned is not said:\n%s", &b.Out)
	}
}

func TestUnknownServerIsRefused(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named()), 3,
		f.Named()+" is unknown", f.Fingerprint(), "--trust")
	if len(pins(b)) > 0 {
		t.Errorf("pinned all the same: %v", pins(b))
	}
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named(), "--trust"), 0)
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named()), 0)
}

func TestFirstUse(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	known := filepath.Join(b.Home, "deep", "known")
	b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600,
		"user: operator\npassword: "+rsclitest.Password+"\ntrust: first-use\nknown_servers: deep/known\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named()), 0)
	pins, err := connect.ReadPins(known)
	if err != nil || pins[f.Named()] != f.Fingerprint() {
		t.Errorf("pins are %v, %v", pins, err)
	}
}

func TestTerminalIsAsked(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Terminal = true
	b.Stdin = strings.NewReader("no\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named()), 3, "Pin it and go on (yes/no)?", "is unknown")
	b.Stdin = strings.NewReader("")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named()), 1)
	b.Stdin = strings.NewReader("yes\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named()), 0, f.Fingerprint())
	b.Stdin = strings.NewReader("")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named()), 0)
	if b.Err.Len() > 0 {
		t.Errorf("a pinned server is asked about: %s", &b.Err)
	}
	b.Expect(b.Run(rscli.NewTestConnection, "-s", rsclitest.ClosedPort(t), "-b", f.Named()), 0)
}

func TestTrustAsksOnATerminal(t *testing.T) {
	f, before := rsclitest.NewServer(t), rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Terminal = true
	b.Stdin = strings.NewReader("no\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named(), "--trust"), 3,
		f.Named()+" is unknown.", f.Fingerprint(), "is not pinned", "hint: answer yes")
	if seen, _ := f.Requests(); len(seen) > 0 || len(pins(b)) > 0 {
		t.Errorf("after a no it asked for %q and pinned %v", seen, pins(b))
	}
	b.Stdin = strings.NewReader("yes\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named(), "--trust"), 0)
	b.Stdin = strings.NewReader("")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named(), "--trust"), 0)
	if b.Err.Len() > 0 {
		t.Errorf("what is pinned is asked about: %s", &b.Err)
	}
	b.Write(".config/rscli/known_servers", 0o600, f.Named()+" "+before.Fingerprint()+"\n")
	b.Stdin = strings.NewReader("yes\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named(), "--trust"), 0,
		"shows another certificate than the pinned one", before.Fingerprint(), f.Fingerprint())
	if got := pins(b)[f.Named()]; got != f.Fingerprint() {
		t.Errorf("pinned is %s", got)
	}
}

func TestCACert(t *testing.T) {
	f, other := rsclitest.NewServer(t), rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	own := b.Write("own.pem", 0o644, "a comment\n"+rsclitest.PEM(other.Cert)+rsclitest.PEM(f.Cert))
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--cacert", own), 0)
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Named(), "--cacert", own),
		0) // under a name it does not bear
	if len(pins(b)) > 0 {
		t.Errorf("pinned with a CA file: %v", pins(b))
	}
	foreign := b.Write("foreign.pem", 0o644, rsclitest.PEM(other.Cert))
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--cacert", foreign), 3, "is not to be trusted")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--cacert", own, "--trust"), 2,
		"nothing is pinned")
	none := b.Write("none.pem", 0o644, "nothing")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--cacert", none), 2, "holds no certificate")
	bad := b.Write("bad.pem", 0o644, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--cacert", bad), 2, "is damaged")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--cacert", b.Home+"/x"), 2,
		"cannot read the CA file")
}

func TestNowhereToKeepPins(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Vars["HOME"] = ""
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 0)
	if b.Err.Len() > 0 {
		t.Errorf("a warning without -v: %s", &b.Err)
	}
	b.Expect(b.Run(rscli.NewTestConnection, "-v", "-s", f.Addr()), 0, "trusted this time only")
	b.Vars["HOME"] = b.Write("file", 0o600, "") // no folder can be made here
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 0)
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--trust"), 1, "cannot keep the certificate")
}

func TestDamagedPinsAreNotForgotten(t *testing.T) {
	f := rsclitest.NewServer(t)
	for _, text := range []string{"127.0.0.1:1\n", f.Addr() + " sha256:00\n", "a b c\n"} {
		b := rsclitest.NewBench(t)
		b.Write(".config/rscli/known_servers", 0o600, "# one\n"+text)
		b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 2, "known_servers: line 2")
	}
}

func TestTrustOfBothServers(t *testing.T) {
	a, b := rsclitest.NewServer(t), rsclitest.NewServer(t)
	w := rsclitest.NewBench(t)
	w.Expect(w.Run(rscli.NewTestConnection, "-s", a.Named(), "-b", b.Named(), "--trust"), 0)
	if got := pins(w); got[a.Named()] != a.Fingerprint() ||
		got[b.Named()] != b.Fingerprint() {
		t.Errorf("pins are %v", got)
	}
	down := rsclitest.ClosedPort(t)
	w.Expect(w.Run(rscli.NewTestConnection, "-s", a.Named(), "-b", down, "--trust"), 0,
		"warning: cannot get the certificate of "+down)
	w.Expect(w.Run(rscli.NewTestConnection, "-s", down, "--trust"), 3, "connection refused")
}
