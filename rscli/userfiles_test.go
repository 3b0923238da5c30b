package rscli

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
	f := newFake(t)
	for how, text := range saved(testPassword + "\r\nsecond line\r\n") {
		b := newBench(t)
		b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600, "user: operator\nserver: "+f.addr()+"\n")
		file := b.write("pw", 0o600, text)
		b.expect(b.run(newTestConnection, "--password-file", file), 0)
		b.expect(b.run(newTestConnection, "--password-command", "cat "+file), 0)
		b.Stdin = strings.NewReader(text)
		b.expect(b.run(newTestConnection, "--password-file", "-"), 0)
		if t.Failed() {
			t.Fatalf("saved as %s", how)
		}
	}
}

func TestNewPasswordHoweverItWasSaved(t *testing.T) {
	f := newFake(t)
	for how, text := range saved("new one\n") {
		var got api.UserChange
		f.handle("POST /v1/users", func(w http.ResponseWriter, r *http.Request) {
			got = api.UserChange{}
			readBody(t, r, &got)
			sendJSON(w, http.StatusCreated, api.User{Name: "x", Role: "operator"})
		})
		b := newBench(t)
		file := b.write("new", 0o600, text)
		b.expect(b.run(newESSCLI, "create", "user", "x", "-s", f.addr(), "--new-password-file", file), 0)
		if got.Password != "new one" {
			t.Errorf("%s: the password is %q", how, got.Password)
		}
	}
}

func TestCertificatesHoweverTheyWereSaved(t *testing.T) {
	f := newFake(t)
	for how, text := range saved(pemOf(f.cert)) {
		b := newBench(t)
		if code := b.run(newTestConnection, "-s", f.addr(), "--cacert", b.write("ca", 0o644, text)); code != 0 {
			t.Errorf("%s: code %d: %s", how, code, &b.stderr)
		}
	}
}

func TestConfigurationHoweverItWasSaved(t *testing.T) {
	f := newFake(t)
	for how, text := range saved("server: " + f.addr() + "\r\nuser: operator\r\npassword: " + testPassword + "\r\n") {
		b := newBench(t)
		b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600, text)
		if code := b.run(newTestConnection); code != 0 {
			t.Errorf("%s: code %d: %s", how, code, &b.stderr)
		}
	}
}

func TestCommandsHoweverTheyWereSaved(t *testing.T) {
	for how, text := range saved("help\r\n") {
		b := newBench(t)
		b.Stdin = strings.NewReader(text)
		if code := b.run(newSetUser); code != 0 || !strings.Contains(b.stdout.String(), "adduser USER PASS") {
			t.Errorf("%s: code %d: %s", how, code, &b.stderr)
		}
	}
}

