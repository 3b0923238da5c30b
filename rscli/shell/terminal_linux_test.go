package shell

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"copyservices/copyserver/api"
	"copyservices/rscli/rsclitest"
)

// TestAsProgram is no test: it is how the tests below start a real process.
func TestAsProgram(t *testing.T) {
	rsclitest.AsProgram(t, map[string]func() int{"setdevice": SetDeviceMain, "setuser": SetUserMain})
}

// startOnTerminal starts a program that knows the server and the password.
func startOnTerminal(t *testing.T, f *rsclitest.Server, program string) *rsclitest.PTY {
	t.Helper()
	b := rsclitest.NewBench(t)
	env := []string{"HOME=" + b.Home, "RSCLI_CONFIG=" + b.Vars["RSCLI_CONFIG"]}
	return rsclitest.StartProgram(t, env, program, "-s", f.Addr())
}

func TestPromptEditsCompletesAndRemembers(t *testing.T) {
	f := rsclitest.NewServer(t)
	kept := serveEntries(f)
	p := startOnTerminal(t, f, "setdevice")
	p.Expect(">>> ")
	p.Send("addes 10.0.0.5" + strings.Repeat(rsclitest.KeyLeft, 9) + "s\x05 admin topsecret" + rsclitest.KeyEnter)
	p.Expect("A provider entry for IP 10.0.0.5 successfully added\r\n")
	p.Expect(">>> ")
	p.Send("lsesx" + rsclitest.KeyBackspace + "s" + rsclitest.KeyEnter)
	p.Expect("10.0.0.5  admin")
	p.Expect(">>> ")
	p.Send("adess 10.0.0.5 admin topsecret" + rsclitest.KeyCtrlC)
	p.Expect(">>> ")
	p.Send("addesss" + rsclitest.KeyTab + "10.0.0.6 u" + rsclitest.KeyEnter)
	p.Expect("Password of u: ")
	p.Send("hiddensecret" + rsclitest.KeyEnter)
	p.Expect("An essserver entry for IP 10.0.0.6 successfully added\r\n")
	p.Send(rsclitest.KeyUp + rsclitest.KeyUp + rsclitest.KeyUp)
	p.Expect("addess 10.0.0.5 admin")
	p.Send(rsclitest.KeyEnter)
	p.Expect("Password of admin: ")
	p.Send("topsecret" + rsclitest.KeyEnter)
	p.Expect("setdevice: error: an entry for 10.0.0.5 exists already\r\n")
	p.Expect(">>> ")
	p.Send("exit" + rsclitest.KeyEnter)
	p.ExpectExit(0)
	if strings.Contains(p.Written(), "secret") {
		t.Errorf("a password was on the screen: %q", p.Written())
	}
	all := kept.all()
	if len(all) != 2 || all[0].Password != "topsecret" || all[1].Password != "hiddensecret" {
		t.Errorf("the server has %+v", all)
	}
}

func TestNewPasswordIsAskedForTwice(t *testing.T) {
	f := rsclitest.NewServer(t)
	p := startOnTerminal(t, f, "setuser")
	got := make(chan api.UserChange, 1)
	f.Handle("POST /v1/users", func(w http.ResponseWriter, r *http.Request) {
		var change api.UserChange
		_ = json.NewDecoder(r.Body).Decode(&change)
		got <- change
		rsclitest.SendJSON(w, http.StatusCreated, api.User{})
	})
	for i, second := range []string{"secretary", "secret word"} {
		p.Expect(">>> ")
		p.Send("adduser cimuser" + rsclitest.KeyEnter)
		p.Expect("Password of cimuser: ")
		p.Send("secret word" + rsclitest.KeyEnter)
		p.Expect("again: ")
		p.Send(second + rsclitest.KeyEnter)
		p.Expect([]string{"the two passwords differ", "An entry for user cimuser successfully added"}[i])
	}
	if change := <-got; change.Password != "secret word" {
		t.Errorf("the server got %+v", change)
	}
	p.Expect(">>> ")
	p.Send(rsclitest.KeyCtrlD)
	p.ExpectExit(0)
	if strings.Contains(p.Written(), "secret") {
		t.Errorf("a password was on the screen: %q", p.Written())
	}
}

// What is typed while a command runs is not shown either, and is not lost.
func TestTypingAheadIsNotShown(t *testing.T) {
	f := rsclitest.NewServer(t)
	kept := serveEntries(f)
	release := make(chan bool)
	f.Handle("DELETE /v1/entries/ess/10.0.0.1", func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.WriteHeader(http.StatusNoContent)
	})
	p := startOnTerminal(t, f, "setdevice")
	p.Expect(">>> ")
	p.Send("rmess 10.0.0.1" + rsclitest.KeyEnter)
	rsclitest.WaitFor(t, "the deletion", func() bool {
		seen, _ := f.Requests()
		return seen[len(seen)-1] == "DELETE /v1/entries/ess/10.0.0.1"
	})
	p.Send("addess 10.0.0.5 admin topsecret" + rsclitest.KeyEnter)
	time.Sleep(50 * time.Millisecond) // time for an echo, if there were one
	close(release)
	p.Expect("10.0.0.5 successfully added")
	p.Send("exit" + rsclitest.KeyEnter)
	p.ExpectExit(0)
	if strings.Contains(p.Written(), "secret") || len(kept.all()) != 1 {
		t.Errorf("the screen is %q, the server has %+v", p.Written(), kept.all())
	}
}

func TestSignalAtThePromptGivesTheTerminalBack(t *testing.T) {
	p := startOnTerminal(t, rsclitest.NewServer(t), "setdevice")
	p.Expect(">>> ")
	p.Send("addess 10.0.0.5 admin topsec")
	p.Expect("admin ******")
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.ExpectExit(130)
}
