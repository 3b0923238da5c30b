package rscli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// runAs names the variable that makes the test binary a command of the suite.
const runAs = "RSCLI_TEST_RUN_AS"

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

func startBare(t *testing.T, env []string, program string, args ...string) *pty {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"-test.run=^TestAsProgram$", "--"}, args...)...)
	cmd.Env = append(env, runAs+"="+program, "TERM=xterm")
	return startCommand(t, cmd)
}

func startCommand(t *testing.T, cmd *exec.Cmd) *pty {
	t.Helper()
	p := openTerminal(t)
	p.cmd = cmd
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.slave, p.slave, p.slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
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

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s does not come", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (p *pty) echoes() bool {
	p.t.Helper()
	state, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// keys of a terminal
const (
	keyEnter, keyTab, keyCtrlC, keyCtrlD, keyBackspace = "\r", "\t", "\x03", "\x04", "\x7f"

	keyUp, keyLeft = "\x1b[A", "\x1b[D"
)

// asProgram makes this process the program that the environment names, if it was
// started by startBare. It is the body of the test TestAsProgram.
func asProgram(t *testing.T, mains map[string]func() int) {
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

// openTerminal returns a terminal without a program.
func openTerminal(t *testing.T) *pty {
	t.Helper()
	p := &pty{t: t}
	p.open()
	go p.watch()
	return p
}
