package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's own program stand in for a server.
func TestMain(m *testing.M) {
	switch os.Getenv("BENCH_TEST_SERVER") {
	case "":
		os.Exit(m.Run())
	case "fail":
		fmt.Fprintln(os.Stderr, "cannot listen")
		os.Exit(3)
	case "serve":
		time.Sleep(time.Minute)
	}
}

func standIn(t *testing.T, behaviour string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), "BENCH_TEST_SERVER="+behaviour)
	return cmd
}

func TestDaemonThatEnds(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	_, err := startDaemon(standIn(t, "fail"), log, func() bool { return false })
	if err == nil || !strings.Contains(err.Error(), "exit status 3: cannot listen") {
		t.Errorf("the error is %v", err)
	}
}

func TestDaemonStops(t *testing.T) {
	asked := 0
	ready := func() bool { asked++; return asked > 2 }
	d, err := startDaemon(standIn(t, "serve"), filepath.Join(t.TempDir(), "log"), ready)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > stopAfter/2 {
		t.Errorf("stopping took %s", took)
	}
	if d.cmd.ProcessState == nil {
		t.Error("it was not waited for")
	}
}

func TestAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil || !answers(port) {
		t.Errorf("nobody answers on %s, %v", port, err)
	}
	if free, err := freePort(); err != nil || free == port {
		t.Errorf("port %s is free, %v", free, err)
	}
}

func TestOptions(t *testing.T) {
	var out strings.Builder
	o, err := readOptions([]string{"-rounds", "5", "-short", "-only", "^nbd/", "-o", "F"}, &out)
	if err != nil || !o.short || o.rounds != 1 || o.out != "F" {
		t.Errorf("got %+v, %v", o, err)
	}
	if !o.wants("nbd/read-1m-depth1-conn1") || o.wants("list") {
		t.Errorf("%s chooses the wrong cases", o.only)
	}
	for _, args := range [][]string{
		{"-rounds", "0"}, {"-only", "("}, {"list"}, {"-nothing"}, {"-only", "no such case"},
	} {
		var stdout, stderr strings.Builder
		if code := run(args, &stdout, &stderr); code == 0 || stderr.Len() == 0 || stdout.Len() != 0 {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, &stdout, &stderr)
		}
	}
}

func TestSections(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sections() {
		if s.title == "" || s.how == "" || s.measure == nil || len(s.cases) == 0 {
			t.Errorf("section %s lacks something", s.name)
		}
		for _, c := range s.cases {
			if seen[c] || c != s.name && !strings.HasPrefix(c, s.name+"/") {
				t.Errorf("section %s has the case %q", s.name, c)
			}
			seen[c] = true
		}
	}
	if n := len(nbdCases()); n != 16 {
		t.Errorf("%d cases of NBD", n)
	}
}

func TestWriteScattered(t *testing.T) {
	file := filepath.Join(t.TempDir(), "image")
	const size = 1 << 20
	if err := writeScattered(file, size); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil || len(content) != size {
		t.Fatalf("%d bytes, %v", len(content), err)
	}
	for track := range slices.Chunk(content, 64<<10) {
		data, rest := track[:4096], track[4096:]
		if slices.Contains(data, 0) || slices.IndexFunc(rest, func(b byte) bool { return b != 0 }) >= 0 {
			t.Fatal("a track does not hold just 4 KiB of data at its beginning")
		}
	}
}

// TestRun measures for real what needs no tool of others.
func TestRun(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("builds all binaries and runs them")
	}
	t.Chdir("..")
	dir := t.TempDir()
	var stdout, stderr strings.Builder
	file := filepath.Join(dir, "out")
	args := []string{"-short", "-only", "^(list|execute)$", "-dir", dir, "-o", file}
	if code := run(args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	written, err := os.ReadFile(file)
	if err != nil || string(written) != stdout.String()+kept {
		t.Errorf("%v; the file holds %s\nbut printed was %s", err, written, &stdout)
	}
	for _, work := range []string{"rsList2105s, 4,096 disks", "rsExecuteTask, establish, repeated"} {
		figure := regexp.MustCompile(`(?m)^\| ` + work + ` *\| [0-9.]+ ms`)
		if !figure.MatchString(stdout.String()) {
			t.Errorf("no figure of %s in %s", work, &stdout)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v; left behind: %v", err, left)
	}
}

func TestTimedSaysWhatWentWrong(t *testing.T) {
	l := &lab{stderr: filepath.Join(t.TempDir(), "stderr")}
	if _, err := l.timed(standIn(t, "fail")); err == nil ||
		!strings.Contains(err.Error(), "cannot listen") {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.timed(exec.CommandContext(ctx, os.Args[0])); err == nil {
		t.Error("a call that was cancelled has a figure")
	}
}
