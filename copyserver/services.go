package copyserver

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/exports"
	"copyservices/copyserver/rest"
	"copyservices/copyserver/state"
)

// service is one way into the server.
type service struct {
	name string
	// bind takes the address. It needs no state folder, and refuses all that can be
	// refused without one.
	bind func() (net.Listener, error)
	// start serves what connects to the listener, and returns at once. The core is
	// there by then.
	start func(net.Listener) error
	// stop takes no more requests and lets those at work end. It is called once, after
	// start.
	stop func(context.Context) error

	listener net.Listener // what bind returned
}

// The names of the services.
const (
	restName = "HTTP"
	nbdName  = "NBD"
)

// offered lists the services in the order in which they are bound and started, which
// is that of their stop backwards: who commands leaves before the hosts do.
func (s *Server) offered(seams seams) []service {
	var list []service
	if s.opts.NBDListen != NoNBD {
		list = append(list, s.nbdService())
	}
	return append(list, s.restService(seams))
}

// bind takes the address of a service.
func (s *Server) bind(way *service) (err error) {
	if way.listener, err = way.bind(); err != nil {
		return err
	}
	s.onStop(way.name+" listener", func(context.Context) error {
		if err := way.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// addr returns the address of a service with its real port, empty when it is off.
func (s *Server) addr(name string) string {
	for _, way := range s.services {
		if way.name == name {
			return way.listener.Addr().String()
		}
	}
	return ""
}

// The memory of the server is divided for good: one part of nbdPart for requests of
// hosts, one of restPart for requests of commands. The rest is for everything else:
// the array, hashes of passwords, and what of Go's heap is not collected yet.
const (
	nbdPart  = 2
	restPart = 8
)

// drainTimeout is how long requests over HTTP get to end by themselves.
const drainTimeout = 5 * time.Second

// restService is the REST API.
func (s *Server) restService(seams seams) service {
	return service{
		name: restName,
		bind: func() (net.Listener, error) { return rest.Bind(s.opts.Listen, s.logger) },
		start: func(l net.Listener) error {
			about, err := s.about()
			if err != nil {
				return err
			}
			s.api, err = rest.New(rest.Options{
				Core: s.core, Cert: s.cert, Server: about,
				Memory: cmp.Or(seams.memory, rest.NewMemory(s.opts.memory/restPart)),
				Places: seams.places, BodyTimeout: seams.bodyTimeout,
			})
			if err != nil {
				return err
			}
			go func() {
				if err := s.api.Serve(l); err != nil {
					s.failed <- err
				}
			}()
			return nil
		},
		stop: func(ctx context.Context) error {
			s.api.Leave()
			ctx, cancel := context.WithTimeout(ctx, drainTimeout)
			defer cancel()
			return s.api.Drain(ctx)
		},
	}
}

// about is what stays of the description of this server.
func (s *Server) about() (api.Server, error) {
	host, err := os.Hostname()
	if err != nil {
		return api.Server{}, fault.New(fault.Failed, "this machine has no host name: %w", err)
	}
	return api.Server{Name: host, Version: Version, ID: s.id, NBD: s.NBDAddr()}, nil
}

// nbdService shows volumes to hosts over NBD.
func (s *Server) nbdService() service {
	return service{
		name: nbdName,
		bind: func() (l net.Listener, err error) {
			s.nbd, l, err = exports.BindNBD(exports.Options{
				Listen: s.opts.NBDListen, Insecure: s.opts.NBDInsecure, HostTLS: s.opts.NBDTLS,
				CertFile: s.opts.NBDTLSCert, KeyFile: s.opts.NBDTLSKey, ClientCAFile: s.opts.NBDTLSClientCA,
				Names: state.CertificateNames(s.opts.NBDListen), Memory: s.opts.memory / nbdPart, Logger: s.logger,
			})
			return l, err
		},
		start: func(l net.Listener) error { return s.nbd.Start(l, s.core, s.cert) },
		stop:  func(ctx context.Context) error { return s.nbd.Stop(ctx) },
	}
}
