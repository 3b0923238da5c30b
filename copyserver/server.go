// Package copyserver is the Copy Services server: the life of the daemon over a list
// of services, the ways into it.
package copyserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/access"
	"copyservices/copyserver/announce"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/core"
	"copyservices/copyserver/exports"
	"copyservices/copyserver/rest"
	"copyservices/copyserver/runner"
	"copyservices/copyserver/secrets"
	"copyservices/copyserver/state"
	"copyservices/export"
	"copyservices/export/quota"
	"copyservices/taskstore/atomicfile"
)

// Version of the suite; the release build sets it.
var Version = "0.1.0-dev"

// stopTimeout bounds Stop, whatever the caller's context says.
const stopTimeout = 15 * time.Second

// Server is a Copy Services server. Make one with New.
type Server struct {
	opts   Options
	logger *slog.Logger

	id       string
	cert     tls.Certificate
	core     *core.Core
	services []service
	api      *rest.API    // nil before Start
	nbd      *exports.NBD // nil when off

	stopping context.Context // ends when Stop begins: nobody is left waiting for copies
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
	cost access.Cost
	// wrap goes around the embedded array; nil for nothing.
	wrap func(*filearray.Array) arrayclient.Array
	// drivers are of registered arrays.
	drivers map[string]arrays.Driver
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
	return newServer(opts, seams{
		fsys: atomicfile.OS(), cost: access.DefaultCost(), drivers: drivers(),
	})
}

func newServer(opts Options, seams seams) (*Server, error) {
	opts, err := opts.Validate()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, logger: opts.Logger, failed: make(chan error, 1)}
	s.services = s.offered(seams)
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
	folder, err := state.Open(ctx, state.Opening{
		Dir: s.opts.State, ArraySerial: s.opts.ArraySerial, FS: seams.fsys, Cost: seams.cost,
		Names: state.CertificateNames(s.opts.Listen), Logger: s.logger, Lock: lock,
	})
	if err != nil {
		return err
	}
	s.onStop("state folder", func(context.Context) error { return folder.Close() })
	s.id, s.cert = folder.ID, folder.Cert
	var embedded arrayclient.Array = folder.Array
	if seams.wrap != nil {
		embedded = seams.wrap(folder.Array)
	}
	parts := core.Parts{
		Drivers: seams.drivers, Store: folder.Store, Box: folder.Box, Attached: export.NewAttachments(),
		Passwords: access.New(folder.Store.Users(), seams.cost), Logger: s.logger,
		Access: access.NewHosts(folder.Store, folder.Authority),
	}
	if err := s.setUpArrays(ctx, &parts, embedded); err != nil {
		return err
	}
	s.core = core.New(parts)
	// One that a killed server left would announce this one too early.
	return s.readyFile().Remove()
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
	err = s.readyFile().Check()
	for i := 0; err == nil && i < len(s.services); i++ {
		err = s.bind(&s.services[i])
	}
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return lock, nil
}

// setUpArrays also marks the runs that an earlier server was killed in, which
// needs the arrays to say what became of their copies.
func (s *Server) setUpArrays(
	ctx context.Context, parts *core.Parts, embedded arrayclient.Array,
) (err error) {
	if parts.Arrays, err = arrays.New(ctx, embedded); err != nil {
		return err
	}
	_, id := parts.Arrays.Own()
	if want := s.opts.ArraySerial; want != "" && want != id.Serial {
		return fault.New(fault.Usage, "the array in %s has the serial %s, not %s",
			s.opts.State, id.Serial, want).
			WithHint("an array keeps the serial it was created with; leave --array-serial out")
	}
	s.onStop("arrays", parts.Arrays.Close)
	if err := core.AddRegistered(*parts); err != nil {
		return err
	}
	s.settleArrays(ctx, parts.Arrays)
	if parts.Runner, err = runner.New(ctx, parts.Store, parts.Arrays, s.logger); err != nil {
		return err
	}
	s.onStop("runs", parts.Runner.Stop)
	return nil
}

// settleTime is how long a start waits for registered arrays to answer.
const settleTime = 2 * time.Second

// settleArrays gives registered arrays the chance to answer before they are needed.
func (s *Server) settleArrays(ctx context.Context, all *arrays.Registry) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	all.Settle(ctx)
}

// Start begins to serve and returns at once. It is to be called once.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.stopped {
		return fault.New(fault.Failed, "the server was started or stopped before")
	}
	s.started = true
	for _, way := range s.services {
		if err := way.start(way.listener); err != nil {
			return err
		}
		s.onStop(way.name, way.stop)
	}
	if err := s.announce(); err != nil {
		return err
	}
	s.logger.Info("serving", "address", s.Addr(), "nbd_address", s.NBDAddr(),
		"arrays", s.core.Arrays.Names(), "state", s.opts.State,
		"fingerprint", secrets.Fingerprint(s.cert))
	return nil
}

// announce lets programs and the first administrator find the server.
func (s *Server) announce() error {
	err := s.readyFile().Write(announce.Ready{
		Address: s.Addr(), NBDAddress: s.NBDAddr(), Fingerprint: secrets.Fingerprint(s.cert),
		PID: os.Getpid(), Array: s.core.Arrays.Names()[0],
	})
	if err != nil {
		return err
	}
	s.onStop("ready file", func(context.Context) error { return s.readyFile().Remove() })
	return announce.FirstUser(s.logger, s.core.Store.Users(), s.Addr(), DefaultOptions().Listen)
}

func (s *Server) readyFile() announce.ReadyFile { return announce.ReadyFile(s.opts.ReadyFile) }

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
func (s *Server) Addr() string { return s.addr(restName) }

// NBDAddr returns the address of the NBD export; empty when it is off.
func (s *Server) NBDAddr() string { return s.addr(nbdName) }

// Memory is how much the server may use, in bytes.
func (s *Server) Memory() int64 { return s.opts.memory }

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
	if s.core == nil {
		return
	}
	own, _ := s.core.Arrays.Own()
	if t, ok := arrayclient.As[arrayclient.Thawer](own); ok {
		t.Thaw()
	}
}
