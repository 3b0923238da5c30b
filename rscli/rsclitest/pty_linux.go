package rsclitest

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

// RunAs names the variable that makes the test binary a command of the suite.
const RunAs = "RSCLI_TEST_RUN_AS"

// PTY is a program on a terminal of its own.
type PTY struct {
	T      *testing.T
	master *os.File
	Slave  *os.File
	Cmd    *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer // all that was written to it
	seen   int          // how much of it was waited for
}

// StartProgram starts one of the programs of the test's AsProgram on a terminal.
func StartProgram(t *testing.T, env []string, program string, args ...string) *PTY {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"-test.run=^TestAsProgram$", "--"}, args...)...)
	cmd.Env = append(env, RunAs+"="+program, "TERM=xterm")
	return StartCommand(t, cmd)
}

// StartCommand starts any command on a terminal; it ends with the test at the latest.
func StartCommand(t *testing.T, cmd *exec.Cmd) *PTY {
	t.Helper()
	p := OpenTerminal(t)
	p.Cmd = cmd
	p.Cmd.Stdin, p.Cmd.Stdout, p.Cmd.Stderr = p.Slave, p.Slave, p.Slave
	p.Cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Cmd.Process.Kill()
		_ = p.Cmd.Wait()
	})
	return p
}

// open makes a pair of terminal ends.
func (p *PTY) open() {
	p.T.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		p.T.Skipf("no terminals here: %v", err)
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
		p.T.Fatal(err)
	}
	name := fmt.Sprintf("/dev/pts/%d", number)
	slave, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		p.T.Fatal(err)
	}
	p.master, p.Slave = master, slave
	p.T.Cleanup(func() { master.Close(); slave.Close() })
}

func (p *PTY) watch() {
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

// Written returns all that was written to the terminal so far.
func (p *PTY) Written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// Expect waits for a text after those that were waited for before.
func (p *PTY) Expect(text string) {
	p.T.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if at := strings.Index(p.Written()[p.seen:], text); at >= 0 {
			p.seen += at + len(text)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.T.Fatalf("%q does not appear in %q", text, p.Written()[p.seen:])
}

// Send types keys.
func (p *PTY) Send(keys string) {
	p.T.Helper()
	if _, err := p.master.WriteString(keys); err != nil {
		p.T.Fatal(err)
	}
}

// ExpectExit waits for the end of the program, which must end with code and leave the
// terminal as it was.
func (p *PTY) ExpectExit(code int) {
	p.T.Helper()
	done := make(chan error, 1)
	go func() { done <- p.Cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		p.T.Fatalf("it does not end; the screen is %q", p.Written())
	}
	if got := p.Cmd.ProcessState.ExitCode(); got != code {
		p.T.Errorf("exit code %d, want %d; the screen is %q", got, code, p.Written())
	}
	state, err := unix.IoctlGetTermios(int(p.Slave.Fd()), unix.TCGETS)
	if err != nil || state.Lflag&unix.ECHO == 0 || state.Lflag&unix.ICANON == 0 {
		p.T.Errorf("the terminal is not as it was: %+v, %v", state, err)
	}
}

// WaitFor waits until ok says that what has come.
func WaitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s does not come", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Echoes reports whether the terminal shows what is typed.
func (p *PTY) Echoes() bool {
	p.T.Helper()
	state, err := unix.IoctlGetTermios(int(p.Slave.Fd()), unix.TCGETS)
	if err != nil {
		p.T.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// What the keys of a terminal send.
const (
	KeyEnter, KeyTab, KeyCtrlC, KeyCtrlD, KeyBackspace = "\r", "\t", "\x03", "\x04", "\x7f"

	KeyUp, KeyLeft = "\x1b[A", "\x1b[D"
)

// AsProgram makes this process the program that the environment names, if it was
// started by StartProgram. It is the body of the test TestAsProgram.
func AsProgram(t *testing.T, mains map[string]func() int) {
	run, ok := mains[os.Getenv(RunAs)]
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

// OpenTerminal returns a terminal without a program.
func OpenTerminal(t *testing.T) *PTY {
	t.Helper()
	p := &PTY{T: t}
	p.open()
	go p.watch()
	return p
}
