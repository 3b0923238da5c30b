package connect_test

import (
	"encoding/binary"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"copyservices/copyserver/api"
	"copyservices/rscli"
	"copyservices/rscli/connect"
	"copyservices/rscli/esscli"
	"copyservices/rscli/rsclitest"
	"copyservices/rscli/shell"
)

// The files that people and commands share: passwords, pins, logins,
// certificates, configuration.

// saved are the ways in which editors and shells save a text.
func saved(text string) map[string]string {
	var little []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		little = binary.LittleEndian.AppendUint16(little, unit)
	}
	return map[string]string{"plain": text, "mark": "\ufeff" + text, "UTF-16": string(little)}
}

func TestPasswordsHoweverTheyWereSaved(t *testing.T) {
	f := rsclitest.NewServer(t)
	for how, text := range saved(rsclitest.Password + "\r\nsecond line\r\n") {
		b := rsclitest.NewBench(t)
		b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, "user: operator\nserver: "+f.Addr()+"\n")
		file := b.Write("pw", 0o600, text)
		b.Expect(b.Run(rscli.NewTestConnection, "--password-file", file), 0)
		b.Expect(b.Run(rscli.NewTestConnection, "--password-command", "cat "+file), 0)
		b.Stdin = strings.NewReader(text)
		b.Expect(b.Run(rscli.NewTestConnection, "--password-file", "-"), 0)
		if t.Failed() {
			t.Fatalf("saved as %s", how)
		}
	}
}

func TestNewPasswordHoweverItWasSaved(t *testing.T) {
	f := rsclitest.NewServer(t)
	for how, text := range saved("new one\n") {
		var got api.UserChange
		f.Handle("POST /v1/users", func(w http.ResponseWriter, r *http.Request) {
			got = api.UserChange{}
			rsclitest.ReadBody(t, r, &got)
			rsclitest.SendJSON(w, http.StatusCreated, api.User{Name: "x", Role: "operator"})
		})
		b := rsclitest.NewBench(t)
		file := b.Write("new", 0o600, text)
		b.Expect(b.Run(esscli.New, "create", "user", "x", "-s", f.Addr(), "--new-password-file", file), 0)
		if got.Password != "new one" {
			t.Errorf("%s: the password is %q", how, got.Password)
		}
	}
}

func TestCertificatesHoweverTheyWereSaved(t *testing.T) {
	f := rsclitest.NewServer(t)
	for how, text := range saved(rsclitest.PEM(f.Cert)) {
		b := rsclitest.NewBench(t)
		if code := b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--cacert", b.Write("ca", 0o644, text)); code != 0 {
			t.Errorf("%s: code %d: %s", how, code, &b.Err)
		}
	}
}

func TestConfigurationHoweverItWasSaved(t *testing.T) {
	f := rsclitest.NewServer(t)
	for how, text := range saved("server: " + f.Addr() + "\r\nuser: operator\r\npassword: " + rsclitest.Password + "\r\n") {
		b := rsclitest.NewBench(t)
		b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, text)
		if code := b.Run(rscli.NewTestConnection); code != 0 {
			t.Errorf("%s: code %d: %s", how, code, &b.Err)
		}
	}
}

func TestCommandsHoweverTheyWereSaved(t *testing.T) {
	for how, text := range saved("help\r\n") {
		b := rsclitest.NewBench(t)
		b.Stdin = strings.NewReader(text)
		if code := b.Run(shell.NewSetUser); code != 0 || !strings.Contains(b.Out.String(), "adduser USER PASS") {
			t.Errorf("%s: code %d: %s", how, code, &b.Err)
		}
	}
}

func TestTextWithoutMarkIsRefusedByName(t *testing.T) {
	b := rsclitest.NewBench(t)
	file := b.Write("pw", 0o600, "p\x00w\x00")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", "a", "--password-file", file, "--cacert", file), 2,
		"text in UTF-16 without a byte order mark")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", "127.0.0.1:1", "--password-file", file), 2,
		"cannot read the password from "+file, "text in UTF-16 without a byte order mark")
}

// colons writes a fingerprint as openssl does.
func colons(print string) string {
	digits := strings.ToUpper(strings.TrimPrefix(print, "sha256:"))
	var parts []string
	for i := 0; i < len(digits); i += 2 {
		parts = append(parts, digits[i:i+2])
	}
	return strings.Join(parts, ":")
}

