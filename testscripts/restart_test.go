package testscripts

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

var restarts = flag.Int("restarts", 12, "how often TestRestarts starts the server again")

// How many commands wait at a time. Each has a task of its own to copy, or stands
// in line for the task of all.
const (
	copyingTasks = 2
	inLine       = 4
	lineTask     = "T2"
)

// restartRun is the state of TestRestarts.
type restartRun struct {
	t         *testing.T
	rng       *rand.Rand
	state     string
	home      string    // of the commands
	addresses [2]string // of servers A and B
	server    *exec.Cmd
	log       bytes.Buffer
	client    *api.Client

	mu        sync.Mutex
	ended     map[string][]string // the runs that commands were told of, by task
	completed int                 // commands that were told so by rsQueryComplete
	late      int                 // commands that were started while the server was away
	failed    []string
	done      bool
}

// freeAddress returns an address that is free, and not one that the system gives
// to others while the server is away.
func (r *restartRun) freeAddress() string {
	r.t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+r.rng.IntN(10000)))
		if err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	r.t.Fatal("no port is free")
	return ""
}

// start starts the server as A or B and waits until it is ready.
func (r *restartRun) start(which int) {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	ready := filepath.Join(r.t.TempDir(), "ready")
	r.log.Reset()
	r.server = exec.Command(self)
	r.server.Args = []string{"copyserver", "--state", r.state, "--listen", r.addresses[which],
		"--nbd-listen", "none", "--ready-file", ready}
	r.server.Stderr = &r.log
	if err := r.server.Start(); err != nil {
		r.t.Fatal(err)
	}
	for end := time.Now().Add(readyTime); ; time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			return
		}
		if time.Now().After(end) {
			r.stop(os.Kill)
			r.t.Fatalf("the server is not ready\n%s", r.log.String())
		}
	}
}

func (r *restartRun) stop(sig os.Signal) {
	_ = r.server.Process.Signal(sig)
	_ = r.server.Wait()
}

// create makes for each task a source with content and a target, and lets copying
// take a while.
func (r *restartRun) create(ctx context.Context) {
	r.t.Helper()
	r.client = api.New(api.Options{
		Servers: r.addresses[:], User: "superuser", Password: "passw0rd", Timeout: time.Minute,
		TLS: func(string) *tls.Config { return &tls.Config{InsecureSkipVerify: true} },
	})
	r.t.Cleanup(r.client.Close)
	const size = 4 << 20
	vols, err := r.client.CreateVolumes(ctx, api.VolumeCreate{Size: size, Count: 2 * (copyingTasks + 1)})
	r.must(err)
	content := bytes.Repeat([]byte("content "), size/8)
	for i := range copyingTasks + 1 {
		_, err := r.client.WriteContent(ctx, vols[2*i].Serial, false, func(w io.Writer) error {
			return api.SendStream(w, bytes.NewReader(content), size, nil)
		})
		r.must(err)
		_, err = r.client.CreateTask(ctx, api.Task{
			Name: fmt.Sprintf("T%d", i), Type: taskstore.TaskEstablish,
			Pairs: []api.TaskPair{{Source: string(vols[2*i].Serial), Target: string(vols[2*i+1].Serial)}},
		})
		r.must(err)
	}
	array, err := r.client.Arrays(ctx)
	r.must(err)
	rate := int64(48 << 20)
	_, err = r.client.ChangeArray(ctx, array[0].ID, api.ArrayChange{CopyRate: &rate})
	r.must(err)
}

func (r *restartRun) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *restartRun) isDone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done || len(r.failed) > 0
}

// command runs a command of the suite to its end, which must be a good one. One
// that was started while the server was away has done nothing.
func (r *restartRun) command(task string, args ...string) {
	self, _ := os.Executable()
	cmd := exec.Command(self)
	cmd.Args = append(args, task, "-s", r.addresses[0], "-b", r.addresses[1], "-u", "superuser",
		"-p", "passw0rd", "--timeout", "5m", "--json")
	cmd.Env = []string{"HOME=" + r.home, "GORACE=atexit_sleep_ms=0"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var report struct {
		Runs     []api.Run `json:"runs"`
		Complete bool      `json:"complete"`
	}
	bad := json.Unmarshal(stdout.Bytes(), &report)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case cmd.ProcessState.ExitCode() == 3 && strings.Contains(stderr.String(), "error: ") &&
		!strings.Contains(stderr.String(), "asking on") && !strings.Contains(stderr.String(), "lost"):
		r.late++
		return
	case err != nil || bad != nil:
	case report.Complete:
		r.completed++
		return
	case len(report.Runs) == 1 && report.Runs[0].State == taskstore.RunDone &&
		report.Runs[0].Percent == 100:
		r.ended[task] = append(r.ended[task], report.Runs[0].ID)
		return
	}
	r.failed = append(r.failed, fmt.Sprintf("%q: %v\n%s%s", args, err, &stdout, &stderr))
}

