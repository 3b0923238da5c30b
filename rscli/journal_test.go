package rscli

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// logLines returns the lines of a log file without time and process id, both of
// which must be there.
func logLines(t *testing.T, path string) []string {
	t.Helper()
	line := regexp.MustCompile(
		`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d) (\w+)\[\d+\]: (.*)$`)
	var lines []string
	for text := range strings.Lines(readFile(t, path)) {
		m := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if m == nil {
			t.Fatalf("the log has the line %q", text)
		}
		lines = append(lines, m[2]+": "+m[3])
	}
	return lines
}

func TestLogFile(t *testing.T) {
	f := newFake(t)
	f.reply(runsPath(taskName), http.StatusCreated, sampleRun(taskstore.RunDone))
	b := newBench(t)
	log := filepath.Join(b.home, "rs.log")
	args := []string{"-q", "--log", log, "-s", f.addr(), "-p", testPassword}
	b.expect(b.run(newExecuteTask, append(args, taskName)...), 0)
	if b.stdout.Len()+b.stderr.Len() > 0 {
		t.Errorf("with -q it printed %q and %q", &b.stdout, &b.stderr)
	}
	b.expect(b.run(newExecuteTask, append(args, "-v", taskName, "none")...), 10, "error: ")
	b.expect(b.run(newQuery, "--nonsense", "--log="+log), 2, "no flag --nonsense")
	b.expect(b.run(newExecuteTask, "--log", log, "--help"), 0)
	got := strings.Join(logLines(t, log), "\n")
	want := regexp.MustCompile(`^rsExecuteTask: pinned server=".*
rsExecuteTask: task VMWare_W2K_FC done: establish, 1 pair
rsExecuteTask: done
rsExecuteTask: connecting servers=".*
rsExecuteTask: running task="VMWare_W2K_FC"
rsExecuteTask: task VMWare_W2K_FC done: establish, 1 pair
rsExecuteTask: running task="none"
rsExecuteTask: error: there is no .*none.*
rsQuery: error: rsQuery has no flag --nonsense
rsQuery: hint: see "rsQuery --help".*$`)
	if !want.MatchString(got) {
		t.Errorf("the log is\n%s", got)
	}
	if strings.Contains(got, testPassword) {
		t.Error("the log holds a password")
	}
	info, err := os.Stat(log)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the log has the mode %v, %v", info.Mode(), err)
	}
}

func TestLogTakesWhatQuietHides(t *testing.T) {
	f := newFake(t)
	run := sampleRun(taskstore.RunDone)
	run.Warnings = []string{"mind the gap"}
	f.reply(runsPath(taskName), http.StatusCreated, run)
	b := newBench(t)
	log := filepath.Join(b.home, "rs.log")
	b.expect(b.run(newExecuteTask, "-q", "--log", log, "-s", f.addr(), taskName), 0)
	want := "rsExecuteTask: warning: task " + taskName + ": mind the gap"
	if lines := logLines(t, log); b.stderr.Len() > 0 || lines[1] != want {
		t.Errorf("stderr is %q, the log %q", &b.stderr, lines)
	}
}

// What changes something says so in the log; what only asks, "done".
func TestEveryChangeIsLogged(t *testing.T) {
	f := newFake(t)
	serveEntries(f)
	b := newBench(t)
	log := filepath.Join(b.home, "rs.log")
	b.expect(b.run(newSetDevice, "--log", log, "-s", f.addr(), "addess", "10.0.0.5", "u", "topsecret"), 0)
	b.expect(b.run(newSetDevice, "--log", log, "-s", f.addr(), "lsess"), 0)
	got := strings.Join(logLines(t, log), "\n")
	if !strings.Contains(got, "setdevice: A provider entry for IP 10.0.0.5 successfully added\n") ||
		strings.Contains(got, "topsecret") || !strings.HasSuffix(got, "done\nsetdevice: done") {
		t.Errorf("the log is\n%s", got)
	}
}

func TestLogThatCannotBeOpened(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	for target, want := range map[string]string{
		"":                           "--log needs a value",
		b.home:                       "cannot open the log",
		filepath.Join(b.home, "x/y"): "cannot open the log",
	} {
		b.expect(b.run(newTestConnection, "--log", target, "-s", f.addr()), 2, want)
	}
	if seen, _ := f.requests(); len(seen) > 0 {
		t.Errorf("it went on and asked for %q", seen)
	}
}

// brokenSink is a disk that is full.
type brokenSink struct{ calls int }

func (s *brokenSink) put(severity, string) error {
	s.calls++
	return errors.New("no space left on device")
}

func (s *brokenSink) Close() error { return nil }

func TestLostLogIsToldOnce(t *testing.T) {
	b := newBench(t)
	b.Name = "rsQuery"
	to := &brokenSink{}
	b.Env.journal = &journal{sink: to, warn: b.warnLogLost}
	b.warn("one")
	b.end(fault.New(fault.Busy, "two").WithHint("three"))
	want := "rsQuery: warning: one\n" +
		"rsQuery: warning: the log is incomplete: no space left on device\n" +
		"rsQuery: error: two\nrsQuery: hint: three\n"
	if got := b.stderr.String(); got != want || to.calls != 3 {
		t.Errorf("%d messages were kept, stderr is\n%s", to.calls, got)
	}
}

func TestLinesOfManyWritersDoNotMix(t *testing.T) {
	b := newBench(t)
	b.Name = "rsQuery"
	path := filepath.Join(b.home, "rs.log")
	text := strings.Repeat("x", 3000)
	var all sync.WaitGroup
	for range 8 {
		to, err := openLogFile(b.Env, path)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer to.Close()
			for range 50 {
				if err := to.put(severityInfo, text); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	lines := logLines(t, path)
	for _, line := range lines {
		if line != "rsQuery: "+text {
			t.Fatalf("a line is %q", line)
		}
	}
	if len(lines) != 400 {
		t.Errorf("%d lines", len(lines))
	}
}