func TestPinsAreComparedByMeaning(t *testing.T) {
	f, other := rsclitest.NewServer(t), rsclitest.NewServer(t)
	print := f.Fingerprint()
	addr := strings.Replace(f.Addr(), ":", ":0", 1) // a port is a decimal number
	for _, line := range []string{
		strings.ToUpper(print), "SHA256 Fingerprint=" + colons(print), colons(print) + "  # mine",
	} {
		for how, text := range saved("# pins\r\n" + addr + "  " + line + "\r\n") {
			b := rsclitest.NewBench(t)
			b.Write(".config/rscli/known_servers", 0o600, text)
			if code := b.Run(rscli.NewTestConnection, "-s", f.Addr()); code != 0 {
				t.Errorf("%s, %s: code %d: %s", line, how, code, &b.Err)
			}
		}
	}
	b := rsclitest.NewBench(t)
	b.Write(".config/rscli/known_servers", 0o600, f.Addr()+" "+colons(other.Fingerprint())+"\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 3, "another server may pose as it")
	b.Write(".config/rscli/known_servers", 0o600, f.Addr()+" "+print+"\n"+addr+" "+other.Fingerprint()+"\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 2, "known_servers: line 2: another fingerprint")
	b.Write(".config/rscli/known_servers", 0o600, "a:b:c "+print+"\n")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 2, "known_servers: line 1", `"a:b:c" is not the address`)
}

func TestPinningLeavesOtherLinesAlone(t *testing.T) {
	f, before := rsclitest.NewServer(t), rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	file := b.Write("dotfiles/pins", 0o644, "# ours\r\n\r\nother "+colons(before.Fingerprint())+"\r\n"+
		f.Addr()+" "+before.Fingerprint()+" # lab\r\nlast "+before.Fingerprint())
	rsclitest.Must(t, os.MkdirAll(filepath.Dir(pinFile(b)), 0o700))
	rsclitest.Must(t, os.Symlink(file, pinFile(b)))
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "--trust"), 0)
	want := "# ours\r\n\r\nother " + colons(before.Fingerprint()) + "\r\n" +
		f.Addr() + " " + f.Fingerprint() + " # lab\nlast " + before.Fingerprint() + "\n"
	if got := rsclitest.ReadFile(t, file); got != want {
		t.Errorf("the file became\n%s", got)
	}
	if to, err := os.Readlink(pinFile(b)); to != file || err != nil {
		t.Errorf("the link became %q, %v", to, err)
	}
}

func TestLoginLeavesOtherLinesAlone(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewStranger(t)
	text := "# mine\n\n- server: Prod   # by hand\n  user: 'op'\n  password: \"x\"\n\n" +
		"# the lab\n- {server: " + f.Addr() + ", user: old, password: gone}\n\n- server: z:1\n  user: u\n  password: p"
	file := b.Write("dotfiles/logins.yaml", 0o600, text)
	rsclitest.Must(t, os.MkdirAll(filepath.Dir(connect.LoginsFile(b.Env)), 0o700))
	rsclitest.Must(t, os.Symlink(file, connect.LoginsFile(b.Env)))
	login(b, t, "-s", f.Addr())
	want := strings.Replace(text, "- {server: "+f.Addr()+", user: old, password: gone}\n",
		"- server: "+f.Addr()+"\n  user: operator\n  password: s3cret\n", 1) + "\n"
	if got := rsclitest.ReadFile(t, file); got != want {
		t.Errorf("the file became\n%s", got)
	}
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr(), "-u", "Operator"), 0)
	b.Expect(b.Run(esscli.New, "logout", "-s", "prod:8452"), 0)
	want = strings.Replace(want, "- server: Prod   # by hand\n  user: 'op'\n  password: \"x\"\n", "", 1)
	if got := rsclitest.ReadFile(t, file); got != want {
		t.Errorf("after a logout the file is\n%s", got)
	}
	if to, err := os.Readlink(connect.LoginsFile(b.Env)); to != file || err != nil {
		t.Errorf("the link became %q, %v", to, err)
	}
}

// What cannot be edited line by line is written anew, with every entry.
func TestLoginInAnyLayout(t *testing.T) {
	f := rsclitest.NewServer(t)
	for _, text := range []string{
		"[{server: a, user: b, password: c}]", "-\n  server: a\n  user: b\n  password: c\n",
		"- server: a\n  user: b\n  password: >-\n    c\n", "---\n- server: a\n  user: b\n  password: c\n...\n",
	} {
		b := rsclitest.NewStranger(t)
		b.Write(".config/rscli/logins.yaml", 0o600, text)
		login(b, t, "-s", f.Addr())
		all, err := connect.ReadLogins(b.Env)
		if err != nil || len(all) != 2 || all[0] != (connect.Login{Server: "a:8452", User: "b", Password: "c"}) {
			t.Errorf("%q: %v, %v", text, all, err)
		}
	}
}

func TestBadLoginIsNamedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"- {server: a, user: b, password: c}\n- server: d\n  usr: e\n":                   "line 3 is not",
		"- {server: a, user: b, password: c}\n- {server: 'a:b:c', user: b, password: c}": "line 2 is not",
		"- {server: a, user: b, password: c}\n- {server: A, user: b, password: c}":       "for the second time",
		"- {server: a, user: b\n": "line ",
	} {
		b := rsclitest.NewStranger(t)
		path := b.Write(".config/rscli/logins.yaml", 0o600, text)
		b.Expect(b.Run(rscli.NewTestConnection), 2, path+": ", want, "hint: remove it and log in again, or correct it")
	}
}

// Commands that run at the same time each store what they say.
func TestLoginsAtTheSameTime(t *testing.T) {
	const many = 12
	home := rsclitest.NewStranger(t)
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range many {
		f, b := rsclitest.NewServer(t), rsclitest.NewStranger(t)
		b.Vars["HOME"] = home.Home
		f.Handle("GET /v1/server", func(w http.ResponseWriter, _ *http.Request) {
			<-begin
			rsclitest.SendJSON(w, http.StatusOK, api.Server{User: rsclitest.User, Role: "operator"})
		})
		b.Stdin = strings.NewReader(rsclitest.Password)
		all.Go(func() {
			if code := b.Run(esscli.New, "login", "-s", f.Addr(), "-u", rsclitest.User, "--password-file", "-"); code != 0 {
				t.Errorf("code %d: %s", code, &b.Err)
			}
		})
	}
	close(begin)
	all.Wait()
	stored, err := connect.ReadLogins(home.Env)
	if err != nil || len(stored) != many {
		t.Errorf("%d of %d logins are stored, %v", len(stored), many, err)
	}
	if pins := pins(home); len(pins) != many {
		t.Errorf("%d of %d servers are pinned", len(pins), many)
	}
}
