package nbd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/export/quota"
)

// Server serves exports. Make one with New.
type Server struct {
	opts     Options
	exports  Exports
	listener *net.TCPListener
	log      *slog.Logger
	workers  *workers
	places   *quota.Places
	memory   *quota.Memory // of requests, beyond what each connection has for itself
	lists    chan struct{} // has room for the lists that may be made at a time

	// ctx is given to Exports and ends when Stop gives up waiting.
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	stopping bool
	conns    map[*conn]struct{}
	done     sync.WaitGroup // the accept loop and every connection
}

// listsAtOnce is how many lists of exports are made at a time.
const listsAtOnce = 2

// Bind takes the address of opts. An error is of kind Usage, or Failed where the
// address cannot be had.
func Bind(opts Options) (*net.TCPListener, error) {
	addr, err := opts.address()
	if err != nil {
		return nil, err
	}
	listener, err := net.ListenTCP("tcp", addr)
	if err != nil {
		return nil, fault.New(fault.Failed, "NBD cannot listen on %s: %w", opts.Listen, err).
			WithHint("another program may use the port; port 0 picks a free one")
	}
	return listener, nil
}

// New makes a server, binding the address unless that was done before; clients
// are served after Start. Errors are those of Bind.
func New(opts Options, exports Exports) (*Server, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	if opts.Listener == nil {
		if opts.Listener, err = Bind(opts); err != nil {
			return nil, err
		}
	}
	s := &Server{
		opts: opts, exports: exports, listener: opts.Listener, log: opts.Logger,
		conns:  make(map[*conn]struct{}),
		places: quota.NewPlaces(opts.MaxHandshakes, opts.MaxConns),
		memory: quota.NewMemory(opts.Memory-int64(opts.MaxConns)*ownMemory, connPart),
		lists:  make(chan struct{}, listsAtOnce),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.workers = newWorkers(s.ctx.Done())
	return s, nil
}

// Addr returns the address the server is bound to.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Start begins to serve clients and returns at once. Call it once.
func (s *Server) Start() {
	s.done.Add(1)
	go s.accept()
}

// Stop takes no further clients and requests, lets those being worked on end
// and closes every connection, after takeTimeout also that of a client that does
// not take its replies. When ctx ends first it cuts the connections off and
// returns an error of kind TimedOut or Interrupted. Further calls wait
// the same way.
func (s *Server) Stop(ctx context.Context) error {
	s.quit()
	ended := make(chan struct{})
	go func() {
		s.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		s.cancel()
		return nil
	case <-ctx.Done():
		s.cancel()
		s.each(func(c *conn) { c.cut(errStopped) })
		return fault.New(fault.KindOf(ctx.Err()), "NBD requests were still running: %w", ctx.Err())
	}
}

func (s *Server) quit() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	// A second close fails, which changes nothing.
	_ = s.listener.Close()
	s.each((*conn).quit)
}

func (s *Server) each(f func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		f(c)
	}
}

// errRechecked says that the client may not go on.
var errRechecked = errors.New("what the client may use was changed")

// Recheck cuts off the clients for whose connection allowed returns false, and
// those that are still at their handshake, which may have been let in by what
// held before. Cut-off clients may connect again and are asked about anew.
func (s *Server) Recheck(allowed func(peer Peer, export string, readOnly bool) bool) {
	s.each(func(c *conn) {
		c.mu.Lock()
		session := c.session
		c.mu.Unlock()
		if session == nil || !allowed(session.peer, session.name, session.readOnly) {
			c.cut(errRechecked)
		}
	})
}

func (s *Server) accept() {
	defer s.done.Done()
	for {
		nc, err := s.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors or the like: it may pass.
			s.log.Warn("NBD accept failed", "err", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.admit(nc)
	}
}

// errDisplaced says that the client was too long at its handshake while others
// came.
var errDisplaced = errors.New("made way for others at the handshake")

// admit starts the handshake with nc.
func (s *Server) admit(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	stopping := s.stopping
	if !stopping {
		s.conns[c] = struct{}{}
		s.done.Add(1)
	}
	s.mu.Unlock()
	if stopping {
		_ = nc.Close()
		return
	}
	c.place = s.places.Enter(quota.AddressOf(nc.RemoteAddr()), func() { c.cut(errDisplaced) })
	go c.run()
}

// forget is the last act of a connection.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.done.Done()
}
