package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

// The defaults of Options.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultDialTimeout = 5 * time.Second
)

// MaxAnswer is the longest JSON answer in bytes that the client reads.
const MaxAnswer = 64 << 20

// Options say how to reach the Copy Services servers.
type Options struct {
	// Servers are host:port, server A first, then B. At least one.
	Servers []string
	// User and Password of the HTTP Basic authentication.
	User, Password string
	// TLS returns the configuration for a connection to addr. An error of its
	// VerifyConnection or of the usual verification ends the call: the next
	// server is not tried behind the back of the one with a wrong certificate.
	// Where it returns a fault error, that is what the caller gets. Nil: the
	// roots of the system.
	TLS func(addr string) *tls.Config
	// UserAgent is sent as it is; may be empty.
	UserAgent string
	// Timeout is how long a server may take for one answer (for content: how
	// long it may be silent); 0 means DefaultTimeout.
	Timeout time.Duration
	// DialTimeout is how long connection and TLS handshake may take together;
	// 0 means DefaultDialTimeout. Time spent in VerifyConnection, where a
	// person may be asked, does not count.
	DialTimeout time.Duration
	// Note, if not nil, is told in one line why a request is repeated.
	Note func(text string)
	// NoAnswerHint is the hint of the error when no server answers; empty for the
	// client's own.
	NoAnswerHint string
	// Warn, if not nil, is told what the user should know: that another server
	// is asked than the one before, that a server is away and is waited for, and
	// that it is back.
	Warn func(text string)
	// Missing, if not nil, is told for each array that does not answer, which it is and
	// why: what was just returned is not complete.
	Missing func(text string)
	// Known, if not nil, returns the certificate (in DER, by its SHA-256) that a
	// server showed in the past; ok is false where it is not known.
	Known func(addr string) (sum [sha256.Size]byte, ok bool)
	// KnownID, if not nil, has servers A and B compared by their ids, not by their
	// certificates. It returns the id that a server had in the past, empty where it
	// is not known.
	KnownID func(addr string) string
	// Met, if not nil, is told the id of a server that answers for the first time,
	// or has another id than before.
	Met func(addr, id string)
}

// Client calls the REST API. Its methods may be used from many goroutines.
// They return errors of package fault: the server's own, Connection when no
// server answered or a certificate is wrong, Server when something answered
// that is not the Copy Services API, TimedOut and Interrupted for the end of
// the context.
//
// Server B is asked when A does not answer, and shows the certificate of A, or
// with Options.KnownID has its id: then both serve one state folder, one after the other. When the answer of A is
// lost after a request went out, a reading or repeatable request is sent
// again; one with an idempotency key is sent again with the same key, which B
// knows too. Once a server has answered, it is asked first.
//
// A keyed request whose context has a deadline says so: the server does not
// begin later what it asks for.
type Client struct {
	opts      Options
	transport *http.Transport
	roundTrip func(*http.Request) (*http.Response, error) // that of transport
	backoff   []time.Duration                             // before each repetition of a keyed request
	maxAnswer int64

	mu      sync.Mutex
	current int  // index of the server that answered last
	reached bool // a server has answered
	peers   map[string]fingerprint
	stamps  map[string]stamp
	ids     map[string]string // of servers that have answered
}

// fingerprint is the SHA-256 of a server's certificate.
type fingerprint [sha256.Size]byte

// New returns a client. It connects at the first call.
func New(opts Options) *Client {
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.DialTimeout == 0 {
		opts.DialTimeout = DefaultDialTimeout
	}
	c := &Client{
		opts:      opts,
		maxAnswer: MaxAnswer,
		peers:     map[string]fingerprint{},
		stamps:    map[string]stamp{},
		ids:       map[string]string{},
		backoff:   []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second},
	}
	c.transport = &http.Transport{
		DialTLSContext:      c.dialTLS,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,

		ExpectContinueTimeout: opts.Timeout,
		// Long headers are no part of the API.
		MaxResponseHeaderBytes: 64 << 10,
	}
	c.roundTrip = c.transport.RoundTrip
	return c
}

// Close drops the idle connections. The client may be used again.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Answered returns the address of the server that answered last; before the
// first call that is server A.
func (c *Client) Answered() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opts.Servers[c.current]
}

// SetPassword makes the calls from now on use another password: the user of
// this client has changed its own.
func (c *Client) SetPassword(password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opts.Password = password
}

func (c *Client) password() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opts.Password
}

// order returns the servers, beginning with the one that answered last.
func (c *Client) order() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	servers := append([]string{}, c.opts.Servers[c.current:]...)
	return append(servers, c.opts.Servers[:c.current]...)
}

func (c *Client) answered(server string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.opts.Servers {
		if s == server {
			c.current, c.reached = i, true
			return
		}
	}
}

func (c *Client) note(text string) {
	if c.opts.Note != nil {
		c.opts.Note(text)
	}
}

func (c *Client) warn(text string) {
	if c.opts.Warn != nil {
		c.opts.Warn(text)
	}
}

type patientContext struct{}

// Patient makes the calls with the returned context go on asking, until the
// context ends, when a server that has answered before, or that the request
// went to, is away: it may be starting again.
func Patient(ctx context.Context) context.Context {
	return context.WithValue(ctx, patientContext{}, true)
}

func isPatient(ctx context.Context) bool {
	patient, _ := ctx.Value(patientContext{}).(bool)
	return patient
}

type keyContext struct{}

// WithKey makes the calls with the returned context use key as idempotency
// key instead of a random one: 16 to 64 letters, digits and '-'. A key stands
// for one operation, so use the context for one call.
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyContext{}, key)
}

// NewKey returns a random idempotency key.
func NewKey() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}

func keyOf(ctx context.Context) string {
	if key, ok := ctx.Value(keyContext{}).(string); ok {
		return key
	}
	return NewKey()
}
