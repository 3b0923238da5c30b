package core_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/core"
	"copyservices/taskstore"
)

// certificateRequest is one of a new key.
func certificateRequest(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// issue makes a credential for a host.
func (w *world) issue(host string) core.Issued {
	w.Helper()
	issued, err := finish(w.IssueCredential(admin, host, certificateRequest(w.T)))
	must(w.T, err)
	return issued
}

func TestIssueCredential(t *testing.T) {
	w := newWorldWithoutArray(t)
	issued := w.issue("vm")
	block, _ := pem.Decode([]byte(issued.Certificate))
	cert, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	chain := x509.VerifyOptions{Roots: w.Access.Authority.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := cert.Verify(chain); err != nil || cert.Subject.CommonName != "vm" ||
		cert.SerialNumber.Text(16) != issued.Serial || issued.Authority != w.Access.Authority.PEM() {
		t.Errorf("issued %+v, %v", issued, err)
	}
	all, err := w.Credentials(admin)
	if err != nil || len(all) != 1 || all[0] != issued.Credential || all[0].Host != "vm" {
		t.Errorf("credentials %+v, %v", all, err)
	}
	if record, err := w.Access.Credential(issued.Serial); err != nil || record != issued.Credential {
		t.Errorf("credential %+v, %v", record, err)
	}
}

func TestCredentialsThatCannotBeIssued(t *testing.T) {
	w := newWorldWithoutArray(t)
	good := certificateRequest(t)
	for _, c := range []struct{ host, request, text string }{
		{"a:b", good, "name of a host has no ':'"},
		{"", good, "a host needs a name"},
		{"vm", "", "the certificate request cannot be used"},
		{"vm", good + good, "the certificate request cannot be used"},
		{"vm", strings.Repeat(good, 100), "the certificate request cannot be used: it is too long"},
	} {
		w.refused(fault.Usage, c.text, "", func() error {
			return failed(w.IssueCredential(admin, c.host, c.request))
		})
	}
}

func TestRevokedCredential(t *testing.T) {
	w := newWorldWithoutArray(t)
	revoked, good := w.issue("vm"), w.issue("vm")
	must(t, w.RevokeCredential(admin, revoked.Serial))
	if w.reassigned != 1 {
		t.Error("the hosts that have volumes attached were not looked at again")
	}
	record, err := w.Access.Credential(revoked.Serial)
	wantFault(t, err, fault.Denied, "of host vm was revoked", "")
	must(t, w.RevokeCredential(admin, revoked.Serial))
	all, err := w.Credentials(admin)
	if err != nil || len(all) != 2 || record.Revoked.IsZero() || all[0] != record && all[1] != record {
		t.Errorf("after a second time %+v, %v; before %+v", all, err, record)
	}
	must(t, failed(w.Access.Credential(good.Serial)))
	must(t, w.Store.Credentials().Delete(good.Serial))
	wantFault(t, failed(w.Access.Credential(good.Serial)), fault.Denied, "is not known", "")
	w.refused(fault.NotFound, "no credential named", "esscli list credential", func() error {
		return w.RevokeCredential(admin, good.Serial)
	})
}

// TestHostAccess is what the host of a good credential has of a volume that is
// assigned to it.
func TestHostAccess(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(2)
	vm, other, revoked := w.issue("vm").Serial, w.issue("other").Serial, w.issue("vm").Serial
	must(t, w.RevokeCredential(admin, revoked))
	w.change(v[0], core.VolumeChange{Assigned: &[]taskstore.HostAccess{
		{Host: "VM"}, {Host: "other", ReadOnly: true},
	}})
	if access, ok := w.Access.May(vm, v[0]); !ok || access.ReadOnly {
		t.Errorf("vm has %+v, %t", access, ok)
	}
	if access, ok := w.Access.May(other, v[0]); !ok || !access.ReadOnly {
		t.Errorf("other has %+v, %t", access, ok)
	}
	for _, credential := range []string{revoked, "", "1234"} {
		if access, ok := w.Access.May(credential, v[0]); ok {
			t.Errorf("credential %q has %+v", credential, access)
		}
	}
	if access, ok := w.Access.May(vm, v[1]); ok {
		t.Errorf("of a volume for nobody vm has %+v", access)
	}
	w.change(v[0], core.VolumeChange{Assigned: hostsOf("other")})
	if access, ok := w.Access.May(vm, v[0]); ok {
		t.Errorf("of a volume of another vm has %+v", access)
	}
}
