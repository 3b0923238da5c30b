package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
)

// newCertificate returns a certificate unlike that of httptest.
func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	model := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, model, model, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestClientPaths holds every method against the path it is for. The answer
// is null, which every type takes.
func TestClientPaths(t *testing.T) {
	var line string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		line = r.Method + " " + r.RequestURI
		if r.Header.Get(KeyHeader) != "" {
			line += " K"
		}
		writeJSON(w, 200, nil)
	})
	c := newClient(t, addrOf(s))
	for want, call := range pathCalls(c) {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if line != want {
			t.Errorf("got %q, want %q", line, want)
		}
	}
}

func pathCalls(c *Client) map[string]func(context.Context) error {
	calls := map[string]func(context.Context) error{
		"GET /v1/server":         first(c.Server),
		"GET /v1/hosts":          first(c.Hosts),
		"GET /v1/tasks":          first(c.Tasks),
		"GET /v1/arrays":         first(c.Arrays),
		"GET /v1/users":          first(c.Users),
		"GET /v1/hosts/a":        with(c.Host, "a"),
		"GET /v1/tasks/a%2Fb%20": with(c.Task, "a/b "),
		"GET /v1/arrays/2105.1":  with(c.Array, "2105.1"),
		"GET /v1/volumes/20A":    with(c.Volume, "20A"),
		"POST /v1/tasks":         with(c.CreateTask, Task{}),
		"PUT /v1/hosts/h":        with(c.PutHost, Host{Name: "h"}),
		"PUT /v1/tasks/t":        with(c.PutTask, Task{Name: "t"}),
		"POST /v1/users":         with(c.CreateUser, UserChange{}),
		"POST /v1/entries":       with(c.CreateEntry, Entry{}),
		"POST /v1/volumes K":     with(c.CreateVolumes, VolumeCreate{}),
		"GET /v1/entries":        with(c.Entries, ""),

		"GET /v1/entries?kind=ess":          with(c.Entries, "ess"),
		"PATCH /v1/entries/ess/10.0.0.5":    with(c.ChangeEntry, Entry{Kind: "ess", Address: "10.0.0.5"}),
		"POST /v1/relationships K":          with(c.Establish, EstablishRequest{}),
		"POST /v1/relationships/withdraw K": with(c.Withdraw, PairsRequest{}),
		"POST /v1/relationships/resync K":   with(c.Resync, PairsRequest{}),
		"POST /v1/relationships/reverse K":  with(c.Reverse, PairsRequest{}),

		"POST /v1/relationships/background-copy K":     with(c.BackgroundCopy, PairsRequest{}),
		"POST /v1/relationships/consistency-created K": with(c.ConsistencyCreated, PairsRequest{}),

		"GET /v1/credentials":                first(c.Credentials),
		"POST /v1/credentials K":             with(c.CreateCredential, CredentialRequest{}),
		"POST /v1/relationships/copy-rate K": with(c.SetCopyRate, CopyRateRequest{}),
	}
	addMore(c, calls)
	return calls
}

// addMore adds the methods with other arguments or results.
func addMore(c *Client, calls map[string]func(context.Context) error) {
	calls["DELETE /v1/hosts/h"] = func(ctx context.Context) error { return c.DeleteHost(ctx, "h") }
	calls["DELETE /v1/tasks/t"] = func(ctx context.Context) error { return c.DeleteTask(ctx, "t") }
	calls["DELETE /v1/runs/r"] = func(ctx context.Context) error { return c.DeleteRun(ctx, "r") }
	calls["DELETE /v1/users/u"] = func(ctx context.Context) error { return c.DeleteUser(ctx, "u") }
	calls["DELETE /v1/volumes/v"] = func(ctx context.Context) error { return c.DeleteVolume(ctx, "v") }
	calls["DELETE /v1/entries/essserver/::1"] = func(ctx context.Context) error {
		return c.DeleteEntry(ctx, "essserver", "::1")
	}
	calls["PATCH /v1/users/u"] = func(ctx context.Context) error {
		_, err := c.ChangeUser(ctx, "u", UserChange{})
		return err
	}
	calls["DELETE /v1/credentials/0a"] = func(ctx context.Context) error {
		return c.DeleteCredential(ctx, "0a")
	}
	calls["PATCH /v1/arrays/2105.1"] = func(ctx context.Context) error {
		_, err := c.ChangeArray(ctx, "2105.1", ArrayChange{})
		return err
	}
	calls["PATCH /v1/volumes/v"] = func(ctx context.Context) error {
		_, err := c.ChangeVolume(ctx, "v", VolumeChange{})
		return err
	}
	calls["POST /v1/tasks/t/runs K"] = func(ctx context.Context) error {
		_, err := c.RunTask(ctx, "t", RunRequest{})
		return err
	}
	calls["GET /v1/runs?limit=5&task=t"] = func(ctx context.Context) error {
		_, _, err := c.Runs(ctx, "t", 5)
		return err
	}
	calls["GET /v1/runs/r?wait=60"] = func(ctx context.Context) error {
		_, err := c.Run(ctx, "r", time.Hour)
		return err
	}
	calls["GET /v1/tasks/t/completion?wait=2"] = func(ctx context.Context) error {
		_, err := c.Completion(ctx, "t", 1500*time.Millisecond)
		return err
	}
	calls["GET /v1/volumes?serial=a&serial=b"] = func(ctx context.Context) error {
		_, err := c.Volumes(ctx, "a", "b")
		return err
	}
	calls["GET /v1/relationships?volume=a"] = func(ctx context.Context) error {
		_, err := c.Relationships(ctx, "a")
		return err
	}
}

