package main

import (
	"context"
	"fmt"
	"io"
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
	if n, first := len(nbdCases()), len(firstCases()); n != 16 || first != 13 {
		t.Errorf("%d cases of NBD, %d of first writes", n, first)
	}
}

func TestScattered(t *testing.T) {
	file := filepath.Join(t.TempDir(), "image")
	const size = 1 << 20
	if err := makeImage(file, size, scattered(size, memoryTracks)); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil || len(content) != size {
		t.Fatalf("%d bytes, %v", len(content), err)
	}
	for track := range slices.Chunk(content, trackSize) {
		data, rest := track[:blockSize], track[blockSize:]
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
	t.Chdir("../..")
	dir := t.TempDir()
	var stdout, stderr strings.Builder
	file := filepath.Join(dir, "out")
	args := []string{"-short", "-only", "^(list|execute|group|resync|open)$", "-dir", dir, "-o", file}
	if code := run(args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	written, err := os.ReadFile(file)
	if err != nil || string(written) != stdout.String()+kept {
		t.Errorf("%v; the file holds %s\nbut printed was %s", err, written, &stdout)
	}
	for _, work := range []string{"rsList2105s, 4,096 disks", "rsExecuteTask, establish, repeated",
		"longest write during the freeze", "resync, 1 % of the tracks changed", "open after a kill"} {
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

func TestFioArguments(t *testing.T) {
	job := fioJob{uri: "nbd://h/x", rw: "randwrite", block: "4k", depth: 32, conns: 4}
	if args := job.args(); !slices.Contains(args, "--norandommap") ||
		!slices.Contains(args, "--offset_increment=25%") {
		t.Errorf("at random: %q", args)
	}
	// 64 tracks for each connection, which a zone of 64 blocks stands for.
	job.once = 4 * 64 * trackSize
	args := job.args()
	for _, want := range []string{"--blockalign=65536", "--random_generator=lfsr",
		"--zonerange=262144", "--io_size=262144", "--zonesize=16777216"} {
		if !slices.Contains(args, want) {
			t.Errorf("each track once: no %s in %q", want, args)
		}
	}
	if slices.Contains(args, "--norandommap") {
		t.Errorf("each track once, but with repetition: %q", args)
	}
}

func TestLongest(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	writes := []timedWrite{{at(0), at(90)}, {at(95), at(101)}, {at(150), at(230)}, {at(200), at(300)}}
	if got := longest(writes, at(100), at(200)); got != 80*time.Millisecond {
		t.Errorf("the longest took %s", got)
	}
}

func TestOnePercent(t *testing.T) {
	const size = 1000 * trackSize
	var tracks trackSet
	if err := onePercent(size)(&tracks); err != nil || len(tracks) != 10 {
		t.Errorf("%d tracks, %v", len(tracks), err)
	}
}

// trackSet remembers which tracks were written to.
type trackSet []int64

func (s *trackSet) WriteAt(p []byte, off int64) (int, error) {
	if !slices.Contains(*s, off/trackSize) {
		*s = append(*s, off/trackSize)
	}
	return len(p), nil
}

// TestAttach shakes hands as the server does that the protocol describes.
func TestAttach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "NBDMAGICIHAVEOPT\x00\x03")
		option := make([]byte, 4+8+4+4+len("20313698"))
		_, err = io.ReadFull(conn, option)
		asked <- fmt.Sprintf("%q %v", option, err)
		conn.Write(make([]byte, 8+2))
	}()
	conn, err := attach("nbd://" + l.Addr().String() + "/20313698")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	const want = `"\x00\x00\x00\x03IHAVEOPT\x00\x00\x00\x01\x00\x00\x00\b20313698" <nil>`
	if got := <-asked; got != want {
		t.Errorf("it asked for %s, want %s", got, want)
	}
}
