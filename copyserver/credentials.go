package copyserver

import (
	"crypto/tls"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/state"
	"copyservices/export/nbd"
	"copyservices/taskstore"
)

// Who may attach what over NBD with TLS: a host shows a certificate that this
// server issued and has on record, and sees the volumes that are assigned to
// it. Both are asked for at each connection and each export; a change cuts off
// those whom it locks out.

// hostTLS demands a credential of every client.
func (s *Server) hostTLS() (*tls.Config, error) {
	cert, err := s.core.Issuer.Server(state.CertificateNames(s.opts.NBDListen))
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: s.core.Issuer.Pool(),
		// Unlike VerifyPeerCertificate it is called for resumed sessions too.
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.VerifiedChains) == 0 {
				return fault.New(fault.Denied, "no credential was shown")
			}
			_, err := s.core.Credential(state.VerifiedChains[0][0].SerialNumber.Text(16))
			return err
		},
	}, nil
}

// hostAccess tells what the owner of a credential may do with a volume.
func (s *Server) hostAccess(
	peer nbd.Peer, serial arrayclient.Serial,
) (taskstore.HostAccess, bool) {
	return s.core.HostAccess(peer.Serial, serial)
}

// recheckHosts cuts off the clients whose access is no longer what it was.
func (s *Server) recheckHosts() {
	if s.nbd == nil || !s.opts.NBDTLS {
		return
	}
	s.nbd.Recheck(func(peer nbd.Peer, export string, readOnly bool) bool {
		access, ok := s.hostAccess(peer, arrayclient.Serial(export))
		return ok && access.ReadOnly == readOnly
	})
}
