// Package nbd exports the volumes of an array over the network with the
// Network Block Device protocol, so that guests attach them as disks; and attaches, with
// Dial, volumes that another server exports.
//
// It speaks the fixed newstyle handshake with LIST, INFO, GO, EXPORT_NAME,
// STRUCTURED_REPLY, the metadata context base:allocation and STARTTLS, and
// the commands READ, WRITE, FLUSH, TRIM, WRITE_ZEROES and BLOCK_STATUS. The
// source for every rule is doc/proto.md of the NBD project.
package nbd

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
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

// addressKey is the key of a client's address in the context that Exports get.
type addressKey struct{}

// ClientAddress returns the address, without the port, of the client that an Exports
// was called for with ctx; the zero Addr where there is none.
func ClientAddress(ctx context.Context) netip.Addr {
	addr, _ := ctx.Value(addressKey{}).(netip.Addr)
	return addr
}

func withClientAddress(ctx context.Context, client net.Addr) context.Context {
	addr, err := netip.ParseAddrPort(client.String())
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, addressKey{}, addr.Addr().Unmap())
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
	// Memory is what requests of all connections take together, in bytes; 256 MiB.
	Memory int64
	// MaxConns is how many connections are served at a time; 2048, or fewer where
	// Memory has no room for them. One client, as its certificate or else its
	// address says, has no more of them than are left for others.
	MaxConns int
	// MaxHandshakes is how many connections may be at their handshake at a time;
	// 256. For further ones the oldest of the address that has most is ended.
	MaxHandshakes int
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
	defaultMemory           = 256 << 20
	defaultMaxConns         = 2048
	defaultMaxHandshakes    = 256
	defaultMaxInFlight      = 16
	defaultHandshakeTimeout = 30 * time.Second
)

// complete returns o with defaults filled in, or what is wrong with it.
func (o Options) complete() (Options, error) {
	if o.Memory < 0 || o.MaxConns < 0 || o.MaxHandshakes < 0 || o.MaxInFlight < 0 ||
		o.HandshakeTimeout < 0 {
		return o, fault.New(fault.Usage, "an NBD limit is negative")
	}
	o.Memory = cmp.Or(o.Memory, defaultMemory)
	// Half of the memory is for what each connection has for itself.
	o.MaxConns = min(cmp.Or(o.MaxConns, defaultMaxConns), int(o.Memory/2/ownMemory))
	if o.MaxConns == 0 {
		return o, fault.New(fault.Usage, "%d bytes of memory are too few for NBD", o.Memory)
	}
	o.MaxHandshakes = cmp.Or(o.MaxHandshakes, defaultMaxHandshakes)
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
