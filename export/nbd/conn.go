package nbd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"copyservices/export/quota"
)

// conn is one client. One goroutine at a time has the reader's role: it takes
// requests off the connection and carries out itself those that are expected
// to be fast, with their replies collected in batch. Slow ones go to the
// workers. A request that turns out to be slow loses the role to a new
// goroutine; see turn.go.
type conn struct {
	srv *Server
	raw net.Conn // as accepted
	nc  net.Conn // raw, or TLS on it
	log *slog.Logger
	in  input
	*session

	batch batch   // belongs to the reader
	rest  request // of a write, what was not read yet; belongs to the reader
	turn  turn
	pace  [paces]pace
	known dataRange

	sending sync.Mutex // held while writing to nc

	mu     sync.Mutex
	ended  sync.Cond // signalled when active shrinks or the own buffer is free
	active int       // requests being worked on by others than the reader
	limit  int       // of active
	quits  bool      // no further request is read
	broken error     // why the connection was cut, or nil

	place    *quota.Place
	account  *quota.Account // of the session
	ownTaken bool           // the connection's own buffer is in use; guarded by mu

	leaving atomic.Bool // quits, for send
	dead    atomic.Bool // there is a reason in broken: no reply will get out
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{
		srv: s, raw: nc, nc: nc, limit: s.opts.MaxInFlight,
		log: s.log.With("client", nc.RemoteAddr().String()),
	}
	c.in.src = nc
	c.ended.L = &c.mu
	c.turn.init(c.takeOver)
	return c
}

// longAgo is a deadline that fails whatever waits, and all that comes later.
var longAgo = time.Unix(1, 0)

// takeTimeout is how long the client may take for a reply when the server stops.
const takeTimeout = 500 * time.Millisecond

// quit lets the connection end when the requests at hand are done. It may be
// called from any goroutine.
func (c *conn) quit() {
	c.mu.Lock()
	c.quits = true
	_ = c.raw.SetReadDeadline(longAgo)
	c.mu.Unlock()
	c.leaving.Store(true)
	c.limitSending()
}

// limitSending gives the client takeTimeout from now on for what is being sent.
func (c *conn) limitSending() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		_ = c.raw.SetWriteDeadline(time.Now().Add(takeTimeout))
	}
}

// cut ends the connection at once, for the reason given. It does not close
// it: Close waits for a read, and the reader may be waiting for the caller.
func (c *conn) cut(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = reason
		c.dead.Store(true)
	}
	c.quits = true
	_ = c.raw.SetDeadline(longAgo)
	if tcp, ok := c.raw.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

// setDeadline limits the handshake; a zero time lifts the limit.
func (c *conn) setDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.quits {
		_ = c.raw.SetDeadline(t)
	}
}

// run serves the client. The connection may outlive it, when another
// goroutine took the reader's role.
func (c *conn) run() {
	if err := c.negotiate(); err != nil {
		c.logEnd("NBD handshake ended", err)
		c.close()
		return
	}
	c.log.Info("NBD client connected", "read_only", c.readOnly)
	c.lead()
}

func (c *conn) negotiate() error {
	timeout := c.srv.opts.HandshakeTimeout
	c.setDeadline(time.Now().Add(timeout))
	ctx, cancel := context.WithTimeout(c.srv.ctx, timeout)
	defer cancel()
	h := handshake{
		ctx: withClientAddress(ctx, c.raw.RemoteAddr()), nc: c.raw, in: &c.in, exports: c.srv.exports, tls: c.srv.opts.TLS,
		place: c.place, lists: c.srv.lists,
	}
	s, err := h.run()
	c.nc = h.nc
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	c.account = c.srv.memory.Open(h.owner())
	c.in.more = c.inputSpace
	c.log = c.log.With("export", s.name, "peer", s.peer.Name)
	if l := newLink(c.nc, c.sendBatch); l != nil {
		c.in.src = l
	} else {
		c.in.beforeRead = c.sendBatch
	}
	c.setDeadline(time.Time{})
	return nil
}

// lead has the reader's role until it loses it or the connection ends.
func (c *conn) lead() {
	for {
		r, err := c.next()
		if err != nil {
			c.finish(err)
			return
		}
		if !c.serve(&r) {
			return
		}
	}
}

