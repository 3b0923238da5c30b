package rscli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"copyservices/copyserver/api"
)

// runAs names the variable that makes the test binary a command of the suite.
const runAs = "RSCLI_TEST_RUN_AS"

// TestAsProgram is no test: it is how the tests below start a real process.
func TestAsProgram(t *testing.T) {
	mains := map[string]func() int{
		"setdevice": SetDeviceMain, "setuser": SetUserMain,
		"esscli": ESSCLIMain, "rsTestConnection": TestConnectionMain,
	}
	run, ok := mains[os.Getenv(runAs)]
	if !ok {
		t.Skip("started by other tests")
	}
	for i, arg := range os.Args {
		if arg == "--" {
			os.Args = append(os.Args[:1], os.Args[i+1:]...)
			break
		}
	}
	os.Exit(run())
}

// pty is a program on a terminal of its own.
type pty struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	cmd    *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer // all that was written to it
	seen   int          // how much of it was waited for
}

// startOnTerminal starts a program that knows the server and the password.
func startOnTerminal(t *testing.T, f *fakeServer, program string) *pty {
	t.Helper()
	b := newBench(t)
	env := []string{"HOME=" + b.home, "RSCLI_CONFIG=" + b.vars["RSCLI_CONFIG"]}
	return startBare(t, env, program, "-s", f.addr())
}

func startBare(t *testing.T, env []string, program string, args ...string) *pty {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"-test.run=^TestAsProgram$", "--"}, args...)...)
	cmd.Env = append(env, runAs+"="+program, "TERM=xterm")
	return startCommand(t, cmd)
}

func startCommand(t *testing.T, cmd *exec.Cmd) *pty {
	t.Helper()
	p := &pty{t: t, cmd: cmd}
	p.open()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.slave, p.slave, p.slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	go p.watch()
	return p
}

// open makes a pair of terminal ends.
func (p *pty) open() {
	p.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		p.t.Skipf("no terminals here: %v", err)
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	name := fmt.Sprintf("/dev/pts/%d", number)
	slave, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	p.master, p.slave = master, slave
	p.t.Cleanup(func() { master.Close(); slave.Close() })
}

func (p *pty) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.screen.Write(buf[:n])
		p.mu.Unlock()
	}
}

func (p *pty) written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// expect waits for a text after those that were waited for before.
func (p *pty) expect(text string) {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if at := strings.Index(p.written()[p.seen:], text); at >= 0 {
			p.seen += at + len(text)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.t.Fatalf("%q does not appear in %q", text, p.written()[p.seen:])
}

func (p *pty) send(keys string) {
	p.t.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pty) expectExit(code int) {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		p.t.Fatalf("it does not end; the screen is %q", p.written())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("exit code %d, want %d; the screen is %q", got, code, p.written())
	}
	state, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil || state.Lflag&unix.ECHO == 0 || state.Lflag&unix.ICANON == 0 {
		p.t.Errorf("the terminal is not as it was: %+v, %v", state, err)
	}
}

// keys of a terminal
const (
	keyEnter, keyTab, keyCtrlC, keyCtrlD, keyBackspace = "\r", "\t", "\x03", "\x04", "\x7f"

	keyUp, keyLeft = "\x1b[A", "\x1b[D"
)

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

// The first minutes of a new guest: the certificate is shown and asked about, then
// user and password, which is stored and not shown.
func TestFirstMinutesOnATerminal(t *testing.T) {
	f := newFake(t)
	home := t.TempDir()
	env := []string{"HOME=" + home}
	p := startBare(t, env, "rsTestConnection", "--trust", "-s", f.named(), "-u", testUser)
	p.expect(f.named() + " is unknown.")
	p.expect(fingerprint(f.cert))
	p.send("no" + keyEnter)
	p.expect("error: the certificate of " + f.named() + " is not pinned")
	p.expectExit(3)

	p = startBare(t, env, "esscli", "login", "-s", f.named())
	p.expect("User of " + f.named() + ": ")
	p.send(testUser + keyEnter)
	p.expect(fingerprint(f.cert))
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

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s does not come", what)
		}
		time.Sleep(5 * time.Millisecond)
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
