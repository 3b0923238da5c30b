package remote_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver"
	"copyservices/copyserver/access"
	"copyservices/copyserver/api"
)

// admin is a client of the other server.
func (f *far) admin() *api.Client {
	f.t.Helper()
	config := f.config()
	c := api.New(api.Options{
		Servers: config.Servers, User: access.DefaultUser, Password: access.DefaultPassword, TLS: config.TLS,
	})
	f.t.Cleanup(c.Close)
	return c
}

// credential is the configuration of a host that the other server let in.
func (f *far) credential(host string) *tls.Config {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(f.t, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	must(f.t, err)
	issued, err := f.admin().CreateCredential(f.t.Context(), api.CredentialRequest{
		Host:    host,
		Request: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})),
	})
	must(f.t, err)
	block, _ := pem.Decode([]byte(issued.Certificate))
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(issued.Authority)) {
		f.t.Fatal("no certificate of the authority")
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{{
		Certificate: [][]byte{block.Bytes}, PrivateKey: key,
	}}}
}

// TestContentWithACredential: over TLS the other server gives its host the volumes that
// are assigned to that.
func TestContentWithACredential(t *testing.T) {
	t.Parallel()
	f := startFar(t, func(o *copyserver.Options) { o.NBDTLS = true })
	config := f.config()
	config.NBDTLS = f.credential("near")
	a := open(t, config)
	v := create(t, a, 2)
	_, err := f.admin().ChangeVolume(t.Context(), v[0], api.VolumeChange{
		Assigned: &[]api.HostAccess{{Host: "near"}},
	})
	must(t, err)
	disk := openVolume(t, a, v[0])
	data := bytes.Repeat([]byte{5}, size)
	_, err = disk.WriteAt(data, 0)
	must(t, err)
	must(t, disk.Flush())
	got := make([]byte, size)
	_, err = disk.ReadAt(got, 0)
	must(t, err)
	if !bytes.Equal(got, data) {
		t.Error("the content is another")
	}
	openOne := func(a arrayclient.Array, serial arrayclient.Serial) error {
		opener, _ := arrayclient.As[arrayclient.Opener](a)
		_, err := opener.OpenVolume(context.Background(), serial)
		return err
	}
	wantFault(t, openOne(a, v[1]), fault.NotFound, "no volume "+string(v[1]))

	config.NBDTLS = nil
	wantFault(t, openOne(open(t, config), v[0]), fault.Denied, "wants TLS and a credential")
	config.NBDTLS = f.credential("near")
	config.NBDTLS.Certificates = nil
	wantFault(t, openOne(open(t, config), v[0]), fault.Denied, "refuses the credential")
	config.NBDTLS.RootCAs = x509.NewCertPool()
	wantFault(t, openOne(open(t, config), v[0]), fault.Connection, "certificate", "is not accepted")
}
