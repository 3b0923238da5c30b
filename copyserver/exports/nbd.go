package exports

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/core"
	"copyservices/export/nbd"
	"copyservices/taskstore/userfile"
)

// Options of the NBD export.
type Options struct {
	// Listen is the address, HOST:PORT; port 0 picks a free one.
	Listen string
	// Insecure allows an address other than loopback without client certificates.
	Insecure bool
	// HostTLS lets only hosts in that show a credential of this server, and shows
	// each the volumes that are assigned to it. The files below are then empty.
	HostTLS bool
	// Names are those of the certificate that the server makes for HostTLS.
	Names []string
	// CertFile and KeyFile are the PEM files of the certificate that NBD shows; empty
	// with ClientCAFile: that of the server.
	CertFile, KeyFile string
	// ClientCAFile is the PEM file of the authorities of the certificates that clients
	// must show; empty: they need none.
	ClientCAFile string
	// Memory is what requests of all connections take together, in bytes.
	Memory int64
	Logger *slog.Logger
}

// NBD exports volumes over NBD. It is bound first, and started when there is a core.
type NBD struct {
	opts    Options
	tls     *tls.Config // nil for none
	server  *nbd.Server // nil before Start
	volumes Volumes
}

// BindNBD reads the files that o names and takes the address. It needs no state
// folder, so that what it refuses has not made one.
func BindNBD(o Options) (*NBD, net.Listener, error) {
	config, err := o.config()
	if err != nil {
		return nil, nil, err
	}
	n := &NBD{opts: o, tls: config}
	l, err := nbd.Bind(n.options(nil))
	if err != nil {
		return nil, nil, err
	}
	return n, l, nil
}

func (n *NBD) options(l *net.TCPListener) nbd.Options {
	return nbd.Options{
		Listen: n.opts.Listen, Listener: l, TLS: n.tls, Insecure: n.opts.Insecure,
		Logger: n.opts.Logger, Memory: n.opts.Memory,
	}
}

// Start begins to serve the volumes of c on l, which BindNBD returned, and returns at
// once. cert is that of the server.
func (n *NBD) Start(l net.Listener, c *core.Core, cert tls.Certificate) (err error) {
	n.volumes = Volumes{Arrays: c.Arrays, Attached: c.Attached}
	switch {
	case n.opts.HostTLS:
		n.volumes.Access = c.Access.May
		n.tls, err = c.Access.TLS(n.opts.Names)
	case n.tls != nil && n.tls.Certificates == nil:
		n.tls.Certificates = []tls.Certificate{cert}
	}
	if err != nil {
		return err
	}
	if n.server, err = nbd.New(n.options(l.(*net.TCPListener)), n.volumes); err != nil {
		return err
	}
	if n.opts.HostTLS {
		c.Access.Watch(n.recheck)
	}
	n.server.Start()
	return nil
}

// Stop takes no further clients and requests, and returns when those at work have
// ended; see nbd.Server.Stop.
func (n *NBD) Stop(ctx context.Context) error { return n.server.Stop(ctx) }

// recheck cuts off the clients whose access is no longer what it was.
func (n *NBD) recheck() {
	n.server.Recheck(func(peer nbd.Peer, export string, readOnly bool) bool {
		access, ok := n.volumes.of(peer, arrayclient.Serial(export))
		return ok && access.ReadOnly == readOnly
	})
}

// config returns nil where no option asks for TLS. What comes from the state folder
// is still lacking.
func (o Options) config() (*tls.Config, error) {
	if o.HostTLS {
		return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}, nil
	}
	if o.CertFile == "" && o.ClientCAFile == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CertFile != "" {
		pair, err := readKeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fault.New(fault.Usage, "cannot use the NBD certificate %s: %w",
				o.CertFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if path := o.ClientCAFile; path != "" {
		pem, err := userfile.ReadFile(path, maxPEM)
		if err != nil {
			return nil, fault.New(fault.Usage, "cannot read the authorities of NBD clients: %w", err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Usage, "no certificate in %s", path)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

// maxPEM is the largest file of certificates or keys in bytes.
const maxPEM = 4 << 20

func readKeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := userfile.ReadFile(certFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := userfile.ReadFile(keyFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}
