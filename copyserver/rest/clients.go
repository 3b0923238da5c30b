package rest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/export/quota"
)

const (
	// maxStrangers is how many connections of the REST API may be without a
	// request of somebody known; further ones displace the oldest.
	maxStrangers = 256
	// maxRequests is how many requests of somebody known are answered at a time,
	// those that wait for the end of a run included.
	maxRequests = 1024
	// requestPart: a request holds at most one in so many bytes of what is left.
	requestPart = 2
	// streamMemory is what the content of a volume goes through, in bytes.
	streamMemory = 2 * api.MaxFrame
	// smallAnswer is what of an answer needs no share of the memory, in bytes.
	smallAnswer = 64 << 10
)

// clients are the connections of the REST API.
type clients struct {
	places *quota.Places
	memory *quota.Memory // for bodies and answers

	mu     sync.Mutex
	closed bool
	silent map[net.Conn]struct{} // those without a whole request so far
	all    map[net.Conn]*client
}

// client is one connection.
type client struct {
	address string
	place   *quota.Place
}

// NewMemory returns so many bytes of memory for the bodies and answers of requests.
func NewMemory(n int64) *quota.Memory { return quota.NewMemory(n, requestPart) }

// newClients uses the places for connections, the usual number where there are none.
func newClients(memory *quota.Memory, places *quota.Places) *clients {
	return &clients{
		places: cmp.Or(places, quota.NewPlaces(maxStrangers, maxRequests)), memory: memory,
		silent: map[net.Conn]struct{}{}, all: map[net.Conn]*client{},
	}
}

type clientKey struct{}

// enter is for http.Server.ConnContext.
func (c *clients) enter(ctx context.Context, nc net.Conn) context.Context {
	address := quota.AddressOf(nc.RemoteAddr())
	cl := &client{address: address, place: c.places.Enter(address, func() { closeNow(nc) })}
	c.mu.Lock()
	c.all[nc] = cl
	c.mu.Unlock()
	return context.WithValue(ctx, clientKey{}, cl)
}

// closeNow closes a connection without the notice of TLS, which may have to wait.
func closeNow(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	_ = nc.Close()
}

// note is for http.Server.ConnState.
func (c *clients) note(nc net.Conn, state http.ConnState) {
	c.mu.Lock()
	cl := c.all[nc]
	delete(c.silent, nc)
	switch state {
	case http.StateNew:
		c.silent[nc] = struct{}{}
		if c.closed {
			closeNow(nc)
		}
	case http.StateClosed, http.StateHijacked:
		delete(c.all, nc)
	}
	c.mu.Unlock()
	if cl == nil {
		return
	}
	switch state {
	case http.StateIdle:
		cl.place.Rest()
	case http.StateClosed, http.StateHijacked:
		cl.place.Leave()
	}
}

// closeSilent closes the connections whose client has not sent a whole request,
// and those that come later at once. http.Server waits for them when it shuts
// down, as if they were busy.
func (c *clients) closeSilent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for nc := range c.silent {
		closeNow(nc)
	}
}

// errCrowded refuses a client that asks for more than is left for others.
var errCrowded = errors.New("crowded")

func crowded(what string) error {
	return fault.New(fault.Server, "the server has no %s left for this request: %w", what, errCrowded).
		WithHint("try again when other requests have ended; copyserver --memory sets how much there is")
}

// serve gives the request of somebody known a place among those that are served,
// and an account for its memory.
func (q *call) serve(c *clients) error {
	cl, ok := q.Context().Value(clientKey{}).(*client)
	if !ok {
		cl = &client{} // a handler that is called without a connection
	} else if !cl.place.Serve(cl.address) {
		return crowded("connection")
	}
	q.account = c.memory.Open(cl.address)
	return nil
}

// take takes n bytes of memory until the request has ended.
func (q *call) take(n int64) error {
	if q.account == nil || q.account.Take(n) {
		q.taken += n
		return nil
	}
	return crowded("memory")
}

// leave gives back what the request took.
func (q *call) leave() {
	if q.account != nil {
		q.account.Give(q.taken)
		q.account.Close()
	}
}

// kept reads what is kept in memory until the request has ended.
type kept struct {
	io.Reader
	q *call
}

// Read takes the memory when the data is there, not when it is announced.
func (k kept) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	if short := k.q.take(int64(n)); short != nil {
		return 0, short
	}
	return n, err
}

// Bind takes the address of a REST API.
func Bind(address string, log *slog.Logger) (net.Listener, error) {
	bound, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot listen on %s: %w", address, err).
			WithHint("another program may use the port; port 0 picks a free one")
	}
	return &listener{Listener: bound, log: log}, nil
}

// acceptAgainAfter is how long a listener waits after an error.
const acceptAgainAfter = 50 * time.Millisecond

// listener goes on after every error: being short of descriptors or memory passes,
// and net/http would end the server over some of them.
type listener struct {
	net.Listener
	log *slog.Logger
}

// Accept returns no error before the listener is closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		l.log.Warn("accept failed", "address", l.Addr().String(), "error", err)
		time.Sleep(acceptAgainAfter)
	}
}
