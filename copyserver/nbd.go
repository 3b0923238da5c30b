package copyserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	"copyservices/copyserver/arrays"
	"copyservices/export"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/export/nbd"
	"copyservices/taskstore"
	"copyservices/taskstore/userfile"
)

// bindNBD reads the files that the options of NBD name and takes its address. It
// needs no state folder, so that what it refuses has not made one.
func (s *Server) bindNBD() error {
	if s.opts.NBDListen == NoNBD {
		return nil
	}
	config, err := s.nbdTLS()
	if err != nil {
		return err
	}
	s.nbdOptions = nbd.Options{
		Listen: s.opts.NBDListen, TLS: config, Insecure: s.opts.NBDInsecure, Logger: s.logger,
		Memory: s.opts.memory / nbdPart,
	}
	l, err := nbd.Bind(s.nbdOptions)
	if err != nil {
		return err
	}
	s.nbdOptions.Listener = l
	s.onStop("NBD listener", func(context.Context) error { return ignoreClosed(l.Close()) })
	return nil
}

// setUpNBD makes the NBD server, which serves after its Start.
func (s *Server) setUpNBD() error {
	if s.opts.NBDListen == NoNBD {
		return nil
	}
	var err error
	switch config := s.nbdOptions.TLS; {
	case s.opts.NBDTLS:
		s.nbdOptions.TLS, err = s.hostTLS()
	case config != nil && config.Certificates == nil:
		config.Certificates = []tls.Certificate{s.cert}
	}
	if err != nil {
		return err
	}
	if s.nbd, err = nbd.New(s.nbdOptions, s.exports()); err != nil {
		return err
	}
	s.onStop("NBD", s.nbd.Stop)
	return nil
}

// nbdTLS returns nil where no option asks for TLS. What comes from the state
// folder is still lacking.
func (s *Server) nbdTLS() (*tls.Config, error) {
	if s.opts.NBDTLS {
		return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}, nil
	}
	if s.opts.NBDTLSCert == "" && s.opts.NBDTLSClientCA == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.opts.NBDTLSCert != "" {
		pair, err := readKeyPair(s.opts.NBDTLSCert, s.opts.NBDTLSKey)
		if err != nil {
			return nil, fault.New(fault.Usage, "cannot use the NBD certificate %s: %w",
				s.opts.NBDTLSCert, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if path := s.opts.NBDTLSClientCA; path != "" {
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

// exports offers the volumes of all arrays that can be opened, each under its
// serial.
type exports struct {
	arrays   *arrays.Registry
	attached *export.Attachments
	// access tells what a client may do with a volume; nil: everything.
	access func(nbd.Peer, arrayclient.Serial) (taskstore.HostAccess, bool)
}

func (s *Server) exports() exports {
	if s.opts.NBDTLS {
		return exports{s.arrays, s.attached, s.hostAccess}
	}
	return exports{arrays: s.arrays, attached: s.attached}
}

func (e exports) of(
	peer nbd.Peer, serial arrayclient.Serial,
) (access taskstore.HostAccess, found bool) {
	if e.access == nil {
		return taskstore.HostAccess{}, true
	}
	return e.access(peer, serial)
}

// List returns the volumes ordered by array and serial.
func (e exports) List(ctx context.Context, peer nbd.Peer) ([]nbd.ExportInfo, error) {
	var out []nbd.ExportInfo
	for _, arr := range e.arrays.All() {
		if _, ok := arrayclient.As[arrayclient.Opener](arr); !ok {
			continue
		}
		all, err := arr.Volumes(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			if _, ok := e.of(peer, v.Serial); !ok {
				continue
			}
			out = append(out, nbd.ExportInfo{
				Name: string(v.Serial), Description: v.Label, Size: v.Size,
			})
		}
	}
	return out, nil
}

// Open returns the content of the volume whose serial is name, in upper case.
// To a client that may not use it, it is as if it were not there.
func (e exports) Open(
	ctx context.Context, peer nbd.Peer, name string,
) (arrayclient.VolumeIO, bool, error) {
	serial, err := arrayclient.ParseSerial(name)
	if err != nil || string(serial) != name {
		return nil, false, fault.New(fault.NotFound, "no volume %.64q", name)
	}
	access, ok := e.of(peer, serial)
	if !ok {
		return nil, false, noVolume(serial)
	}
	// Whoever changes the content sees the host before it can see the content.
	by := export.Attachment{Host: peer.Name, Credential: peer.Serial, ReadOnly: access.ReadOnly}
	if addr := nbd.ClientAddress(ctx); addr.IsValid() {
		by.Address = addr.String()
	}
	detach, err := e.attached.Attach(serial, by)
	if err != nil {
		return nil, false, err
	}
	v, err := e.arrays.Open(ctx, serial)
	if fault.KindOf(err) == fault.NotFound {
		err = noVolume(serial)
	}
	if err != nil {
		detach()
		return nil, false, err
	}
	return &attachedVolume{v, detach}, access.ReadOnly, nil
}

func noVolume(serial arrayclient.Serial) error {
	return fault.New(fault.NotFound, "no volume %s", serial)
}

// attachedVolume is a volume that a host has attached.
type attachedVolume struct {
	arrayclient.VolumeIO
	detach func()
}

// Close detaches the volume once it is closed.
func (v *attachedVolume) Close() error {
	defer v.detach()
	return v.VolumeIO.Close()
}