// errDisconnect says that the client took its leave.
var errDisconnect = errors.New("disconnected by the client")

// next reads a request with its payload, or the next part of it.
func (c *conn) next() (request, error) {
	if c.rest.n > 0 {
		return c.nextPart()
	}
	head, err := c.in.peek(headerRequest)
	if err != nil {
		return request{}, err
	}
	r, err := parseRequest(head)
	if err != nil {
		return r, err
	}
	c.in.skip(headerRequest)
	if r.kind == cmdDisconnect {
		return r, errDisconnect
	}
	r.err = c.check(&r)
	switch {
	case r.kind != cmdWrite:
		return r, nil
	case r.n > 2*maxPayload:
		return r, errors.New("a write is far too big")
	case r.err != errnoNone:
		return r, c.in.discard(int(r.n))
	}
	c.rest = r
	return c.nextPart()
}

// nextPart reads as much of the payload of a write as there is memory for: no
// client holds more of it by being slow.
func (c *conn) nextPart() (request, error) {
	c.sendBatch()
	r := c.rest
	r.mem = c.space(r.n)
	n := int64(len(r.mem.data))
	last := n == r.n
	if !last && r.parts == nil {
		r.parts = newParts()
	}
	c.rest.off, c.rest.n, c.rest.parts = r.off+n, r.n-n, r.parts
	if last {
		c.rest = request{}
	} else {
		r.parts.add()
	}
	r.n = n
	err := c.in.readFull(r.mem.data)
	if err != nil {
		r.drop()
	}
	return r, err
}

// finish ends the connection in good order: replies out, volume closed.
func (c *conn) finish(err error) {
	c.sendBatch()
	c.turn.stop()
	c.mu.Lock()
	for c.active > 0 {
		c.ended.Wait()
	}
	c.mu.Unlock()
	c.session.close()
	c.logEnd("NBD client gone", err)
	c.close()
	c.account.Close()
}

// errStopped says that the server took its leave.
var errStopped = errors.New("the server stops")

// logEnd tells ordinary ends from those worth a look.
func (c *conn) logEnd(text string, err error) {
	c.mu.Lock()
	switch {
	case c.broken != nil:
		err = c.broken
	case c.quits && errors.Is(err, os.ErrDeadlineExceeded):
		err = errStopped
	}
	c.mu.Unlock()
	level := slog.LevelWarn
	for _, usual := range []error{io.EOF, errDisconnect, errAborted, errStopped, errDisplaced} {
		if errors.Is(err, usual) {
			level = slog.LevelInfo
		}
	}
	c.log.Log(c.srv.ctx, level, text, "reason", err)
}

func (c *conn) close() {
	c.place.Leave()
	if t, ok := c.nc.(*tls.Conn); ok {
		// The notice of the end is a courtesy to a client that listens.
		_ = t.SetWriteDeadline(time.Now().Add(time.Second))
		_ = t.CloseWrite()
	}
	_ = c.raw.Close()
	c.in.release()
	c.srv.forget(c)
}

// send writes whole replies. When it cannot, the connection is of no use any
// more and the reader will find it closed.
func (c *conn) send(p []byte) {
	if len(p) == 0 {
		return
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	c.sendLocked(p)
}

// sendLocked is send for who holds sending.
func (c *conn) sendLocked(p []byte) {
	if c.leaving.Load() {
		c.limitSending()
	}
	if _, err := c.nc.Write(p); err != nil {
		c.cut(err)
	}
}

// enlist counts a request that another goroutine than the reader works on. It
// waits while there are too many.
func (c *conn) enlist() {
	c.mu.Lock()
	for c.active >= c.limit {
		c.ended.Wait()
	}
	c.active++
	c.mu.Unlock()
}

func (c *conn) discharge() {
	c.mu.Lock()
	c.active--
	c.mu.Unlock()
	c.ended.Broadcast()
}

// alone reports whether no other request is at hand, so that a slow one
// keeps nobody waiting.
func (c *conn) alone() bool {
	if c.in.buffered() > 0 || c.rest.n > 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active == 0
}
