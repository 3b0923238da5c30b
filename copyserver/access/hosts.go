package access

import (
	"crypto/tls"
	"sync"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore"
)

// Hosts tells what hosts may reach. A host shows a certificate that the authority
// signed and the store has on record, and reaches the volumes that are assigned to it.
// Its methods may be called from many goroutines.
type Hosts struct {
	Authority *secrets.Authority // of their credentials

	credentials taskstore.Collection[taskstore.Credential]
	assignments taskstore.Collection[taskstore.Assignment]

	mu       sync.Mutex
	watching []func()
}

// NewHosts returns the hosts that a store knows.
func NewHosts(store taskstore.Store, authority *secrets.Authority) *Hosts {
	return &Hosts{
		Authority: authority, credentials: store.Credentials(), assignments: store.Assignments(),
	}
}

// Credential returns the record of a certificate that is good, by its serial number in
// lower-case hex digits. One without a record is not: of its issue nobody was told.
func (h *Hosts) Credential(serial string) (taskstore.Credential, error) {
	record, err := h.credentials.Get(serial)
	if err != nil {
		return record, fault.New(fault.Denied, "the credential %s is not known", serial)
	}
	if !record.Revoked.IsZero() {
		return record, fault.New(fault.Denied, "the credential %s of host %s was revoked", serial, record.Host)
	}
	return record, nil
}

// May tells what the owner of a credential may do with a volume; ok is false
// where that is nothing.
func (h *Hosts) May(
	credential string, volume arrayclient.Serial,
) (access taskstore.HostAccess, ok bool) {
	record, err := h.Credential(credential)
	if err != nil {
		return access, false
	}
	a, err := h.assignments.Get(string(volume))
	if err != nil {
		return access, false
	}
	return a.Access(record.Host)
}

// TLS is the configuration of a server that demands a credential of every client. Its
// own certificate is for the names.
func (h *Hosts) TLS(names []string) (*tls.Config, error) {
	cert, err := h.Authority.Server(names)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: h.Authority.Pool(),
		// Unlike VerifyPeerCertificate it is called for resumed sessions too.
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.VerifiedChains) == 0 {
				return fault.New(fault.Denied, "no credential was shown")
			}
			_, err := h.Credential(state.VerifiedChains[0][0].SerialNumber.Text(16))
			return err
		},
	}, nil
}

// Watch has f called after every change that may have taken volumes from hosts which
// have them attached.
func (h *Hosts) Watch(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watching = append(h.watching, f)
}

// Changed tells those who watch.
func (h *Hosts) Changed() {
	h.mu.Lock()
	watching := h.watching
	h.mu.Unlock()
	for _, f := range watching {
		f()
	}
}
