// Package rsclitest is the world that the commands' tests run in: a Server that answers
// as a test says, a Bench to run a command on, with a home, an environment and streams of
// its own, and a terminal for programs. It is for tests only.
package rsclitest

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

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/program"
	"copyservices/taskstore"
	"copyservices/taskstore/notation"
)

// Server speaks the part of the API that a test gives it over real TLS.
type Server struct {
	*httptest.Server
	Cert *x509.Certificate
	ID   string // in the header of each answer; empty as of an older server

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc // by "METHOD path"
	seen     []string                    // "METHOD path" of each request
	keys     []string                    // their idempotency keys, if any
}

const (
	User     = "operator"
	Password = "s3cret"
)

// NewServer starts a server with a certificate of its own, or with that of
// another server.
func NewServer(t *testing.T, like ...*Server) *Server {
	t.Helper()
	f := &Server{handlers: map[string]http.HandlerFunc{}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Server.Config.ErrorLog = nil
	pair := makeCertificate(t)
	if len(like) > 0 {
		pair = like[0].TLS.Certificates[0]
	}
	f.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.StartTLS()
	f.Cert, _ = x509.ParseCertificate(pair.Certificate[0])
	t.Cleanup(f.Close)
	f.Reply("GET /v1/server", http.StatusOK, api.Server{
		Name: "copy-a", Version: "1.2.3", ID: "id-1", User: User, Role: "operator",
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

func (f *Server) serve(w http.ResponseWriter, r *http.Request) {
	name := r.Method + " " + r.URL.Path
	f.mu.Lock()
	f.seen = append(f.seen, name)
	if key := r.Header.Get(api.KeyHeader); key != "" {
		f.keys = append(f.keys, key)
	}
	handler := f.handlers[name]
	f.mu.Unlock()
	if f.ID != "" {
		w.Header().Set(api.ServerHeader, f.ID)
	}
	user, password, _ := r.BasicAuth()
	switch {
	case user != User || password != Password:
		SendFault(w, http.StatusUnauthorized, fault.New(fault.Denied, "wrong user or password"))
	case handler == nil:
		SendFault(w, http.StatusNotFound, fault.New(fault.NotFound, "there is no %s", r.URL.Path))
	default:
		handler(w, r)
	}
}

// Handle answers the requests "METHOD path" with h.
func (f *Server) Handle(name string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[name] = h
}

// Reply answers them with a document.
func (f *Server) Reply(name string, status int, doc any) {
	f.Handle(name, func(w http.ResponseWriter, _ *http.Request) { SendJSON(w, status, doc) })
}

// Refuse answers them with an error.
func (f *Server) Refuse(name string, status int, err error) {
	f.Handle(name, func(w http.ResponseWriter, _ *http.Request) { SendFault(w, status, err) })
}

// Requests returns what was asked so far, and the keys.
func (f *Server) Requests() (seen, keys []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.seen...), append([]string{}, f.keys...)
}

// Addr is the host:port of the server, on the loopback address.
func (f *Server) Addr() string { return f.Listener.Addr().String() }

// Fingerprint is that of the certificate, as known_servers has it.
func (f *Server) Fingerprint() string { return notation.Fingerprint(f.Cert.Raw) }

// Named is the address in a form that is not known to be loopback: dialling
// 0.0.0.0 means this machine (package net says so).
func (f *Server) Named() string {
	_, port, _ := net.SplitHostPort(f.Addr())
	return "0.0.0.0:" + port
}

// SendJSON answers a request with a document.
func SendJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}

// SendFault answers a request with an error.
func SendFault(w http.ResponseWriter, status int, err error) {
	SendJSON(w, status, api.ErrorBody{Error: fault.DetailOf(err)})
}

// ReadBody decodes what a command sent.
func ReadBody(t *testing.T, r *http.Request, doc any) {
	t.Helper()
	if err := json.NewDecoder(r.Body).Decode(doc); err != nil {
		t.Errorf("the body of %s %s: %v", r.Method, r.URL.Path, err)
	}
}

// DropConnection is an answer that is lost.
func DropConnection(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

// ClosedPort returns an address on which nothing listens.
func ClosedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Bench is a command's world in a test.
type Bench struct {
	*program.Env
	T        *testing.T
	Home     string
	Vars     map[string]string
	Terminal bool
	Width    int // of the terminal, in columns
	Out      bytes.Buffer
	Err      bytes.Buffer
}

// NewBench returns a world with an empty home, no terminal and a user with a
// password file.
func NewBench(t *testing.T) *Bench {
	t.Helper()
	b := &Bench{T: t, Home: t.TempDir()}
	b.Vars = map[string]string{
		"HOME":                b.Home,
		"RSCLI_CONFIG":        b.Write("config.yaml", 0o600, "user: "+User+"\npassword: "+Password+"\n"),
		"RSCLI_PASSWORD_FILE": "",
	}
	b.Env = &program.Env{
		Stdin: strings.NewReader(""), Stdout: &b.Out, Stderr: &b.Err, GOOS: "linux",
		Getenv:     func(key string) string { return b.Vars[key] },
		IsTerminal: func(any) bool { return b.Terminal },
		Columns:    func(any) int { return b.Width },
		ReadSecret: func(context.Context) (string, error) { return "", io.EOF },
		// Nothing listens there: a test may have to do with its own servers only.
		LocalServer: "127.0.0.1:1",
		Log:         slog.New(slog.DiscardHandler),
	}
	return b
}

// Write makes a file in the home and returns its name.
func (b *Bench) Write(name string, mode os.FileMode, text string) string {
	b.T.Helper()
	path := filepath.Join(b.Home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		b.T.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		b.T.Fatal(err)
	}
	return path
}

// Run runs a command and returns its exit code; the output of an earlier run
// is gone.
func (b *Bench) Run(build program.Builder, args ...string) int {
	return b.RunContext(b.T.Context(), build, args...)
}

// RunContext is Run with a context that the test may end.
func (b *Bench) RunContext(ctx context.Context, build program.Builder, args ...string) int {
	b.Out.Reset()
	b.Err.Reset()
	b.Args = args
	return program.Run(ctx, b.Env, build)
}

// Expect fails the test unless the last run ended with code and wrote these
// texts to stderr.
func (b *Bench) Expect(got, want int, texts ...string) {
	b.T.Helper()
	if got != want {
		b.T.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", got, want, &b.Out, &b.Err)
	}
	for _, text := range texts {
		if !strings.Contains(b.Err.String(), text) {
			b.T.Errorf("stderr lacks %q:\n%s", text, &b.Err)
		}
	}
}

// Document decodes what the last run wrote to stdout.
func (b *Bench) Document(doc any) {
	b.T.Helper()
	dec := json.NewDecoder(&b.Out)
	if err := dec.Decode(doc); err != nil {
		b.T.Fatalf("stdout is no JSON document: %v", err)
	}
	if rest, _ := io.ReadAll(dec.Buffered()); strings.TrimSpace(string(rest)) != "" {
		b.T.Errorf("stdout holds more than one document: %s", rest)
	}
}

// PEM writes a certificate as --cacert reads it.
func PEM(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// Must ends the test on an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const TaskName = "VMWare_W2K_FC"

// SampleRun is a run of TaskName in that state.
func SampleRun(state api.RunState) api.Run {
	return api.Run{
		ID: "run-1", Task: TaskName, Type: taskstore.TaskEstablish, State: state, Percent: 40,
		Pairs: []api.ResolvedPair{{Source: "20313698", Target: "20413698",
			From: api.TaskPair{Source: "rich-w2k-os-1:Disk1", Target: "20413698"}}},
	}
}

// RunsPath is the request by which a task is run.
func RunsPath(task string) string { return "POST /v1/tasks/" + task + "/runs" }

// CheckTable holds a table against its words, and its columns against each
// other.
func CheckTable(t *testing.T, text string, want [][]string) {
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

// ReadFile returns the text of a file, which must be there.
func ReadFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// LogLines returns the lines of a log file without time and process id, both of
// which must be there.
func LogLines(t *testing.T, path string) []string {
	t.Helper()
	line := regexp.MustCompile(
		`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d) (\w+)\[\d+\]: (.*)$`)
	var lines []string
	for text := range strings.Lines(ReadFile(t, path)) {
		m := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if m == nil {
			t.Fatalf("the log has the line %q", text)
		}
		lines = append(lines, m[2]+": "+m[3])
	}
	return lines
}

// NewStranger returns a world in which nothing is configured.
func NewStranger(t *testing.T) *Bench {
	t.Helper()
	b := NewBench(t)
	b.Vars["RSCLI_CONFIG"] = ""
	return b
}

// NewWindowsBench is a world with the folders of a Windows user. Their names are
// those of this system: what is held here is which variables count.
func NewWindowsBench(t *testing.T) *Bench {
	t.Helper()
	b := NewBench(t)
	b.GOOS = "windows"
	b.Vars = map[string]string{
		"APPDATA":      filepath.Join(b.Home, "me", "AppData"),
		"LOCALAPPDATA": filepath.Join(b.Home, "me", "Local"),
		"USERPROFILE":  filepath.Join(b.Home, "me"),
		"ProgramData":  filepath.Join(b.Home, "ProgramData"),
		"HOME":         filepath.Join(b.Home, "wrong"),
	}
	return b
}

// EveryPath calls visit for each of the commands and each branch and leaf of its
// tree, with the words that lead there.
func EveryPath(commands []program.Builder, visit func(build program.Builder, path []*program.Command)) {
	for _, build := range commands {
		walkPaths([]*program.Command{build(&program.Env{})}, func(path []*program.Command) { visit(build, path) })
	}
}

func walkPaths(path []*program.Command, visit func([]*program.Command)) {
	visit(path)
	for _, sub := range path[len(path)-1].VisibleSub() {
		walkPaths(append(path[:len(path):len(path)], sub), visit)
	}
}
