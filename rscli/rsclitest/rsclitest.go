// Package rsclitest is the world that the commands' tests run in: a Server that answers
// as a test says, a Bench to run a command on, with a home, an environment and streams of
// its own, and a terminal for programs. It is for tests only.
package rsclitest

import (
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
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
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

// User and Password are those that a Server knows and a Bench is configured with.
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

// PEM writes a certificate as --cacert reads it.
func PEM(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// TaskName is the task of the white paper.
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