// work runs commands until the server has been started often enough.
func (r *restartRun) work(group *sync.WaitGroup) {
	for i := range copyingTasks {
		group.Go(func() {
			for task := fmt.Sprintf("T%d", i); !r.isDone(); {
				before := r.count(task)
				r.command(task, "rsExecuteTask", "--wait")
				if r.count(task) > before {
					r.command(task, "rsQueryComplete")
				}
			}
		})
	}
	for range inLine {
		group.Go(func() {
			for !r.isDone() {
				r.command(lineTask, "rsExecuteTask", "--wait", "--wait-lock", "5m")
			}
		})
	}
}

func (r *restartRun) count(task string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ended[task])
}

// again ends the server, in one way or another, and starts it, here or there.
func (r *restartRun) again() {
	time.Sleep(time.Duration(100+r.rng.IntN(250)) * time.Millisecond)
	sig := os.Signal(os.Kill)
	if r.rng.IntN(3) == 0 && runtime.GOOS != "windows" {
		sig = os.Interrupt
	}
	r.stop(sig)
	time.Sleep(time.Duration(r.rng.IntN(50)) * time.Millisecond)
	r.start(r.rng.IntN(2))
}

// verify holds the history of the server against what the commands were told.
func (r *restartRun) verify(ctx context.Context) {
	r.t.Helper()
	for i := range copyingTasks + 1 {
		task := fmt.Sprintf("T%d", i)
		runs, _, err := r.client.Runs(ctx, task, 100000)
		r.must(err)
		slices.Reverse(runs)
		var done []string
		var before time.Time
		for _, run := range runs {
			switch run.State {
			case taskstore.RunDone:
				done = append(done, run.ID)
			case taskstore.RunInterrupted: // before it got to the array; its request began another
				continue
			default:
				r.t.Errorf("run %s of %s is %s: %+v", run.ID, task, run.State, run.Error)
			}
			came := run.Queued
			if came.IsZero() {
				came = run.Started
			}
			if came.Before(before) {
				r.t.Errorf("run %s of %s came at %v and began after one that came at %v",
					run.ID, task, came, before)
			}
			before = came
		}
		told := slices.Clone(r.ended[task])
		slices.Sort(done)
		slices.Sort(told)
		if !slices.Equal(done, told) {
			r.t.Errorf("%s: %d runs are done, commands were told of %d", task, len(done), len(told))
		}
	}
}

// TestRestarts ends the server again and again, and starts it as server A or B,
// while commands wait: no wait ends early, no run is lost or repeated, and who
// stands in line keeps the place.
func TestRestarts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := &restartRun{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), state: filepath.Join(t.TempDir(), "state"),
		home: t.TempDir(), ended: map[string][]string{},
	}
	r.addresses = [2]string{r.freeAddress(), r.freeAddress()}
	r.start(0)
	defer func() { r.stop(os.Kill) }()
	r.create(t.Context())
	var commands sync.WaitGroup
	r.work(&commands)
	for n := 0; n < *restarts && !r.isDone(); n++ {
		r.again()
	}
	r.mu.Lock()
	r.done = true
	r.mu.Unlock()
	commands.Wait()
	for _, text := range r.failed {
		t.Error(text)
	}
	r.verify(t.Context())
	t.Logf("%d runs in line, %d and %d others, %d completions, %d commands came too late",
		len(r.ended[lineTask]), len(r.ended["T0"]), len(r.ended["T1"]), r.completed, r.late)
	if n := len(r.ended[lineTask]); n < inLine || r.completed == 0 {
		t.Errorf("only %d runs in line, %d completions", n, r.completed)
	}
}
