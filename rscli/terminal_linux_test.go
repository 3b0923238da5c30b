package rscli

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"copyservices/copyserver/api"
)

// TestAsProgram is no test: it is how the tests below start a real process.
func TestAsProgram(t *testing.T) {
	asProgram(t, map[string]func() int{"setdevice": SetDeviceMain, "setuser": SetUserMain})
}

// startOnTerminal starts a program that knows the server and the password.
func startOnTerminal(t *testing.T, f *fakeServer, program string) *pty {
	t.Helper()
	b := newBench(t)
	env := []string{"HOME=" + b.home, "RSCLI_CONFIG=" + b.vars["RSCLI_CONFIG"]}
	return startBare(t, env, program, "-s", f.addr())
}

func TestPromptEditsCompletesAndRemembers(t *testing.T) {
	f := newFake(t)
	kept := serveEntries(f)
	p := startOnTerminal(t, f, "setdevice")
	p.expect(">>> ")
	p.send("addes 10.0.0.5" + strings.Repeat(keyLeft, 9) + "s\x05 admin topsecret" + keyEnter)
	p.expect("A provider entry for IP 10.0.0.5 successfully added\r\n")
	p.expect(">>> ")
	p.send("lsesx" + keyBackspace + "s" + keyEnter)
	p.expect("10.0.0.5  admin")
	p.expect(">>> ")
	p.send("adess 10.0.0.5 admin topsecret" + keyCtrlC)
	p.expect(">>> ")
	p.send("addesss" + keyTab + "10.0.0.6 u" + keyEnter)
	p.expect("Password of u: ")
	p.send("hiddensecret" + keyEnter)
	p.expect("An essserver entry for IP 10.0.0.6 successfully added\r\n")
	p.send(keyUp + keyUp + keyUp)
	p.expect("addess 10.0.0.5 admin")
	p.send(keyEnter)
	p.expect("Password of admin: ")
	p.send("topsecret" + keyEnter)
	p.expect("setdevice: error: an entry for 10.0.0.5 exists already\r\n")
	p.expect(">>> ")
	p.send("exit" + keyEnter)
	p.expectExit(0)
	if strings.Contains(p.written(), "secret") {
		t.Errorf("a password was on the screen: %q", p.written())
	}
	all := kept.all()
	if len(all) != 2 || all[0].Password != "topsecret" || all[1].Password != "hiddensecret" {
		t.Errorf("the server has %+v", all)
	}
}

func TestNewPasswordIsAskedForTwice(t *testing.T) {
	f := newFake(t)
	p := startOnTerminal(t, f, "setuser")
	got := make(chan api.UserChange, 1)
	f.handle("POST /v1/users", func(w http.ResponseWriter, r *http.Request) {
		var change api.UserChange
		_ = json.NewDecoder(r.Body).Decode(&change)
		got <- change
		sendJSON(w, http.StatusCreated, api.User{})
	})
	for i, second := range []string{"secretary", "secret word"} {
		p.expect(">>> ")
		p.send("adduser cimuser" + keyEnter)
		p.expect("Password of cimuser: ")
		p.send("secret word" + keyEnter)
		p.expect("again: ")
		p.send(second + keyEnter)
		p.expect([]string{"the two passwords differ", "An entry for user cimuser successfully added"}[i])
	}
	if change := <-got; change.Password != "secret word" {
		t.Errorf("the server got %+v", change)
	}
	p.expect(">>> ")
	p.send(keyCtrlD)
	p.expectExit(0)
	if strings.Contains(p.written(), "secret") {
		t.Errorf("a password was on the screen: %q", p.written())
	}
}

// What is typed while a command runs is not shown either, and is not lost.
func TestTypingAheadIsNotShown(t *testing.T) {
	f := newFake(t)
	kept := serveEntries(f)
	release := make(chan bool)
	f.handle("DELETE /v1/entries/ess/10.0.0.1", func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.WriteHeader(http.StatusNoContent)
	})
	p := startOnTerminal(t, f, "setdevice")
	p.expect(">>> ")
	p.send("rmess 10.0.0.1" + keyEnter)
	waitFor(t, "the deletion", func() bool {
		seen, _ := f.requests()
		return seen[len(seen)-1] == "DELETE /v1/entries/ess/10.0.0.1"
	})
	p.send("addess 10.0.0.5 admin topsecret" + keyEnter)
	time.Sleep(50 * time.Millisecond) // time for an echo, if there were one
	close(release)
	p.expect("10.0.0.5 successfully added")
	p.send("exit" + keyEnter)
	p.expectExit(0)
	if strings.Contains(p.written(), "secret") || len(kept.all()) != 1 {
		t.Errorf("the screen is %q, the server has %+v", p.written(), kept.all())
	}
}

func TestSignalAtThePromptGivesTheTerminalBack(t *testing.T) {
	p := startOnTerminal(t, newFake(t), "setdevice")
	p.expect(">>> ")
	p.send("addess 10.0.0.5 admin topsec")
	p.expect("admin ******")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.expectExit(130)
}
