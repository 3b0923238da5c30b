package copyserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/copyserver/state"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/announce"
	"copyservices/copyserver/api"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/filestore"
)

func TestLife(t *testing.T) {
	opts := testOptions(t.TempDir())
	opts.ReadyFile = filepath.Join(t.TempDir(), "ready")
	must(t, os.WriteFile(opts.ReadyFile, []byte("of a server that was killed"), 0o600))
	s, err := newServer(opts, testSeams)
	must(t, err)
	if _, err := os.Stat(opts.ReadyFile); !os.IsNotExist(err) {
		t.Errorf("before Start the ready file is there: %v", err)
	}
	must(t, s.Start())
	if s.Start() == nil {
		t.Error("started twice")
	}
	data, err := os.ReadFile(opts.ReadyFile)
	must(t, err)
	var ready announce.Ready
	must(t, json.Unmarshal(data, &ready))
	want := announce.Ready{
		Address: s.Addr(), NBDAddress: s.NBDAddr(), Fingerprint: secrets.Fingerprint(s.cert),
		PID: os.Getpid(), Array: "2105.13698",
	}
	if ready != want || ready.NBDAddress == "" {
		t.Errorf("ready file %+v, want %+v", ready, want)
	}
	resp, err := pinned(s).Get("https://" + ready.Address + "/healthz")
	must(t, err)
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || string(body) != "ok\n" {
		t.Errorf("health: %s %q", resp.Status, body)
	}
	_, err = newServer(opts, testSeams)
	if fault.KindOf(err) != fault.Busy || !strings.Contains(err.Error(), opts.State) {
		t.Errorf("second server: %v", err)
	}
	must(t, s.Stop(t.Context()))
	must(t, s.Stop(t.Context()))
	if _, err := os.Stat(opts.ReadyFile); !os.IsNotExist(err) {
		t.Errorf("after Stop the ready file is there: %v", err)
	}
	if s.Start() == nil {
		t.Error("started after Stop")
	}
	wantInOrder(t, opts.State)
}

func wantInOrder(t *testing.T, dir string) {
	t.Helper()
	if errs := state.Check(dir); len(errs) != 0 {
		t.Errorf("check: %v", errs)
	}
}

// TestNewUndoesItself: after a failure nothing is held, so the next one works.
func TestNewUndoesItself(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	dir := t.TempDir()
	for name, change := range map[string]func(*Options){
		"address":     func(o *Options) { o.Listen = taken.Addr().String() },
		"NBD address": func(o *Options) { o.NBDListen = taken.Addr().String() },
		"NBD open":    func(o *Options) { o.NBDListen = "0.0.0.0:0" },
		"NBD key":     func(o *Options) { o.NBDTLSCert, o.NBDTLSKey = "/none", "/none" },
		"NBD CA":      func(o *Options) { o.NBDTLSClientCA = "/none" },
		"serial":      func(o *Options) { o.ArraySerial = "99999" },
	} {
		must(t, newAndStop(testOptions(dir)))
		opts := testOptions(dir)
		change(&opts)
		if err := newAndStop(opts); err == nil || fault.HintOf(err) == "" && name[:3] != "NBD" {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, newAndStop(testOptions(dir)))
}

func newAndStop(opts Options) error {
	s, err := newServer(opts, testSeams)
	if err != nil {
		return err
	}
	return s.Stop(context.Background())
}

func TestNBDOutsideWithClientCertificates(t *testing.T) {
	opts := testOptions(t.TempDir())
	must(t, newAndStop(opts))
	opts.NBDListen = "0.0.0.0:0"
	opts.NBDTLSClientCA = filepath.Join(opts.State, "tls", secrets.CertFile)
	must(t, newAndStop(opts))
	marked := filepath.Join(t.TempDir(), "marked.pem")
	pem, err := os.ReadFile(opts.NBDTLSClientCA)
	must(t, err)
	must(t, os.WriteFile(marked, append([]byte("\ufeff"), pem...), 0o600))
	opts.NBDTLSClientCA, opts.NBDTLSCert = marked, marked
	opts.NBDTLSKey = filepath.Join(opts.State, "tls", secrets.KeyFile)
	must(t, newAndStop(opts))
	opts.NBDTLSCert, opts.NBDTLSKey = "", ""
	opts.NBDTLSClientCA, opts.NBDInsecure = "", true
	must(t, newAndStop(opts))
	opts.NBDListen = NoNBD
	s, err := newServer(opts, testSeams)
	must(t, err)
	if s.NBDAddr() != "" {
		t.Error("NBD is on")
	}
	must(t, s.Stop(t.Context()))
}

func TestBadOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"state":       func(o *Options) { o.State = "" },
		"listen":      func(o *Options) { o.Listen = "nowhere" },
		"nbd-listen":  func(o *Options) { o.NBDListen = "nowhere" },
		"serial":      func(o *Options) { o.ArraySerial = "1369" },
		"certificate": func(o *Options) { o.NBDTLSCert = "x" },
	} {
		opts := testOptions(filepath.Join(t.TempDir(), "new"))
		change(&opts)
		_, err := New(opts)
		if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(opts.State); opts.State != "" && err == nil {
			t.Errorf("%s: the state folder was made", name)
		}
	}
}

func TestForeignFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o700))
	must(t, newAndStop(testOptions(dir)))
	foreign := t.TempDir()
	must(t, os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o600))
	err := newAndStop(testOptions(foreign))
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("foreign folder: %v", err)
	}
	if entries, _ := os.ReadDir(foreign); len(entries) != 1 {
		t.Errorf("it now holds %v", entries)
	}
}

// TestInitialisationIsTakenUpAgain fails each write of a first start in turn
// and starts again.
func TestInitialisationIsTakenUpAgain(t *testing.T) {
	for step := 0; ; step++ {
		dir := t.TempDir()
		fsys := &fullDisk{FS: atomicfile.OS(), left: step}
		err := func() error {
			s, err := newServer(testOptions(dir), seams{fsys: fsys, cost: testSeams.cost})
			if err != nil {
				return err
			}
			return s.Stop(context.Background())
		}()
		if err == nil {
			if step < 5 {
				t.Errorf("only %d files were written", step)
			}
			return
		}
		if !strings.Contains(err.Error(), "no space left in folder "+dir) {
			t.Errorf("step %d: %v", step, err)
		}
		w := start(t, dir)
		w.do("GET", "/v1/server", nil, 200, nil)
		w.end()
		wantInOrder(t, dir)
	}
}

func TestStopAnswersLongPolls(t *testing.T) {
	w, _ := startSlow(t, t.TempDir())
	v := w.volumes(2)
	w.task("t", taskstore.TaskEstablish, v[0], v[1])
	var run api.Run
	w.do("POST", "/v1/tasks/t/runs", api.RunRequest{Wait: true}, 201, &run)
	var polls sync.WaitGroup
	polls.Go(func() {
		var out api.Run
		w.do("GET", "/v1/runs/"+run.ID+"?wait=60", nil, 200, &out)
		if out.State != taskstore.RunRunning {
			t.Errorf("the poll was answered with %+v", out)
		}
	})
	polls.Go(func() {
		var out api.Completion
		w.do("GET", "/v1/tasks/t/completion?wait=60", nil, 200, &out)
		if out.Complete || out.Percent != 50 {
			t.Errorf("the poll was answered with %+v", out)
		}
	})
	time.Sleep(200 * time.Millisecond) // they are on their way by then
	begin := time.Now()
	must(t, w.Stop(t.Context()))
	polls.Wait()
	if took := time.Since(begin); took > drainTimeout/2 {
		t.Errorf("stopping took %v", took)
	}
}

// TestRunsAfterARestart: a run that was under way when the server ended is
// interrupted at the next start, one whose copies were established goes on.
func TestRunsAfterARestart(t *testing.T) {
	dir := t.TempDir()
	w, _ := startSlow(t, dir)
	v := w.volumes(4)
	w.task("t", taskstore.TaskEstablish, v[0], v[1])
	var run api.Run
	w.do("POST", "/v1/tasks/t/runs", api.RunRequest{Wait: true}, 201, &run)
	w.end()

	store, err := filestore.Open(dir)
	must(t, err)
	must(t, store.Runs().Create(taskstore.Run{
		ID: "cut", Task: "u", Type: taskstore.TaskEstablish, State: taskstore.RunRunning,
		Started: time.Now().UTC(),
		Pairs:   []taskstore.ResolvedPair{{Source: v[2], Target: v[3]}},
	}))
	must(t, store.Close())

	w, a := startSlow(t, dir)
	for id, state := range map[string]taskstore.RunState{
		run.ID: taskstore.RunRunning, "cut": taskstore.RunInterrupted,
	} {
		var got api.Run
		w.do("GET", "/v1/runs/"+id, nil, 200, &got)
		if got.State != state || (got.Error != nil) != (id == "cut") {
			t.Errorf("run %+v, %+v", got, got.Error)
		}
	}
	a.finish()
	var c api.Completion
	w.do("GET", "/v1/tasks/t/completion?wait=10", nil, 200, &c)
	if !c.Complete {
		t.Errorf("completion %+v", c)
	}
	w.do("GET", "/v1/runs/"+run.ID+"?wait=10", nil, 200, &run)
	if run.State != taskstore.RunDone || run.Percent != 100 {
		t.Errorf("run %+v", run)
	}
}

