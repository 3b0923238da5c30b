package rscli

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"copyservices/taskstore"
)

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
