package copyserver

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/access"
	"copyservices/copyserver/api"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
)

var testSeams = seams{fsys: atomicfile.OS(), cost: access.Cost{Memory: 64, Time: 1, Threads: 1}}

func testOptions(dir string) Options {
	o := DefaultOptions()
	o.State, o.Listen, o.NBDListen, o.ArraySerial = dir, "127.0.0.1:0", "127.0.0.1:0", "13698"
	return o
}

// world is a running server and who talks to it.
type world struct {
	*testing.T
	*Server
	log    *syncBuffer
	client *http.Client
	user   string
	pass   string
	check  func(method, path string, answer *http.Response, body []byte) // of every answer, may be nil
}

func start(t *testing.T, dir string) *world {
	t.Helper()
	return startWith(t, dir, testSeams)
}

func startWith(t *testing.T, dir string, seams seams) *world {
	t.Helper()
	return startOptions(t, seams, dir, func(*Options) {})
}

func startOptions(t *testing.T, seams seams, dir string, change func(*Options)) *world {
	t.Helper()
	log := &syncBuffer{}
	opts := testOptions(dir)
	change(&opts)
	opts.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := newServer(opts, seams)
	must(t, err)
	must(t, s.Start())
	w := &world{T: t, Server: s, log: log, user: access.DefaultUser, pass: access.DefaultPassword}
	w.client = pinned(s)
	t.Cleanup(w.end)
	return w
}

func (w *world) end() {
	w.client.CloseIdleConnections()
	must(w.T, w.Stop(context.Background()))
}

// pinned returns a client that talks to s and nobody else.
func pinned(s *Server) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: secrets.PinnedTo(secrets.Fingerprint(s.cert)),
	}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// request sends body, which is JSON unless it is a reader, and returns the
// answer. header is pairs of name and value.
func (w *world) request(method, path string, body any, header ...string) (*http.Response, []byte) {
	w.Helper()
	r, isReader := body.(io.Reader)
	if s, ok := body.(string); ok {
		r = strings.NewReader(s)
	} else if !isReader && body != nil {
		data, err := json.Marshal(body)
		must(w.T, err)
		r = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(w.Context(), method, "https://"+w.Addr()+path, r)
	must(w.T, err)
	if w.user != "" {
		req.SetBasicAuth(w.user, w.pass)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := w.client.Do(req)
	must(w.T, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	must(w.T, err)
	if w.check != nil {
		w.check(method, path, resp, data)
	}
	return resp, data
}

// raw is request without expectations.
func (w *world) raw(method, path string, body io.Reader) (*http.Response, error) {
	return w.rawContext(w.Context(), method, path, body)
}

func (w *world) rawContext(
	ctx context.Context, method, path string, body io.Reader,
) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+w.Addr()+path, body)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(w.user, w.pass)
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// do wants an answer of that status and decodes it into out, unless nil.
func (w *world) do(method, path string, body any, status int, out any, header ...string) {
	w.Helper()
	resp, data := w.request(method, path, body, header...)
	if resp.StatusCode != status {
		w.Fatalf("%s %s: %s, want %d: %s", method, path, resp.Status, status, data)
	}
	if out != nil {
		must(w.T, json.Unmarshal(data, out))
	}
}

// refused wants an error of that status and kind whose message has text.
func (w *world) refused(
	method, path string, body any, status int, kind fault.Kind, text string, header ...string,
) {
	w.Helper()
	resp, data := w.request(method, path, body, header...)
	var e api.ErrorBody
	err := json.Unmarshal(data, &e)
	if err != nil || resp.StatusCode != status || e.Error.Kind != kind ||
		!strings.Contains(e.Error.Message, text) {
		w.Errorf("%s %s: %s %s, want %d, kind %s and %q", method, path, resp.Status, data,
			status, kind, text)
	}
}

// as returns the same world for another user.
func (w *world) as(user, pass string) *world {
	other := *w
	other.user, other.pass = user, pass
	return &other
}

func (w *world) addUser(name string, role taskstore.Role) *world {
	w.Helper()
	w.do("POST", "/v1/users", api.UserChange{Name: name, Password: name, Role: role}, 201, nil)
	return w.as(name, name)
}

// volumes creates some of 1 MiB and returns their serials.
func (w *world) volumes(n int) []string {
	w.Helper()
	var out []api.Volume
	w.do("POST", "/v1/volumes", api.VolumeCreate{Size: 1 << 20, Count: n}, 201, &out)
	serials := make([]string, len(out))
	for i, v := range out {
		serials[i] = string(v.Serial)
	}
	return serials
}

func (w *world) task(name string, kind taskstore.TaskType, ends ...string) {
	w.Helper()
	t := api.Task{Name: name, Type: kind}
	for i := 0; i < len(ends); i += 2 {
		t.Pairs = append(t.Pairs, api.TaskPair{Source: ends[i], Target: ends[i+1]})
	}
	w.do("PUT", "/v1/tasks/"+name, t, 200, nil)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// slow is an array whose copies never get further than half, until a test
// says so, and whose establish can be held up.
type slow struct {
	*filearray.Array
	mu   sync.Mutex
	done bool
	gate chan struct{} // nil, or Establish waits until it is closed
}

func startSlow(t *testing.T, dir string) (*world, *slow) {
	t.Helper()
	seams, a := slowSeams()
	return startWith(t, dir, seams), a
}

func slowSeams() (seams, *slow) {
	a := &slow{}
	seams := testSeams
	seams.wrap = func(inner *filearray.Array) arrayclient.Array {
		a.Array = inner
		return a
	}
	return seams, a
}

func (a *slow) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done = true
}

func (a *slow) Establish(
	ctx context.Context, pairs []arrayclient.Pair, opts arrayclient.Options,
) error {
	if a.gate != nil {
		<-a.gate
	}
	opts.Persistent = true
	return a.Array.Establish(ctx, pairs, opts)
}

func (a *slow) Relationships(
	ctx context.Context, serials ...arrayclient.Serial,
) ([]arrayclient.Relationship, error) {
	all, err := a.Array.Relationships(ctx, serials...)
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range all {
		all[i].OutOfSync, all[i].State = 0, arrayclient.StateComplete
		if !a.done {
			all[i].OutOfSync, all[i].State = all[i].Tracks/2, arrayclient.StateCopying
		}
	}
	return all, err
}
