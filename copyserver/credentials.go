package copyserver

import (
	"context"
	"crypto/tls"

	"copyservices/copyserver/state"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/export/nbd"
	"copyservices/taskstore"
)

// Who may attach what over NBD with TLS: a host shows a certificate that this
// server issued and has on record, and sees the volumes that are assigned to
// it. Both are asked for at each connection and each export; a change cuts off
// those whom it locks out.

// hostTLS demands a credential of every client.
func (s *Server) hostTLS() (*tls.Config, error) {
	cert, err := s.issuer.Server(state.CertificateNames(s.opts.NBDListen))
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: s.issuer.Pool(),
		// Unlike VerifyPeerCertificate it is called for resumed sessions too.
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.VerifiedChains) == 0 {
				return fault.New(fault.Denied, "no credential was shown")
			}
			_, err := s.credential(state.VerifiedChains[0][0].SerialNumber.Text(16))
			return err
		},
	}, nil
}

// credential returns the record of a certificate that is good. One without a
// record is not: of its issue nobody was told.
func (s *Server) credential(serial string) (taskstore.Credential, error) {
	c, err := s.store.Credentials().Get(serial)
	if err != nil {
		return c, fault.New(fault.Denied, "the credential %s is not known", serial)
	}
	if !c.Revoked.IsZero() {
		return c, fault.New(fault.Denied, "the credential %s of host %s was revoked", serial, c.Host)
	}
	return c, nil
}

// hostAccess tells what the owner of a credential may do with a volume.
func (s *Server) hostAccess(
	peer nbd.Peer, serial arrayclient.Serial,
) (taskstore.HostAccess, bool) {
	c, err := s.credential(peer.Serial)
	if err != nil {
		return taskstore.HostAccess{}, false
	}
	a, err := s.store.Assignments().Get(string(serial))
	if err != nil {
		return taskstore.HostAccess{}, false
	}
	return a.Access(c.Host)
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

// assign is the step that replaces the hosts which may attach a volume. The
// caller rechecks them when all is done.
func (s *Server) assign(serial arrayclient.Serial, hosts []taskstore.HostAccess) step {
	put := func(hosts []taskstore.HostAccess) error {
		if len(hosts) > 0 {
			return s.store.Assignments().Put(taskstore.Assignment{Volume: serial, Hosts: hosts})
		}
		err := s.store.Assignments().Delete(string(serial))
		if fault.KindOf(err) == fault.NotFound {
			return nil
		}
		return err
	}
	return func(context.Context) (undo, error) {
		old, err := s.store.Assignments().Get(string(serial))
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return nil, err
		}
		return func(context.Context) error { return put(old.Hosts) }, put(hosts)
	}
}

func (s *Server) listCredentials(*call) (answer, error) {
	all, err := s.store.Credentials().List()
	if err != nil {
		return answer{}, err
	}
	return ok(all)
}

// createCredential is keyed: repeated after a lost answer, it answers with the
// same certificate.
func (s *Server) createCredential(q *call) (answer, error) {
	var req api.CredentialRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.once(q, body, func() (act, error) {
		if err := taskstore.ValidHostName(req.Host); err != nil {
			return nil, err
		}
		issued, err := s.issuer.Issue(req.Host, req.Request)
		if err != nil {
			return nil, err
		}
		return func(context.Context) (answer, error) {
			c := taskstore.Credential{
				Serial: issued.Serial, Host: req.Host, Created: issued.Created, Expires: issued.Expires,
			}
			if err := s.store.Credentials().Create(c); err != nil {
				return answer{}, err
			}
			return created(api.CredentialIssued{
				Credential: c, Certificate: issued.PEM, Authority: s.issuer.PEM(),
			})
		}, nil
	})
}

// revokeCredential keeps the record: who had access, and until when, is worth
// knowing. To revoke again changes nothing.
func (s *Server) revokeCredential(q *call) (answer, error) {
	s.issuedMu.Lock()
	defer s.issuedMu.Unlock()
	c, err := s.store.Credentials().Get(q.PathValue("serial"))
	if err != nil {
		return answer{}, noSuch(err, "esscli list credential shows which there are")
	}
	if c.Revoked.IsZero() {
		c.Revoked = now()
		if err := s.store.Credentials().Put(c); err != nil {
			return answer{}, err
		}
	}
	s.recheckHosts()
	return done()
}
