package rscli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"copyservices/taskstore"
	"copyservices/taskstore/notation"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// fakeServer speaks the part of the API that a test gives it over real TLS.
type fakeServer struct {
	*httptest.Server
	cert *x509.Certificate
	id   string // in the header of each answer; empty as of an older server

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc // by "METHOD path"
	seen     []string                    // "METHOD path" of each request
	keys     []string                    // their idempotency keys, if any
}

const (
	testUser     = "operator"
	testPassword = "s3cret"
)

// newFake starts a server with a certificate of its own, or with that of
// another server.
func newFake(t *testing.T, like ...*fakeServer) *fakeServer {
	t.Helper()
	f := &fakeServer{handlers: map[string]http.HandlerFunc{}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Server.Config.ErrorLog = nil
	pair := makeCertificate(t)
	if len(like) > 0 {
		pair = like[0].TLS.Certificates[0]
	}
	f.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.StartTLS()
	f.cert, _ = x509.ParseCertificate(pair.Certificate[0])
	t.Cleanup(f.Close)
	f.reply("GET /v1/server", http.StatusOK, api.Server{
		Name: "copy-a", Version: "1.2.3", ID: "id-1", User: testUser, Role: "operator",
		Arrays: []string{"2105.13698"},
	})
	return f
}

func makeCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "copyserver"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (f *fakeServer) serve(w http.ResponseWriter, r *http.Request) {
	name := r.Method + " " + r.URL.Path
	f.mu.Lock()
	f.seen = append(f.seen, name)
	if key := r.Header.Get(api.KeyHeader); key != "" {
		f.keys = append(f.keys, key)
	}
	handler := f.handlers[name]
	f.mu.Unlock()
	if f.id != "" {
		w.Header().Set(api.ServerHeader, f.id)
	}
	user, password, _ := r.BasicAuth()
	switch {
	case user != testUser || password != testPassword:
		sendFault(w, http.StatusUnauthorized, fault.New(fault.Denied, "wrong user or password"))
	case handler == nil:
		sendFault(w, http.StatusNotFound, fault.New(fault.NotFound, "there is no %s", r.URL.Path))
	default:
		handler(w, r)
	}
}

func (f *fakeServer) handle(name string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[name] = h
}

func (f *fakeServer) reply(name string, status int, doc any) {
	f.handle(name, func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, status, doc) })
}

func (f *fakeServer) refuse(name string, status int, err error) {
	f.handle(name, func(w http.ResponseWriter, _ *http.Request) { sendFault(w, status, err) })
}

// requests returns what was asked so far, and the keys.
func (f *fakeServer) requests() (seen, keys []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.seen...), append([]string{}, f.keys...)
}

func (f *fakeServer) addr() string { return f.Listener.Addr().String() }

// fingerprint is that of the certificate, as known_servers has it.
func (f *fakeServer) fingerprint() string { return notation.Fingerprint(f.cert.Raw) }

// named is the address in a form that is not known to be loopback: dialling
// 0.0.0.0 means this machine (package net says so).
func (f *fakeServer) named() string {
	_, port, _ := net.SplitHostPort(f.addr())
	return "0.0.0.0:" + port
}

func sendJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}

func sendFault(w http.ResponseWriter, status int, err error) {
	sendJSON(w, status, api.ErrorBody{Error: fault.DetailOf(err)})
}

// readBody decodes what a command sent.
func readBody(t *testing.T, r *http.Request, doc any) {
	t.Helper()
	if err := json.NewDecoder(r.Body).Decode(doc); err != nil {
		t.Errorf("the body of %s %s: %v", r.Method, r.URL.Path, err)
	}
}

// dropConnection is an answer that is lost.
func dropConnection(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

// closedPort returns an address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// bench is a command's world in a test.
type bench struct {
	*Env
	t        *testing.T
	home     string
	vars     map[string]string
	terminal bool
	width    int // of the terminal, in columns
	stdout   bytes.Buffer
	stderr   bytes.Buffer
}

// newBench returns a world with an empty home, no terminal and a user with a
// password file.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, home: t.TempDir()}
	b.vars = map[string]string{
		"HOME":                b.home,
		"RSCLI_CONFIG":        b.write("config.yaml", 0o600, "user: "+testUser+"\npassword: "+testPassword+"\n"),
		"RSCLI_PASSWORD_FILE": "",
	}
	b.Env = &Env{
		Stdin: strings.NewReader(""), Stdout: &b.stdout, Stderr: &b.stderr, GOOS: "linux",
		Getenv:     func(key string) string { return b.vars[key] },
		IsTerminal: func(any) bool { return b.terminal },
		Columns:    func(any) int { return b.width },
		ReadSecret: func(context.Context) (string, error) { return "", io.EOF },
		// Nothing listens there: a test may have to do with its own servers only.
		LocalServer: "127.0.0.1:1",
		Log:         slog.New(slog.DiscardHandler),
	}
	return b
}