func first[T any](f func(context.Context) (T, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := f(ctx)
		return err
	}
}

func with[A, T any](f func(context.Context, A) (T, error), arg A) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := f(ctx, arg)
		return err
	}
}

func TestRunError(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 201, Run{ID: "1", State: "failed",
			Error: &fault.Detail{Kind: fault.Refused, Message: "204 is a target already"}})
	})
	run, err := newClient(t, addrOf(s)).RunTask(t.Context(), "X", RunRequest{})
	wantFault(t, err, fault.Refused, "204 is a target already")
	if run.ID != "1" {
		t.Errorf("run %+v", run)
	}
	wantFault(t, RunError(Run{State: "failed"}), fault.Failed)
	wantFault(t, RunError(Run{State: "interrupted"}), fault.Server, "cut off")
	if err := RunError(Run{State: "running"}); err != nil {
		t.Error(err)
	}
}

// contentServer keeps one volume of a MiB.
func contentServer(t *testing.T) (*Client, *memVolume) {
	v := &memVolume{data: patchwork(5, 1<<20)}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", SparseContentType)
			SendVolume(w, v)
			return
		}
		in, err := NewSparseReader(r.Body, fault.Usage)
		if err == nil {
			err = ReceiveVolume(in, v)
		}
		if err != nil {
			writeJSON(w, 400, ErrorBody{fault.DetailOf(err)})
			return
		}
		writeJSON(w, 200, Volume{Serial: "20313698"})
	})
	return newClient(t, addrOf(s)), v
}

func TestContent(t *testing.T) {
	c, v := contentServer(t)
	var got strings.Builder
	err := c.ReadContent(t.Context(), "20313698", func(in *SparseReader) error {
		return ReceiveStream(in, &got, nil)
	})
	if err != nil || got.String() != string(v.data) {
		t.Fatalf("reading: %v", err)
	}
	want := string(patchwork(6, 1<<20))
	volume, err := c.WriteContent(t.Context(), "20313698", false, func(w io.Writer) error {
		return SendStream(w, strings.NewReader(want), 1<<20, nil)
	})
	if err != nil || volume.Serial != "20313698" || string(v.data) != want {
		t.Errorf("writing: %+v, %v", volume, err)
	}
}

func TestContentThatFailsUnderWay(t *testing.T) {
	c, _ := contentServer(t)
	broken := errors.New("disk on fire")
	_, err := c.WriteContent(t.Context(), "20313698", false, func(w io.Writer) error {
		out, _ := NewSparseWriter(w, 1<<20)
		out.WriteAt([]byte("some"), 0)
		return broken
	})
	if err != broken {
		t.Errorf("writing: %v", err)
	}
	err = c.ReadContent(t.Context(), "20313698", func(*SparseReader) error { return broken })
	if err != broken {
		t.Errorf("reading: %v", err)
	}
}

func TestContentCutOff(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", SparseContentType)
		out, _ := NewSparseWriter(w, 1<<20)
		out.WriteAt([]byte("some"), 0)
		if r.URL.Path != "/v1/volumes/ENDED/content" {
			w.(http.Flusher).Flush()
			hangUp(w, r)
		}
	})
	c := newClient(t, addrOf(s))
	discard := func(in *SparseReader) error { return ReceiveStream(in, io.Discard, nil) }
	err := c.ReadContent(t.Context(), "BROKEN", discard)
	wantFault(t, err, fault.Connection, addrOf(s), "broke off")
	err = c.ReadContent(t.Context(), "ENDED", discard)
	wantFault(t, err, fault.Server, "cut off")
}

func TestContentRefusedBeforeItIsSent(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 404, ErrorBody{fault.Detail{Kind: fault.NotFound, Message: "no such volume"}})
	})
	c := newClient(t, addrOf(s))
	_, err := c.WriteContent(t.Context(), "20313698", false, func(w io.Writer) error {
		_, err := w.Write([]byte("x"))
		if err == nil {
			t.Error("the content was read")
		}
		return err
	})
	wantFault(t, err, fault.NotFound, "no such volume")
	err = c.ReadContent(t.Context(), "20313698", func(*SparseReader) error { return nil })
	wantFault(t, err, fault.NotFound)
}

func TestContentGoesToB(t *testing.T) {
	c, v := contentServer(t)
	c.opts.Servers = []string{closedPort(t), c.opts.Servers[0]}
	_, err := c.WriteContent(t.Context(), "20313698", false, func(w io.Writer) error {
		return SendStream(w, strings.NewReader("new"), 1<<20, nil)
	})
	if err != nil || string(v.data[:3]) != "new" {
		t.Errorf("%v", err)
	}
}
