package remote_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver"
	"copyservices/copyserver/access"
	"copyservices/copyserver/arrays/remote"
	"copyservices/copyserver/secrets"
)

// far is the other server.
type far struct {
	t    *testing.T
	opts copyserver.Options
	way  *relay // to its REST API, the same after a restart
	*copyserver.Server
}

// startFar starts one of its own; change may be nil.
func startFar(t *testing.T, change func(*copyserver.Options)) *far {
	t.Helper()
	opts := copyserver.DefaultOptions()
	opts.State, opts.Listen, opts.NBDListen = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	opts.ArraySerial, opts.Logger = "13698", slog.New(slog.DiscardHandler)
	if change != nil {
		change(&opts)
	}
	f := &far{t: t, opts: opts, way: newRelay(t)}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *far) start() {
	f.t.Helper()
	s, err := copyserver.New(f.opts)
	must(f.t, err)
	must(f.t, s.Start())
	f.Server = s
	f.way.lead(s.Addr())
}

func (f *far) stop() {
	f.t.Helper()
	must(f.t, f.Stop(context.Background()))
}

// config reaches f by the certificate of its state folder, on however slow a machine.
func (f *far) config() remote.Config {
	return remote.Config{
		Servers: []string{f.way.addr()}, User: access.DefaultUser, Password: access.DefaultPassword,
		TLS:     func(string) *tls.Config { return trusting(f.t, filepath.Join(f.opts.State, "tls", secrets.CertFile)) },
		Timeout: time.Minute, DialTimeout: time.Minute, Silence: time.Minute,
	}
}

func trusting(t *testing.T, file string) *tls.Config {
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Errorf("no certificate in %s", file)
	}
	return &tls.Config{RootCAs: pool}
}

func open(t *testing.T, config remote.Config) arrayclient.Array {
	t.Helper()
	a, err := remote.Open(t.Context(), config)
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// relay passes connections on, and may go wrong on the way.
type relay struct {
	listener net.Listener

	mu     sync.Mutex
	target string
	mute   bool // nothing that the server sends arrives any more
	cut    bool // the next answer ends its connection in its place
	conns  []net.Conn
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{listener: l}
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			passing.Go(func() { r.pass(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.hangUp()
		passing.Wait()
	})
	return r
}

func (r *relay) addr() string { return r.listener.Addr().String() }

// lead makes target the other end of further connections.
func (r *relay) lead(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = target
}

func (r *relay) set(flag *bool, value bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*flag = value
}

func (r *relay) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
}

func (r *relay) pass(near net.Conn) {
	r.mu.Lock()
	target := r.target
	r.mu.Unlock()
	far, err := net.Dial("tcp", target)
	if err != nil {
		near.Close()
		return
	}
	r.mu.Lock()
	r.conns = append(r.conns, near, far)
	r.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() {
		defer far.Close()
		_, _ = io.Copy(far, near)
	})
	both.Go(func() {
		defer near.Close()
		r.answers(near, far)
	})
	both.Wait()
}

func (r *relay) answers(near, far net.Conn) {
	p := make([]byte, 64<<10)
	for {
		n, err := far.Read(p)
		if err != nil {
			return
		}
		r.mu.Lock()
		mute, cut := r.mute, r.cut
		r.cut = false
		r.mu.Unlock()
		if cut {
			return
		}
		if !mute {
			_, _ = near.Write(p[:n])
		}
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind, texts ...string) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Errorf("error %v is of kind %q, not %q", err, fault.KindOf(err), kind)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}