// write makes a file in the home and returns its name.
func (b *bench) write(name string, mode os.FileMode, text string) string {
	b.t.Helper()
	path := filepath.Join(b.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// run runs a command and returns its exit code; the output of an earlier run
// is gone.
func (b *bench) run(build builder, args ...string) int {
	return b.runContext(b.t.Context(), build, args...)
}

func (b *bench) runContext(ctx context.Context, build builder, args ...string) int {
	b.stdout.Reset()
	b.stderr.Reset()
	b.Args = args
	return run(ctx, b.Env, build)
}

// expect fails the test unless the last run ended with code and wrote these
// texts to stderr.
func (b *bench) expect(got, want int, texts ...string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", got, want, &b.stdout, &b.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(b.stderr.String(), text) {
			b.t.Errorf("stderr lacks %q:\n%s", text, &b.stderr)
		}
	}
}

// document decodes what the last run wrote to stdout.
func (b *bench) document(doc any) {
	b.t.Helper()
	dec := json.NewDecoder(&b.stdout)
	if err := dec.Decode(doc); err != nil {
		b.t.Fatalf("stdout is no JSON document: %v", err)
	}
	if rest, _ := io.ReadAll(dec.Buffered()); strings.TrimSpace(string(rest)) != "" {
		b.t.Errorf("stdout holds more than one document: %s", rest)
	}
}

func pemOf(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const taskName = "VMWare_W2K_FC"

func sampleRun(state api.RunState) api.Run {
	return api.Run{
		ID: "run-1", Task: taskName, Type: taskstore.TaskEstablish, State: state, Percent: 40,
		Pairs: []api.ResolvedPair{{Source: "20313698", Target: "20413698",
			From: api.TaskPair{Source: "rich-w2k-os-1:Disk1", Target: "20413698"}}},
	}
}

func runsPath(task string) string { return "POST /v1/tasks/" + task + "/runs" }

// checkTable holds a table against its words, and its columns against each
// other.
func checkTable(t *testing.T, text string, want [][]string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), text)
	}
	for i, line := range lines {
		if got := strings.Join(strings.Fields(line), " "); got != strings.Join(want[i], " ") {
			t.Errorf("line %d is %q, want %q", i, got, want[i])
		}
		if line != strings.TrimRight(line, " ") || strings.HasPrefix(line, " ") {
			t.Errorf("blanks around %q", line)
		}
		column := strings.Index(lines[0], want[0][2])
		if !strings.HasPrefix(line[column:], want[i][2]) {
			t.Errorf("the third column does not line up:\n%s", text)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// logLines returns the lines of a log file without time and process id, both of
// which must be there.
func logLines(t *testing.T, path string) []string {
	t.Helper()
	line := regexp.MustCompile(
		`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d) (\w+)\[\d+\]: (.*)$`)
	var lines []string
	for text := range strings.Lines(readFile(t, path)) {
		m := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if m == nil {
			t.Fatalf("the log has the line %q", text)
		}
		lines = append(lines, m[2]+": "+m[3])
	}
	return lines
}

// newStranger returns a world in which nothing is configured.
func newStranger(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = ""
	return b
}

// newWindowsBench is a world with the folders of a Windows user. Their names are
// those of this system: what is held here is which variables count.
func newWindowsBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.GOOS = "windows"
	b.vars = map[string]string{
		"APPDATA":      filepath.Join(b.home, "me", "AppData"),
		"LOCALAPPDATA": filepath.Join(b.home, "me", "Local"),
		"USERPROFILE":  filepath.Join(b.home, "me"),
		"ProgramData":  filepath.Join(b.home, "ProgramData"),
		"HOME":         filepath.Join(b.home, "wrong"),
	}
	return b
}

// everyPath calls visit for each of the commands and each branch and leaf of its
// tree, with the words that lead there.
func everyPath(commands []builder, visit func(build builder, path []*command)) {
	for _, build := range commands {
		walkPaths([]*command{build(&Env{})}, func(path []*command) { visit(build, path) })
	}
}

func walkPaths(path []*command, visit func([]*command)) {
	visit(path)
	for _, sub := range path[len(path)-1].visibleSub() {
		walkPaths(append(path[:len(path):len(path)], sub), visit)
	}
}
