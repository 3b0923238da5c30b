package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
)

// managed is a service manager that the test is.
type managed struct {
	t        *testing.T
	controls chan control
	told     chan State
	code     chan int
}

func manage(t *testing.T, body Body) *managed {
	m := &managed{t, make(chan control), make(chan State), make(chan int, 1)}
	go func() {
		m.code <- supervise(t.Context(), body, m.controls, func(s State) { m.told <- s })
	}()
	return m
}

func (m *managed) expect(want State) {
	m.t.Helper()
	select {
	case got := <-m.told:
		if got != want {
			m.t.Fatalf("told %d, want %d", got, want)
		}
	case <-time.After(20 * time.Second):
		m.t.Fatalf("not told %d", want)
	}
}

func (m *managed) send(c control) {
	m.t.Helper()
	select {
	case m.controls <- c:
	case <-time.After(20 * time.Second):
		m.t.Fatal("nobody takes the control")
	}
}

func (m *managed) end(want int) {
	m.t.Helper()
	select {
	case got := <-m.code:
		if got != want {
			m.t.Fatalf("code %d, want %d", got, want)
		}
	case <-time.After(20 * time.Second):
		m.t.Fatal("it does not end")
	}
}

func TestLifeOfAService(t *testing.T) {
	m := manage(t, func(ctx context.Context, tell func(State)) int {
		tell(Running)
		<-ctx.Done()
		tell(Stopping)
		return 0
	})
	m.expect(Starting)
	m.expect(Running)
	m.send(report)
	m.expect(Running)
	m.send(stop)
	m.expect(Stopping)
	m.expect(Stopping)
	m.end(0)
}

// A service that is stopped while it starts does not say that it runs.
func TestStoppedWhileStarting(t *testing.T) {
	open := make(chan bool)
	m := manage(t, func(ctx context.Context, tell func(State)) int {
		<-open
		tell(Running)
		<-ctx.Done()
		return 7
	})
	m.expect(Starting)
	m.send(report)
	m.expect(Starting)
	m.send(stop)
	m.expect(Stopping)
	close(open)
	m.expect(Stopping)
	m.end(7)
}

func TestServiceThatFails(t *testing.T) {
	m := manage(t, func(context.Context, func(State)) int { return 2 })
	m.expect(Starting)
	m.end(2)
}

func TestNotify(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("systemd is part of Linux")
	}
	path := filepath.Join(t.TempDir(), "notify")
	for _, socket := range []string{path, "@copyservices-test-" + fmt.Sprint(time.Now().UnixNano())} {
		if socket[0] == '@' && runtime.GOOS != "linux" {
			continue
		}
		conn, err := net.ListenPacket("unixgram", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, s := range []State{Starting, Running, Stopping} {
			if err := Notify(socket, s); err != nil {
				t.Error(err)
			}
		}
		for _, want := range []string{"READY=1", "STOPPING=1"} {
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			buf := make([]byte, 100)
			n, _, err := conn.ReadFrom(buf)
			if err != nil || string(buf[:n]) != want {
				t.Errorf("%s: %q, %v; want %s", socket, buf[:n], err, want)
			}
		}
	}
	if err := Notify("", Running); err != nil {
		t.Error(err)
	}
	if err := Notify(filepath.Join(t.TempDir(), "none"), Running); err == nil {
		t.Error("a socket that is not there is no error")
	}
}

// kept is an event log in memory.
type kept struct {
	mu    sync.Mutex
	lines []string
	err   error
}

func (k *kept) Put(level slog.Level, text string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lines = append(k.lines, level.String()+" "+text)
	return k.err
}

func plain(w io.Writer) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	})
}

func TestEvents(t *testing.T) {
	k := &kept{}
	log := slog.New(NewHandler(k, plain))
	log.Debug("not asked for")
	log.Info("serving", "address", "127.0.0.1:1")
	log.With("part", "HTTP").Warn("slow")
	log.WithGroup("g").Error("broken", "n", 1)
	want := []string{"INFO msg=serving address=127.0.0.1:1", "WARN msg=slow part=HTTP",
		"ERROR msg=broken g.n=1"}
	if !slices.Equal(k.lines, want) {
		t.Errorf("%q", k.lines)
	}
	k.err = errors.New("full")
	var r slog.Record
	if err := NewHandler(k, plain).Handle(t.Context(), r); !errors.Is(err, k.err) {
		t.Errorf("%v", err)
	}
}

func TestEventsOfManyGoroutines(t *testing.T) {
	k := &kept{}
	log := slog.New(NewHandler(k, plain))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				log.With("a", strings.Repeat("x", 100)).Info("m")
			}
		})
	}
	all.Wait()
	for _, line := range k.lines {
		if line != "INFO msg=m a="+strings.Repeat("x", 100) {
			t.Fatalf("%q", line)
		}
	}
	if len(k.lines) != 400 {
		t.Errorf("%d lines", len(k.lines))
	}
}

// The identifier of TrustedInstaller is in Microsoft's list of well-known ones.
func TestAccount(t *testing.T) {
	const want = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
	if got := accountSID("TrustedInstaller"); got != want {
		t.Errorf("%s", got)
	}
	if got := folderRights("TrustedInstaller"); got !=
		"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;"+want+")" {
		t.Errorf("%s", got)
	}
	if got := account("copyserver"); got != `NT SERVICE\copyserver` {
		t.Errorf("%s", got)
	}
}

func TestOnlyWindowsHasTheseServices(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this is Windows")
	}
	_, run := Run("x", nil)
	for _, err := range []error{run, Install(Spec{}), Remove("x")} {
		if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" ||
			!bytes.Contains([]byte(err.Error()), []byte(runtime.GOOS)) {
			t.Errorf("%v", err)
		}
	}
}
