//go:build unix && !aix && !solaris && !illumos

package program_test

import (
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"copyservices/rscli"
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore"
)

// listenSyslog is a syslog daemon; the function returns its next message.
func listenSyslog(t *testing.T, path string) func() string {
	t.Helper()
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func() string {
		buf := make([]byte, 4096)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

// The numbers are facility user (1) times 8 plus severity: 3 error, 4 warning,
// 6 information, 7 debug (RFC 3164).
func TestSyslog(t *testing.T) {
	f := rsclitest.NewServer(t)
	run := rsclitest.SampleRun(taskstore.RunDone)
	run.Warnings = []string{"mind the gap"}
	f.Reply(rsclitest.RunsPath(rsclitest.TaskName), http.StatusCreated, run)
	b := rsclitest.NewBench(t)
	b.SyslogSocket = filepath.Join(b.Home, "log")
	next := listenSyslog(t, b.SyslogSocket)
	b.Expect(b.Run(rscli.NewExecuteTask, "--log", "syslog", "-v", "-s", f.Addr(), rsclitest.TaskName), 0)
	b.Expect(b.Run(rscli.NewQuery, "--log", "syslog", "x"), 2)
	for _, want := range []string{
		`^<15>.*connecting`, `^<15>.*running`, `^<14>.*pinned`, `^<12>.*warning: task .* mind the gap`,
		`^<14>.*task VMWare_W2K_FC done: establish, 1 pair`, `^<14>.*rsExecuteTask\[\d+\]: done`,
		`^<11>.*rsQuery\[\d+\]: error: "x" is not a volume serial`,
	} {
		if got := next(); !regexp.MustCompile(want).MatchString(strings.TrimSpace(got)) {
			t.Errorf("syslog got %q, want %s", got, want)
		}
	}
}

// A copy is worth more than its log.
func TestSyslogThatDoesNotAnswer(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.SyslogSocket = filepath.Join(b.Home, "nobody")
	b.Expect(b.Run(rscli.NewTestConnection, "--log", "syslog", "-s", f.Addr()), 0,
		"warning: this run is not logged: syslog does not answer")
}

func TestNoEventLogHere(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(rscli.NewTestConnection, "--log", "eventlog", "-s", "127.0.0.1:1"), 2,
		"the event log is part of Windows", "hint: use --log syslog or --log FILE")
}

func TestLogToAPipeThatNobodyReads(t *testing.T) {
	b := rsclitest.NewBench(t)
	pipe := filepath.Join(b.Home, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	b.Expect(b.Run(rscli.NewTestConnection, "--log", pipe, "-s", "127.0.0.1:1"), 2, "cannot open the log")
}
