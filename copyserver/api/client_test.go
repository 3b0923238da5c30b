package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
)

// serve starts a TLS server; all of them show the same certificate unless
// given another one.
func serve(t *testing.T, h http.HandlerFunc, certs ...tls.Certificate) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: certs}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func addrOf(s *httptest.Server) string { return s.Listener.Addr().String() }

// insecure accepts every certificate: most tests are about something else.
func insecure(string) *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func newClient(t *testing.T, servers ...string) *Client {
	t.Helper()
	c := New(Options{
		Servers: servers, User: "rich", Password: "secret", TLS: insecure,
		UserAgent: "rsTest/1", Timeout: time.Minute, DialTimeout: time.Minute,
	})
	c.backoff = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	t.Cleanup(c.Close)
	return c
}

// The zone of an address is a part of where to connect to, whatever URLs think.
func TestAddressWithZone(t *testing.T) {
	c := newClient(t, "[fe80::1%Eth0]:8452")
	req, err := c.build(t.Context(), "[fe80::1%Eth0]:8452", &request{method: "GET", path: "/v1/tasks/a%2Fb"})
	if err != nil || req.URL.Host != "[fe80::1%Eth0]:8452" || req.URL.EscapedPath() != "/v1/tasks/a%2Fb" {
		t.Fatalf("%v, %v", req, err)
	}
	if name := c.tlsConfig("[fe80::1%Eth0]:8452", func() {}, new(error)).ServerName; name != "fe80::1" {
		t.Errorf("the certificate must name %q", name)
	}
}

// closedPort returns an address where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// requests counts and keeps the keys that arrive at a server.
type requests struct {
	mu   sync.Mutex
	keys []string
}

func (q *requests) add(r *http.Request) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.keys = append(q.keys, r.Header.Get(KeyHeader))
	return len(q.keys)
}

func (q *requests) seen() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.keys)
}

// wantFault checks the kind of err and that its message and hint hold all of
// the texts.
func wantFault(t *testing.T, err error, kind fault.Kind, texts ...string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Errorf("got %v (kind %q), want kind %q", err, fault.KindOf(err), kind)
		return
	}
	all := err.Error() + "\n" + fault.HintOf(err)
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%q is not in %q", text, all)
		}
	}
}

func TestClientSendsWhoAsks(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !ok || user != "rich" || password != "secret" || r.UserAgent() != "rsTest/1" {
			t.Errorf("%q %q %v, %q", user, password, ok, r.UserAgent())
		}
		writeJSON(w, 200, Server{Name: "copy1", Role: "admin"})
	})
	got, err := newClient(t, addrOf(s)).Server(t.Context())
	if err != nil || got.Name != "copy1" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestClientReturnsServersErrors(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		d := fault.Detail{Kind: fault.NotFound, Message: "no task named X", Hint: "esscli list task"}
		writeJSON(w, 404, ErrorBody{d})
	})
	_, err := newClient(t, addrOf(s)).Task(t.Context(), "X")
	wantFault(t, err, fault.NotFound, "no task named X", "esscli list task")
}

func TestClientGoesToBWhenADoesNotAnswer(t *testing.T) {
	a := closedPort(t)
	b := serve(t, func(w http.ResponseWriter, r *http.Request) { writeJSON(w, 201, Run{ID: "1"}) })
	var notes []string
	c := newClient(t, a, addrOf(b))
	c.opts.Warn = func(text string) { notes = append(notes, text) }
	for range 2 {
		if run, err := c.RunTask(t.Context(), "X", RunRequest{}); err != nil || run.ID != "1" {
			t.Fatalf("%+v, %v", run, err)
		}
	}
	if len(notes) != 1 || !strings.Contains(notes[0], a) {
		t.Errorf("notes %q: A should be passed over once, B asked first from then on", notes)
	}
	if c.Answered() != addrOf(b) {
		t.Errorf("%s answered", c.Answered())
	}
}

