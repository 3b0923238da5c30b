package program

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/service"
)

// registry stands for the service manager of Windows.
type registry struct {
	spec    service.Spec
	removed string
	err     error
}

func (r *registry) execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	s := surroundings{
		stdout: &out, stderr: &errs, tell: func(service.State) {},
		install: func(spec service.Spec) error { r.spec = spec; return r.err },
		remove:  func(name string) error { r.removed = name; return r.err },
	}
	code = s.run(t.Context(), args)
	return code, out.String(), errs.String()
}

func TestServiceInstall(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	dir, err := os.Getwd()
	must(t, err)
	must(t, os.WriteFile("c.yaml", []byte("listen: 127.0.0.1:0\n"), 0o600))
	var r registry
	code, stdout, stderr := r.execute(t, "service", "install", "--state", "my state",
		"--config=c.yaml", "--nbd-listen", "none", "--nbd-insecure", "--log-level", "warn")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "sc start copyserver") {
		t.Fatalf("%d, %q, %q", code, stdout, stderr)
	}
	want := []string{"service", "run", "--state=" + filepath.Join(dir, "my state"), "--config=" + filepath.Join(dir, "c.yaml"),
		"--nbd-listen=none", "--nbd-insecure=true", "--log-level=warn"}
	if !slices.Equal(r.spec.Args, want) {
		t.Errorf("arguments %q", r.spec.Args)
	}
	if r.spec.Name != "copyserver" || r.spec.Folder != filepath.Join(dir, "my state") ||
		!filepath.IsAbs(r.spec.Program) {
		t.Errorf("%+v", r.spec)
	}
	if _, err := os.Stat("my state"); err == nil {
		t.Error("the state folder is made before there is a service")
	}
}

// The service would end at once with what is refused here.
func TestServiceInstallRefuses(t *testing.T) {
	state := "--state=" + filepath.Join(t.TempDir(), "state")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{}, "no state folder is given"},
		{[]string{state, "extra"}, `unexpected argument "extra"`},
		{[]string{state, "--listen", "here"}, `"here" is no address`},
		{[]string{state, "--config", "/none"}, "/none"},
		{[]string{state, "--log-level", "loud"}, `"loud" is no log level`},
		{[]string{state, "--nope"}, "-nope"},
	} {
		var r registry
		code, stdout, stderr := r.execute(t, append([]string{"service", "install"}, tt.args...)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, tt.want) || r.spec.Name != "" {
			t.Errorf("%q: %d, %q, %q; installed %+v", tt.args, code, stdout, stderr, r.spec)
		}
	}
}

func TestServiceRemove(t *testing.T) {
	var r registry
	code, stdout, stderr := r.execute(t, "service", "remove")
	if code != 0 || r.removed != "copyserver" || !strings.Contains(stdout, "state folder is kept") || stderr != "" {
		t.Errorf("%d, %q, %q; removed %q", code, stdout, stderr, r.removed)
	}
	r = registry{err: fault.New(fault.Denied, "no").WithHint("ask")}
	for _, args := range [][]string{{"service", "remove"}, {"service", "install", "--state", t.TempDir()}} {
		code, stdout, stderr = r.execute(t, args...)
		if code != 5 || stdout != "" || stderr != "copyserver: error: no\ncopyserver: hint: ask\n" {
			t.Errorf("%q: %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

func TestServiceNeedsAVerb(t *testing.T) {
	for want, args := range map[string][]string{
		"install or remove?":           {"service"},
		`unexpected argument "start"`:  {"service", "start"},
		`unexpected argument "please"`: {"service", "remove", "please"},
	} {
		if code, stdout, stderr := execute(t, args...); code != 2 || stdout != "" ||
			!strings.Contains(stderr, want) {
			t.Errorf("%q: %d, %q, %q", args, code, stdout, stderr)
		}
	}
	if runtime.GOOS != "windows" {
		code, _, stderr := execute(t, "service", "remove")
		if code != 2 || !strings.Contains(stderr, "part of Windows") || serviceMain(nil) != 2 {
			t.Errorf("%d, %q", code, stderr)
		}
	}
}

// eventList is an event log.
type eventList struct {
	mu    sync.Mutex
	texts []string
}

func (l *eventList) Put(level slog.Level, text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts = append(l.texts, level.String()+" "+text)
	return errors.New("the event log is full")
}

// TestServesAsService runs the server as the service does that "install"
// registered, with its arguments.
func TestServesAsService(t *testing.T) {
	var r registry
	state := filepath.Join(t.TempDir(), "state")
	if code, _, stderr := r.execute(t, "service", "install", "--state", state,
		"--listen", "127.0.0.1:0", "--nbd-listen", "none"); code != 0 {
		t.Fatal(stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var events eventList
	var states []service.State
	body := asService(&events, r.spec.Args[len(runAsService):])
	code := body(ctx, func(s service.State) {
		states = append(states, s)
		cancel() // it is stopped as soon as it runs
	})
	if code != 0 {
		t.Errorf("code %d: %q", code, events.texts)
	}
	if !slices.Equal(states, []service.State{service.Running, service.Stopping}) {
		t.Errorf("states %v", states)
	}
	text := strings.Join(events.texts, "\n")
	if !strings.Contains(text, "INFO ") || !strings.Contains(text, "serving") || !strings.Contains(text, "stopped") {
		t.Errorf("events %s", text)
	}
	code = asService(&events, []string{"--state", state, "--array-serial", "?"})(ctx, nil)
	if last := events.texts[len(events.texts)-1]; code != 2 ||
		!strings.HasPrefix(last, "ERROR copyserver: error: ") {
		t.Errorf("code %d, last event %q", code, last)
	}
}

// TestTellsSystemd runs the program as a unit of Type=notify does.
func TestTellsSystemd(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("systemd is part of Linux")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	conn, err := net.ListenPacket("unixgram", socket)
	must(t, err)
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	next := func() string {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		buf := make([]byte, 100)
		n, _, err := conn.ReadFrom(buf)
		must(t, err)
		return string(buf[:n])
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr syncBuffer
	code := make(chan int)
	args := []string{"--state", filepath.Join(dir, "state"), "--listen", "127.0.0.1:0", "--nbd-listen", "none"}
	go func() { code <- run(ctx, args, &bytes.Buffer{}, &stderr) }()
	if got := next(); got != "READY=1" || !strings.Contains(stderr.String(), "serving") {
		t.Errorf("%q: %s", got, stderr.String())
	}
	cancel()
	if got := next(); got != "STOPPING=1" {
		t.Errorf("%q", got)
	}
	if got := <-code; got != 0 {
		t.Errorf("code %d", got)
	}
	// It serves also when systemd cannot be told; this time it is stopped at once.
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "none"))
	if got := run(ctx, args, &bytes.Buffer{}, &stderr); got != 0 ||
		!strings.Contains(stderr.String(), "systemd cannot be told READY=1") {
		t.Errorf("code %d: %s", got, stderr.String())
	}
}
