// Package copyserver is the Copy Services server: the daemon's life, its REST
// API and the wiring of what it is made of. The state folder's parts are
// those of packages taskstore, secrets and filearray; package auth knows the
// users, package runner executes tasks.
package copyserver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"copyservices/copyserver/api"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/core"
	"copyservices/copyserver/rest"
	"copyservices/export"

	"copyservices/copyserver/state"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/auth"
	"copyservices/copyserver/runner"
	"copyservices/copyserver/secrets"
	"copyservices/export/nbd"
	"copyservices/export/quota"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
)

// Version of the suite; the release build sets it.
var Version = "0.1.0-dev"

const (
	// stopTimeout bounds Stop, whatever the caller's context says.
	stopTimeout = 15 * time.Second
	// drainTimeout is how long requests get to end by themselves.
	drainTimeout = 5 * time.Second
)

// Server is a Copy Services server. Make one with New.
type Server struct {
	opts   Options
	logger *slog.Logger

	id       string
	hostname string
	store    taskstore.Store
	box      *secrets.Box
	arrays   *arrays.Registry
	runner   *runner.Runner
	attached *export.Attachments
	auth     *auth.Authenticator
	core     *core.Core
	api      *rest.API

	cert     tls.Certificate
	issuer   *secrets.Authority // of credentials for NBD
	listener net.Listener
	nbd      *nbd.Server // nil when off

	nbdOptions nbd.Options // zero when off

	stopping context.Context // ends when Stop begins: long polls answer
	stop     context.CancelFunc
	failed   chan error // takes the error that serving ended with

	// mu is held over Start and Stop, which therefore never interleave.
	mu       sync.Mutex
	started  bool
	stopped  bool
	stopErr  error
	cleanups []cleanup
}

// cleanup undoes one step of New or Start.
type cleanup struct {
	name string
	undo func(context.Context) error
}

// seams are what tests replace.
type seams struct {
	fsys atomicfile.FS
	cost auth.Cost
	// wrap goes around the embedded array; nil for nothing.
	wrap func(*filearray.Array) arrayclient.Array
	// bodyTimeout, places and memory are those of rest.Options, where given.
	bodyTimeout time.Duration
	places      *quota.Places
	memory      *quota.Memory
}

// New opens the state folder and binds the addresses, but serves nothing yet.
// When it fails it has undone what it did. The error is of kind Usage for
// options that cannot be, Busy for a state folder that is in use, Failed for
// one that cannot be taken.
func New(opts Options) (*Server, error) {
	return newServer(opts, seams{fsys: atomicfile.OS(), cost: auth.DefaultCost()})
}

func newServer(opts Options, seams seams) (*Server, error) {
	opts, err := opts.Validate()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: opts, logger: opts.Logger, failed: make(chan error, 1),
		attached: export.NewAttachments(),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	if err := s.setUp(seams); err != nil {
		// What undoing it says is in the log.
		_ = s.Stop(context.Background())
		return nil, err
	}
	return s, nil
}

func (s *Server) setUp(seams seams) error {
	ctx := s.stopping
	lock, err := s.takeAddresses()
	if err != nil {
		return err
	}
	st, err := state.Open(ctx, state.Opening{
		Dir: s.opts.State, ArraySerial: s.opts.ArraySerial, FS: seams.fsys, Cost: seams.cost,
		Names: state.CertificateNames(s.opts.Listen), Logger: s.logger, Lock: lock,
	})
	if err != nil {
		return err
	}
	s.onStop("state folder", func(context.Context) error { return st.Close() })
	s.id, s.store, s.box, s.cert = st.ID, st.Store, st.Box, st.Cert
	s.issuer = st.Authority
	s.auth = auth.New(s.store.Users(), seams.cost)
	if s.hostname, err = os.Hostname(); err != nil {
		return fault.New(fault.Failed, "this machine has no host name: %w", err)
	}
	var embedded arrayclient.Array = st.Array
	if seams.wrap != nil {
		embedded = seams.wrap(st.Array)
	}
	if err := s.setUpArrays(ctx, embedded); err != nil {
		return err
	}
	s.core = core.New(core.Parts{
		Store: s.store, Box: s.box, Arrays: s.arrays, Runner: s.runner, Attached: s.attached,
		Passwords: s.auth, Issuer: s.issuer, Logger: s.logger, Reassigned: s.recheckHosts,
	})
	if err := s.setUpREST(seams); err != nil {
		return err
	}
	// One that a killed server left would announce this one too early.
	if err := s.removeReadyFile(); err != nil {
		return err
	}
	return s.setUpNBD()
}