func TestClientNamesAllServersThatDoNotAnswer(t *testing.T) {
	a := closedPort(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, err := newClient(t, a, addrOf(plain)).Hosts(t.Context())
	wantFault(t, err, fault.Connection, a, addrOf(plain), "does not speak TLS", "--server")
}

func TestClientStopsAtAWrongCertificate(t *testing.T) {
	var asked atomic.Bool
	note := func(http.ResponseWriter, *http.Request) { asked.Store(true) }
	a, b := serve(t, note), serve(t, note)
	mismatch := fault.New(fault.Connection, "the certificate is wrong").WithHint("--trust")
	rejecting := func(err error) *tls.Config {
		check := func(tls.ConnectionState) error { return err }
		return &tls.Config{InsecureSkipVerify: true, VerifyConnection: check}
	}
	for name, check := range map[string]*tls.Config{
		"own error":   rejecting(mismatch),
		"plain error": rejecting(errors.New("bad")),
		"no root":     {RootCAs: x509.NewCertPool()},
	} {
		c := newClient(t, addrOf(a), addrOf(b))
		c.opts.TLS = func(addr string) *tls.Config {
			if addr == addrOf(a) {
				return check
			}
			return insecure(addr)
		}
		_, err := c.Hosts(t.Context())
		wantFault(t, err, fault.Connection, "certificate", "--trust")
		if asked.Load() {
			t.Errorf("%s: a server got the request", name)
		}
	}
}

func TestClientGivesAQuestionAboutTrustTime(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, []Host{}) })
	c := newClient(t, addrOf(s))
	c.opts.DialTimeout = 500 * time.Millisecond
	c.opts.TLS = func(string) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error {
			time.Sleep(700 * time.Millisecond)
			return nil
		}}
	}
	if _, err := c.Hosts(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClientRepeatsKeyedRequestWithItsKey(t *testing.T) {
	var got requests
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got.add(r) < 3 {
			hangUp(w, r)
		}
		writeJSON(w, 201, Run{ID: "7"})
	})
	c := newClient(t, addrOf(s))
	run, err := c.RunTask(t.Context(), "X", RunRequest{})
	if err != nil || run.ID != "7" {
		t.Fatalf("%+v, %v", run, err)
	}
	keys := got.seen()
	if len(keys) != 3 || keys[0] != keys[1] || keys[1] != keys[2] || len(keys[0]) != 32 {
		t.Errorf("keys %q", keys)
	}
	if _, err := c.RunTask(t.Context(), "X", RunRequest{}); err != nil {
		t.Fatal(err)
	}
	if keys := got.seen(); keys[3] == keys[0] {
		t.Error("the next call has the key of the one before")
	}
	if _, err := c.RunTask(WithKey(t.Context(), "my-own-key-123456"), "X", RunRequest{}); err != nil {
		t.Fatal(err)
	}
	if keys := got.seen(); keys[4] != "my-own-key-123456" {
		t.Errorf("key %q", keys[4])
	}
}

func TestClientTakesLostRequestToBWithTheSameCertificate(t *testing.T) {
	var atA, atB requests
	a := serve(t, func(w http.ResponseWriter, r *http.Request) { atA.add(r); hangUp(w, r) })
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		atB.add(r)
		writeJSON(w, 201, PairsResult{})
	})
	_, err := newClient(t, addrOf(a), addrOf(b)).Establish(t.Context(), EstablishRequest{})
	if err != nil {
		t.Fatal(err)
	}
	keysA, keysB := atA.seen(), atB.seen()
	if len(keysA) != 4 || len(keysB) != 1 || keysB[0] != keysA[0] {
		t.Errorf("A got %q, B got %q", keysA, keysB)
	}
}

func TestClientKeepsLostRequestFromAStranger(t *testing.T) {
	var atB requests
	a := serve(t, hangUp)
	b := serve(t, func(w http.ResponseWriter, r *http.Request) { atB.add(r) }, newCertificate(t))
	_, err := newClient(t, addrOf(a), addrOf(b)).RunTask(t.Context(), "X", RunRequest{})
	wantFault(t, err, fault.Connection,
		"may have been carried out", "another certificate", "esscli list run")
	if n := len(atB.seen()); n != 0 {
		t.Errorf("B got %d requests", n)
	}
}

