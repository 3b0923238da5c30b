package api

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/notation"
)

// unreachable says that no connection to a server could be made: nothing was
// sent to it.
type unreachable struct {
	server string
	err    error
}

func (e *unreachable) Error() string { return e.server + ": " + reason(e.err) }
func (e *unreachable) Unwrap() error { return e.err }

// dialTLS connects to addr and remembers the certificate it shows. Its errors
// are *unreachable, or a fault error for a certificate that is not accepted.
func (c *Client) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(c.opts.DialTimeout, func() { cancel(errSlowDial) })
	defer timer.Stop()

	raw, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, &unreachable{addr, causeOf(ctx, err)}
	}
	var rejected error
	conn := tls.Client(raw, c.tlsConfig(addr, func() { timer.Stop() }, &rejected))
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		if rejected != nil || isCertificateError(err) {
			return nil, badCertificate(addr, err)
		}
		return nil, &unreachable{addr, causeOf(ctx, err)}
	}
	c.remember(addr, conn.ConnectionState())
	return &closing{Conn: conn}, nil
}

// closing is a connection that tells when it is closed, which the transport
// does as soon as the other side has closed it.
type closing struct {
	net.Conn
	then atomic.Pointer[func()] // nil for nothing
}

// Close closes the connection and calls then.
func (c *closing) Close() error {
	if then := c.then.Load(); then != nil {
		(*then)()
	}
	return c.Conn.Close()
}

// tlsConfig returns the caller's configuration for addr, completed. verifying
// is called before the caller's own check of the certificate, whose error is
// kept in *rejected.
func (c *Client) tlsConfig(addr string, verifying func(), rejected *error) *tls.Config {
	cfg := &tls.Config{}
	if c.opts.TLS != nil {
		cfg = c.opts.TLS(addr).Clone()
	}
	if cfg.ServerName == "" {
		host, _, _ := net.SplitHostPort(addr)
		cfg.ServerName = notation.WithoutZone(host)
	}
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	cfg.NextProtos = []string{"http/1.1"}
	if check := cfg.VerifyConnection; check != nil {
		cfg.VerifyConnection = func(state tls.ConnectionState) error {
			verifying()
			*rejected = check(state)
			return *rejected
		}
	}
	return cfg
}

func (c *Client) remember(addr string, state tls.ConnectionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers[addr] = sha256.Sum256(state.PeerCertificates[0].Raw)
}

func isCertificateError(err error) bool {
	var bad *tls.CertificateVerificationError
	return errors.As(err, &bad)
}

func badCertificate(addr string, err error) error {
	var own *fault.Error
	if errors.As(err, &own) {
		return own
	}
	return fault.New(fault.Connection, "the certificate of %s is not accepted: %w", addr, err).
		WithHint("if the server got a new certificate, check it and pin it: rsTestConnection --trust")
}
