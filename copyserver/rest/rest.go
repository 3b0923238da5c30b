// Package rest is the REST API: routes, the codec of requests and answers, idempotency
// keys, and the care for many clients, over a core that has the rules. openapi.yaml
// describes it; a test in package copyserver holds both against each other.
package rest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/access"
	"copyservices/copyserver/api"
	"copyservices/copyserver/core"
	"copyservices/export/quota"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)

// Options of an API. None may be left out but those that say so.
type Options struct {
	Core *core.Core
	Cert tls.Certificate
	// Server describes the server, as far as that does not change; every answer carries
	// its ID.
	Server api.Server
	// Memory is what bodies and answers of requests go through.
	Memory *quota.Memory
	// Places are the connections; nil: the usual number.
	Places *quota.Places
	// BodyTimeout is how long a client may take to send a JSON body, and to take an
	// answer; 0: the usual time.
	BodyTimeout time.Duration
}

// API is the REST API over a Core. Make one with New.
type API struct {
	core        *core.Core
	auth        *access.Authenticator
	logger      *slog.Logger
	server      api.Server
	bodyTimeout time.Duration
	clients     *clients
	keys        keyLocks
	clock       clock
	http        *http.Server

	stopping context.Context // ends when Leave is called: long polls answer
	stop     context.CancelFunc
	stopTime time.Time // when stopping ended
}

// New returns an API that serves nothing yet. Records of requests whose keys expired
// long ago are dropped; the error is that of the store.
func New(o Options) (*API, error) {
	s := &API{
		core: o.Core, auth: o.Core.Passwords, logger: o.Core.Logger, server: o.Server, clock: newClock(),
		bodyTimeout: cmp.Or(o.BodyTimeout, bodyTimeout), clients: newClients(o.Memory, o.Places),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	if err := s.ForgetRequests(); err != nil {
		return nil, err
	}
	s.http = s.newHTTP(o.Cert)
	return s, nil
}

// newHTTP leaves HTTP/2 out: commands send a request or two for each connection, and
// gain nothing from it.
func (s *API) newHTTP(cert tls.Certificate) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           s.handler(),
		Protocols:         &protocols,
		ConnContext:       s.clients.enter,
		ConnState:         s.clients.note,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert},
		},
	}
}

// Serve serves what connects to l until Drain is called, which is no error.
func (s *API) Serve(l net.Listener) error {
	go s.keepForgetting(s.stopping)
	err := s.http.ServeTLS(l, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Leave has long polls answer, and gives clients little time from now on. It is to be
// called once.
func (s *API) Leave() {
	s.stopTime = time.Now()
	s.stop()
}

// Drain lets requests end and cuts them off when ctx ends. Clients that have not sent
// one are not waited for.
func (s *API) Drain(ctx context.Context) error {
	s.clients.closeSilent()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fault.New(fault.TimedOut, "requests were still running: %w", err),
			s.http.Close())
	}
	return err
}
