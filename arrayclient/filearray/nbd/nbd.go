// Package nbd exports the volumes of an array over the network with the
// Network Block Device protocol, so that guests attach them as disks.
//
// It speaks the fixed newstyle handshake with LIST, INFO, GO, EXPORT_NAME,
// STRUCTURED_REPLY, the metadata context base:allocation and STARTTLS, and
// the commands READ, WRITE, FLUSH, TRIM, WRITE_ZEROES and BLOCK_STATUS. The
// source for every rule is doc/proto.md of the NBD project.
package nbd

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Exports is what a server offers. Its methods are called from many
// goroutines at once.
type Exports interface {
	// List returns every export that peer may see, in the order clients shall
	// see.
	List(ctx context.Context, peer Peer) ([]ExportInfo, error)

	// Open returns the content of the export called name, byte for byte that
	// name. An error of kind fault.NotFound says there is none, or none that
	// peer may see. The server
	// calls the volume's methods from many goroutines at once, also with
	// ranges that overlap, and closes it when the connection has ended. A
	// Flush of one opening MUST cover the writes of all openings of the same
	// name, since clients are told that they may use many connections.
	Open(
		ctx context.Context, peer Peer, name string,
	) (v arrayclient.VolumeIO, readOnly bool, err error)
}

// Peer is the client of a connection, as its certificate says. It is the zero
// Peer without one that was verified.
type Peer struct {
	Name   string // the common name
	Serial string // the serial number, in lower-case hex digits
}

// peerOf returns whom a TLS connection belongs to.
func peerOf(state tls.ConnectionState) Peer {
	if len(state.VerifiedChains) == 0 {
		return Peer{}
	}
	cert := state.VerifiedChains[0][0]
	return Peer{Name: cert.Subject.CommonName, Serial: cert.SerialNumber.Text(16)}
}

// ExportInfo describes one export in a list.
type ExportInfo struct {
	Name        string
	Description string // for people, may be empty
	Size        int64  // bytes
}

// Options of a server. A zero number means its default.
type Options struct {
	// Listen is the address, HOST:PORT; port 0 picks a free one.
	Listen string
	// Listener, if not nil, is what Bind returned for these options.
	Listener *net.TCPListener
	// TLS makes encryption mandatory for every client. Whether clients need
	// a certificate is its ClientAuth. nil offers no encryption.
	TLS *tls.Config
	// Insecure allows an address other than loopback without a TLS that
	// demands client certificates: anyone who reaches it owns the volumes.
	Insecure bool
	// MaxConns is how many connections are served at a time; 1024.
	MaxConns int
	// MaxInFlight is how many requests of one connection are worked on at a
	// time; 16. The next one waits, and with it the client.
	MaxInFlight int
	// HandshakeTimeout is how long a client may take to choose an export;
	// 30 s.
	HandshakeTimeout time.Duration
	// Logger takes what happens to connections; nil for none.
	Logger *slog.Logger
}

const (
	defaultMaxConns         = 1024
	defaultMaxInFlight      = 16
	defaultHandshakeTimeout = 30 * time.Second
)

// complete returns o with defaults filled in, or what is wrong with it.
func (o Options) complete() (Options, error) {
	if o.MaxConns < 0 || o.MaxInFlight < 0 || o.HandshakeTimeout < 0 {
		return o, fault.New(fault.Usage, "an NBD limit is negative")
	}
	if o.MaxConns == 0 {
		o.MaxConns = defaultMaxConns
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = defaultMaxInFlight
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = defaultHandshakeTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return o, nil
}

// address resolves o.Listen and refuses one that strangers could reach.
func (o Options) address() (*net.TCPAddr, error) {
	addr, err := net.ResolveTCPAddr("tcp", o.Listen)
	if err != nil {
		return nil, fault.New(fault.Usage, "%q is no address to listen on: %w", o.Listen, err).
			WithHint("an address is HOST:PORT, like 127.0.0.1:10809")
	}
	if addr.IP.IsLoopback() || o.Insecure || o.demandsCertificates() {
		return addr, nil
	}
	return nil, fault.New(fault.Usage,
		"NBD on %s would give every volume to anyone who reaches it", o.Listen).
		WithHint("demand TLS client certificates, listen on 127.0.0.1, " +
			"or accept the danger with --nbd-insecure")
}

func (o Options) demandsCertificates() bool {
	return o.TLS != nil && o.TLS.ClientAuth == tls.RequireAndVerifyClientCert
}
