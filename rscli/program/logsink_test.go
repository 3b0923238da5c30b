package program_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"copyservices/rscli"
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore"
)

func TestLogFile(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply(rsclitest.RunsPath(rsclitest.TaskName), http.StatusCreated, rsclitest.SampleRun(taskstore.RunDone))
	b := rsclitest.NewBench(t)
	log := filepath.Join(b.Home, "rs.log")
	args := []string{"-q", "--log", log, "-s", f.Addr(), "-p", rsclitest.Password}
	b.Expect(b.Run(rscli.NewExecuteTask, append(args, rsclitest.TaskName)...), 0)
	if b.Out.Len()+b.Err.Len() > 0 {
		t.Errorf("with -q it printed %q and %q", &b.Out, &b.Err)
	}
	b.Expect(b.Run(rscli.NewExecuteTask, append(args, "-v", rsclitest.TaskName, "none")...), 10, "error: ")
	b.Expect(b.Run(rscli.NewQuery, "--nonsense", "--log="+log), 2, "no flag --nonsense")
	b.Expect(b.Run(rscli.NewExecuteTask, "--log", log, "--help"), 0)
	got := strings.Join(rsclitest.LogLines(t, log), "\n")
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
	if strings.Contains(got, rsclitest.Password) {
		t.Error("the log holds a password")
	}
	info, err := os.Stat(log)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the log has the mode %v, %v", info.Mode(), err)
	}
}

func TestLogTakesWhatQuietHides(t *testing.T) {
	f := rsclitest.NewServer(t)
	run := rsclitest.SampleRun(taskstore.RunDone)
	run.Warnings = []string{"mind the gap"}
	f.Reply(rsclitest.RunsPath(rsclitest.TaskName), http.StatusCreated, run)
	b := rsclitest.NewBench(t)
	log := filepath.Join(b.Home, "rs.log")
	b.Expect(b.Run(rscli.NewExecuteTask, "-q", "--log", log, "-s", f.Addr(), rsclitest.TaskName), 0)
	want := "rsExecuteTask: warning: task " + rsclitest.TaskName + ": mind the gap"
	if lines := rsclitest.LogLines(t, log); b.Err.Len() > 0 || lines[1] != want {
		t.Errorf("stderr is %q, the log %q", &b.Err, lines)
	}
}

func TestLogThatCannotBeOpened(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	for target, want := range map[string]string{
		"":                           "--log needs a value",
		b.Home:                       "cannot open the log",
		filepath.Join(b.Home, "x/y"): "cannot open the log",
	} {
		b.Expect(b.Run(rscli.NewTestConnection, "--log", target, "-s", f.Addr()), 2, want)
	}
	if seen, _ := f.Requests(); len(seen) > 0 {
		t.Errorf("it went on and asked for %q", seen)
	}
}