// TestClientDisconnects in the middle of a body and in the middle of a run.
func TestClientDisconnects(t *testing.T) {
	w, a := startSlow(t, t.TempDir())
	v := w.volumes(2)
	w.task("t", taskstore.TaskEstablish, v[0], v[1])
	broken, send := io.Pipe()
	go func() {
		_, _ = send.Write([]byte(`{"name":"half","type":`))
		send.CloseWithError(errors.New("the client died"))
	}()
	if resp, err := w.raw("POST", "/v1/tasks", broken); err == nil {
		t.Errorf("half a body was answered with %s", resp.Status)
	}
	w.refused("GET", "/v1/tasks/half", nil, 404, fault.NotFound, "half")

	a.gate = make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := w.rawContext(ctx, "POST", "/v1/tasks/t/runs", strings.NewReader("{}")); err == nil {
		t.Error("a run was answered before it did anything")
	}
	close(a.gate)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var runs []api.Run
		w.do("GET", "/v1/runs?task=t", nil, 200, &runs)
		if len(runs) == 1 && runs[0].State == taskstore.RunDone {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("runs %+v", runs)
		}
	}
}

// panicking is an array that cannot list its volumes.
type panicking struct{ *filearray.Array }

func (panicking) Volumes(context.Context) ([]arrayclient.Volume, error) { panic("kaboom") }

func TestPanicIsAnswered(t *testing.T) {
	seams := testSeams
	seams.wrap = func(a *filearray.Array) arrayclient.Array { return panicking{a} }
	w := startWith(t, t.TempDir(), seams)
	w.refused("GET", "/v1/volumes", nil, 500, fault.Server, "the server failed")
	if !strings.Contains(w.log.String(), "kaboom") || !strings.Contains(w.log.String(), "stack=") {
		t.Errorf("log: %s", w.log)
	}
	w.refused("GET", "/v1/volumes", nil, 500, fault.Server, "the server failed")
}

func TestRequestsAreLogged(t *testing.T) {
	w := start(t, t.TempDir())
	w.addUser("op", taskstore.RoleOperator).do("GET", "/v1/tasks", nil, 200, nil)
	resp, _ := w.as("op", "guess-me").request("GET", "/v1/tasks", nil)
	_, log, _ := strings.Cut(w.log.String(), "msg=serving")
	id := "id=" + resp.Header.Get("X-Request-Id")
	for _, want := range []string{
		"method=GET path=/v1/tasks user=op", "status=200 duration=", "status=401", id,
		`level=INFO msg=request id=`, `level=DEBUG msg=read id=`,
		`level=WARN msg="login failed" ` + id + " method=GET path=/v1/tasks user=op remote=127.0.0.1:",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
	for _, secret := range []string{"guess-me", "passw0rd"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q is in the log:\n%s", secret, log)
		}
	}
}

// fullDisk takes so many more files.
type fullDisk struct {
	atomicfile.FS
	mu   sync.Mutex
	left int
}

func (d *fullDisk) set(left int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = left
}

func (d *fullDisk) CreateTemp(dir, pattern string) (atomicfile.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left--; d.left < 0 {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOSPC}
	}
	return d.FS.CreateTemp(dir, pattern)
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	fsys := &fullDisk{FS: atomicfile.OS(), left: 1000}
	w := startWith(t, dir, seams{fsys: fsys, cost: testSeams.cost})
	v := w.volumes(4)
	w.task("t", taskstore.TaskEstablish, v[0], v[1])
	away := api.EstablishRequest{Pairs: []api.TaskPair{{Source: v[2], Target: v[3]}}}
	away.Options.NoCopy = true
	w.do("POST", "/v1/relationships", away, 201, nil)
	fsys.set(0)
	full := "no space left in folder " + dir
	w.refused("PUT", "/v1/hosts/h", api.Host{Name: "h"}, 500, fault.Server, full)
	w.refused("POST", "/v1/tasks/t/runs", "{}", 500, fault.Server, full)
	w.refused("POST", "/v1/relationships", api.EstablishRequest{
		Pairs: []api.TaskPair{{Source: v[0], Target: v[1]}},
	}, 500, fault.Server, full, api.KeyHeader, "0123456789abcdef")
	// What makes way for space is done all the same.
	w.do("POST", "/v1/relationships/withdraw", api.PairsRequest{Pairs: away.Pairs}, 200, nil,
		api.KeyHeader, "0123456789abcdef")
	w.do("DELETE", "/v1/volumes/"+v[3], nil, 204, nil)
	var rels []api.Relationship
	w.do("GET", "/v1/relationships", nil, 200, &rels)
	if len(rels) != 0 {
		t.Errorf("relationships %+v", rels)
	}
	fsys.set(1000)
	w.do("POST", "/v1/tasks/t/runs", "{}", 201, nil)
	w.end()
	wantInOrder(t, dir)
}