// takeAddresses does all that can be refused without a state folder, so that a
// refused start leaves none behind, nor an array with a serial for good. It
// returns the lock of a folder that is there already, else nil: that another
// server has it says more than that its addresses are taken.
func (s *Server) takeAddresses() (*state.Lock, error) {
	lock, err := state.LockKnown(s.opts.State)
	if err != nil {
		return nil, err
	}
	err = s.checkReadyFile()
	if err == nil {
		err = s.bindNBD()
	}
	if err == nil {
		err = s.bind()
	}
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return lock, nil
}

// setUpArrays also marks the runs that an earlier server was killed in, which
// needs the arrays to say what became of their copies.
func (s *Server) setUpArrays(ctx context.Context, embedded arrayclient.Array) error {
	var err error
	if s.arrays, err = arrays.New(ctx, embedded); err != nil {
		return err
	}
	_, id, err := s.arrays.Named("")
	if err != nil {
		return err
	}
	if want := s.opts.ArraySerial; want != "" && want != id.Serial {
		return fault.New(fault.Usage, "the array in %s has the serial %s, not %s",
			s.opts.State, id.Serial, want).
			WithHint("an array keeps the serial it was created with; leave --array-serial out")
	}
	if s.runner, err = runner.New(ctx, s.store, s.arrays, s.logger); err != nil {
		return err
	}
	s.onStop("runs", s.runner.Stop)
	return nil
}

// bind takes the address of the REST API.
func (s *Server) bind() error {
	bound, err := net.Listen("tcp", s.opts.Listen)
	if err != nil {
		return fault.New(fault.Failed, "cannot listen on %s: %w", s.opts.Listen, err).
			WithHint("another program may use the port; port 0 picks a free one")
	}
	l := &listener{Listener: bound, log: s.logger}
	s.listener = l
	s.onStop("listener", func(context.Context) error { return ignoreClosed(l.Close()) })
	return nil
}

// setUpREST makes the REST API, which serves after Start.
func (s *Server) setUpREST(seams seams) (err error) {
	memory := cmp.Or(seams.memory, rest.NewMemory(s.opts.memory/restPart))
	s.api, err = rest.New(rest.Options{
		Core: s.core, Auth: s.auth, Logger: s.logger, Cert: s.cert, ID: s.id, About: s.about,
		Memory: memory, Places: seams.places, BodyTimeout: seams.bodyTimeout,
	})
	return err
}

func (s *Server) about() api.Server {
	return api.Server{
		Name: s.hostname, Version: Version, ID: s.id, NBD: s.NBDAddr(), Arrays: s.arrays.Names(),
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Start begins to serve and returns at once. It is to be called once.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.stopped {
		return fault.New(fault.Failed, "the server was started or stopped before")
	}
	s.started = true
	if s.nbd != nil {
		s.nbd.Start()
	}
	go func() {
		if err := s.api.Serve(s.listener); err != nil {
			s.failed <- err
		}
	}()
	s.onStop("HTTP", s.drain)
	if err := s.announce(); err != nil {
		return err
	}
	if err := s.announceFirstUser(); err != nil {
		return err
	}
	s.logger.Info("serving", "address", s.Addr(), "nbd_address", s.NBDAddr(),
		"arrays", s.arrays.Names(), "state", s.opts.State,
		"fingerprint", secrets.Fingerprint(s.cert))
	return nil
}

func (s *Server) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	return s.api.Drain(ctx)
}

// Wait returns when ctx ends, or with an error when serving did.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case err := <-s.failed:
		return fault.New(fault.Server, "serving %s ended: %w", s.Addr(), err)
	case <-ctx.Done():
		return nil
	}
}

// Addr returns the address of the REST API with its real port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// NBDAddr returns the address of the NBD export; empty when it is off.
func (s *Server) NBDAddr() string {
	if s.nbd == nil {
		return ""
	}
	return s.nbd.Addr().String()
}

// onStop registers how to undo a step that was done.
func (s *Server) onStop(name string, undo func(context.Context) error) {
	s.cleanups = append(s.cleanups, cleanup{name, undo})
}

// Stop takes no more requests, lets those at work end and closes everything,
// the last opened first. It takes no longer than ctx and stopTimeout allow.
// Further calls return what the first did.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return s.stopErr
	}
	s.stopped = true
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	s.stop()
	if s.api != nil {
		s.api.Leave()
	}
	s.thaw()
	for _, c := range slices.Backward(s.cleanups) {
		if err := c.undo(ctx); err != nil {
			s.logger.Error("a part did not stop cleanly", "part", c.name, "error", err)
			s.stopErr = errors.Join(s.stopErr, err)
		}
	}
	if s.started {
		s.logger.Info("stopped")
	}
	return s.stopErr
}

// thaw releases the writes that freezes hold, also those of tasks that are at work:
// requests to write, over NBD and HTTP, end only then.
func (s *Server) thaw() {
	if s.arrays == nil {
		return
	}
	for _, arr := range s.arrays.All() {
		if t, ok := arrayclient.As[arrayclient.Thawer](arr); ok {
			t.Thaw()
		}
	}
}