func TestTextWithoutMarkIsRefusedByName(t *testing.T) {
	b := newBench(t)
	file := b.write("pw", 0o600, "p\x00w\x00")
	b.expect(b.run(newTestConnection, "-s", "a", "--password-file", file, "--cacert", file), 2,
		"text in UTF-16 without a byte order mark")
	b.expect(b.run(newTestConnection, "-s", "127.0.0.1:1", "--password-file", file), 2,
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
	f, other := newFake(t), newFake(t)
	print := f.fingerprint()
	addr := strings.Replace(f.addr(), ":", ":0", 1) // a port is a decimal number
	for _, line := range []string{
		strings.ToUpper(print), "SHA256 Fingerprint=" + colons(print), colons(print) + "  # mine",
	} {
		for how, text := range saved("# pins\r\n" + addr + "  " + line + "\r\n") {
			b := newBench(t)
			b.write(".config/rscli/known_servers", 0o600, text)
			if code := b.run(newTestConnection, "-s", f.addr()); code != 0 {
				t.Errorf("%s, %s: code %d: %s", line, how, code, &b.stderr)
			}
		}
	}
	b := newBench(t)
	b.write(".config/rscli/known_servers", 0o600, f.addr()+" "+colons(other.fingerprint())+"\n")
	b.expect(b.run(newTestConnection, "-s", f.addr()), 3, "another server may pose as it")
	b.write(".config/rscli/known_servers", 0o600, f.addr()+" "+print+"\n"+addr+" "+other.fingerprint()+"\n")
	b.expect(b.run(newTestConnection, "-s", f.addr()), 2, "known_servers: line 2: another fingerprint")
	b.write(".config/rscli/known_servers", 0o600, "a:b:c "+print+"\n")
	b.expect(b.run(newTestConnection, "-s", f.addr()), 2, "known_servers: line 1", `"a:b:c" is not the address`)
}

func TestPinningLeavesOtherLinesAlone(t *testing.T) {
	f, before := newFake(t), newFake(t)
	b := newBench(t)
	file := b.write("dotfiles/pins", 0o644, "# ours\r\n\r\nother "+colons(before.fingerprint())+"\r\n"+
		f.addr()+" "+before.fingerprint()+" # lab\r\nlast "+before.fingerprint())
	must(t, os.MkdirAll(filepath.Dir(b.pinFile()), 0o700))
	must(t, os.Symlink(file, b.pinFile()))
	b.expect(b.run(newTestConnection, "-s", f.addr(), "--trust"), 0)
	want := "# ours\r\n\r\nother " + colons(before.fingerprint()) + "\r\n" +
		f.addr() + " " + f.fingerprint() + " # lab\nlast " + before.fingerprint() + "\n"
	if got := readFile(t, file); got != want {
		t.Errorf("the file became\n%s", got)
	}
	if to, err := os.Readlink(b.pinFile()); to != file || err != nil {
		t.Errorf("the link became %q, %v", to, err)
	}
}

func TestLoginLeavesOtherLinesAlone(t *testing.T) {
	f := newFake(t)
	b := newStranger(t)
	text := "# mine\n\n- server: Prod   # by hand\n  user: 'op'\n  password: \"x\"\n\n" +
		"# the lab\n- {server: " + f.addr() + ", user: old, password: gone}\n\n- server: z:1\n  user: u\n  password: p"
	file := b.write("dotfiles/logins.yaml", 0o600, text)
	must(t, os.MkdirAll(filepath.Dir(b.Env.loginsFile()), 0o700))
	must(t, os.Symlink(file, b.Env.loginsFile()))
	b.login(t, "-s", f.addr())
	want := strings.Replace(text, "- {server: "+f.addr()+", user: old, password: gone}\n",
		"- server: "+f.addr()+"\n  user: operator\n  password: s3cret\n", 1) + "\n"
	if got := readFile(t, file); got != want {
		t.Errorf("the file became\n%s", got)
	}
	b.expect(b.run(newTestConnection, "-s", f.addr(), "-u", "Operator"), 0)
	b.expect(b.run(newESSCLI, "logout", "-s", "prod:8452"), 0)
	want = strings.Replace(want, "- server: Prod   # by hand\n  user: 'op'\n  password: \"x\"\n", "", 1)
	if got := readFile(t, file); got != want {
		t.Errorf("after a logout the file is\n%s", got)
	}
	if to, err := os.Readlink(b.Env.loginsFile()); to != file || err != nil {
		t.Errorf("the link became %q, %v", to, err)
	}
}

// What cannot be edited line by line is written anew, with every entry.
func TestLoginInAnyLayout(t *testing.T) {
	f := newFake(t)
	for _, text := range []string{
		"[{server: a, user: b, password: c}]", "-\n  server: a\n  user: b\n  password: c\n",
		"- server: a\n  user: b\n  password: >-\n    c\n", "---\n- server: a\n  user: b\n  password: c\n...\n",
	} {
		b := newStranger(t)
		b.write(".config/rscli/logins.yaml", 0o600, text)
		b.login(t, "-s", f.addr())
		all, err := readLogins(b.Env)
		if err != nil || len(all) != 2 || all[0] != (login{Server: "a:8452", User: "b", Password: "c"}) {
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
		b := newStranger(t)
		path := b.write(".config/rscli/logins.yaml", 0o600, text)
		b.expect(b.run(newTestConnection), 2, path+": ", want, "hint: remove it and log in again, or correct it")
	}
}

// Commands that run at the same time each store what they say.
func TestLoginsAtTheSameTime(t *testing.T) {
	const many = 12
	home := newStranger(t)
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range many {
		f, b := newFake(t), newStranger(t)
		b.vars["HOME"] = home.home
		f.handle("GET /v1/server", func(w http.ResponseWriter, _ *http.Request) {
			<-begin
			sendJSON(w, http.StatusOK, api.Server{User: testUser, Role: "operator"})
		})
		b.Stdin = strings.NewReader(testPassword)
		all.Go(func() {
			if code := b.run(newESSCLI, "login", "-s", f.addr(), "-u", testUser, "--password-file", "-"); code != 0 {
				t.Errorf("code %d: %s", code, &b.stderr)
			}
		})
	}
	close(begin)
	all.Wait()
	stored, err := readLogins(home.Env)
	if err != nil || len(stored) != many {
		t.Errorf("%d of %d logins are stored, %v", len(stored), many, err)
	}
	if pins := home.pins(); len(pins) != many {
		t.Errorf("%d of %d servers are pinned", len(pins), many)
	}
}