func TestClientNeverRepeatsWhatHasNoKey(t *testing.T) {
	var got requests
	h := func(w http.ResponseWriter, r *http.Request) { got.add(r); hangUp(w, r) }
	c := newClient(t, addrOf(serve(t, h)), addrOf(serve(t, h)))
	_, err := c.CreateTask(t.Context(), Task{Name: "X"})
	wantFault(t, err, fault.Connection, "may have been carried out")
	if n := len(got.seen()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestClientRepeatsReading(t *testing.T) {
	var got requests
	cut := func(w http.ResponseWriter, r *http.Request) {
		got.add(r)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `[{"name":`)
		w.(http.Flusher).Flush()
		hangUp(w, r)
	}
	whole := func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, []Host{{Name: "h"}}) }
	b := serve(t, whole)
	hosts, err := newClient(t, addrOf(serve(t, cut)), addrOf(b)).Hosts(t.Context())
	if err != nil || len(hosts) != 1 {
		t.Errorf("%v, %v", hosts, err)
	}
	if n := len(got.seen()); n != 2 {
		t.Errorf("A got %d requests, want 2", n)
	}
}

func TestClientTakesRepeatedDeletionForDone(t *testing.T) {
	var got requests
	gone := ErrorBody{fault.Detail{Kind: fault.NotFound, Message: "no task named X"}}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got.add(r) == 1 {
			hangUp(w, r)
		}
		writeJSON(w, 404, gone)
	})
	c := newClient(t, addrOf(s))
	if err := c.DeleteTask(t.Context(), "X"); err != nil {
		t.Error(err)
	}
	wantFault(t, c.DeleteTask(t.Context(), "X"), fault.NotFound)
}

func TestClientWaitsNoLongerThanTimeout(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := newClient(t, addrOf(s))
	c.opts.Timeout = 50 * time.Millisecond
	_, err := c.Hosts(t.Context())
	wantFault(t, err, fault.Connection, addrOf(s), "no answer in time")
}

func TestClientEndsWithItsContext(t *testing.T) {
	arrived := make(chan bool, 2)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		io.Copy(io.Discard, r.Body)
		arrived <- true
		<-r.Context().Done()
	})
	c := newClient(t, addrOf(s))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := c.RunTask(ctx, "X", RunRequest{})
	wantFault(t, err, fault.TimedOut, "may have been carried out")

	<-arrived
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err = c.Hosts(ctx)
	wantFault(t, err, fault.Interrupted, "interrupted")
}

func TestClientRecognisesStrangers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"web page":  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"web error": func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"other errors": func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, 500, map[string]string{"error": "x"})
		},
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, "220 smtp.example.com ESMTP\r\n")
			conn.Close()
		},
	} {
		s := serve(t, h)
		_, err := newClient(t, addrOf(s)).Hosts(t.Context())
		t.Log(name, err)
		wantFault(t, err, fault.Server, addrOf(s), "is not a Copy Services server", "--server")
	}
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, "text") })
	_, err := newClient(t, addrOf(s)).Hosts(t.Context())
	wantFault(t, err, fault.Server, "cannot be understood")
}

func TestClientBoundsAnswers(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		piece := []byte(strings.Repeat(" ", 1<<20))
		w.Write(piece)
		w.Write(piece)
	})
	c := newClient(t, addrOf(s))
	c.maxAnswer = 1 << 20
	_, err := c.Hosts(t.Context())
	wantFault(t, err, fault.Server, "longer than")
}

func TestClientRefusesAddressesAndNames(t *testing.T) {
	_, err := newClient(t, "bad host:1").Hosts(t.Context())
	wantFault(t, err, fault.Usage, "bad host")
	c := newClient(t, closedPort(t))
	for _, name := range []string{"", ".", ".."} {
		_, err := c.Task(t.Context(), name)
		wantFault(t, err, fault.Usage, "is not a name")
	}
}
