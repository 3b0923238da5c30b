package nbd

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority issues certificates for a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	self := a.issue("test authority")
	a.cert, a.key = self.Leaf, self.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

// issue makes a certificate; the first one signs itself and then others.
func (a *authority) issue(name string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        a.cert == nil, BasicConstraintsValid: true,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// server is a configuration that demands client certificates.
func (a *authority) server() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{a.issue("server")},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: a.pool,
	}
}

// save writes the files that libnbd and QEMU look for in a folder.
func (a *authority) save(dir string) {
	a.t.Helper()
	cert := a.issue("client")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca-cert.pem":     {Type: "CERTIFICATE", Bytes: a.cert.Raw},
		"client-cert.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		"client-key.pem":  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// upgrade starts TLS on c.
func (c *client) upgrade(config *tls.Config) error {
	c.t.Helper()
	c.want(optStartTLS, nil, repAck)
	upgraded := tls.Client(c.nc, config)
	c.nc = upgraded
	return upgraded.Handshake()
}

func TestTLSIsRequiredWhenGiven(t *testing.T) {
	a := newAuthority(t)
	s := startServer(t, Options{TLS: a.server()}, one(newMemDevice(testSize)))
	c := dial(t, s, flagFixedNewstyle)
	c.want(optList, nil, repErrTLSReqd)
	c.want(optGo, infoData("20313698"), repErrTLSReqd)
	c.want(optStructuredReply, nil, repErrTLSReqd)
	c.want(99, nil, repErrTLSReqd)
	c.want(optStartTLS, []byte{1}, repErrInvalid)
	c.want(optAbort, nil, repAck)
	c.wantClosed()
	c = dial(t, s, flagFixedNewstyle)
	c.send(optionBytes(optExportName, []byte("20313698")))
	c.wantClosed()
}

func TestTLSCarriesData(t *testing.T) {
	a := newAuthority(t)
	d := newMemDevice(testSize)
	s := startServer(t, Options{TLS: a.server(), Listen: "0.0.0.0:0"}, one(d))
	c := dial(t, s, flagFixedNewstyle)
	config := &tls.Config{
		RootCAs: a.pool, ServerName: "localhost", Certificates: []tls.Certificate{a.issue("client")},
	}
	if err := c.upgrade(config); err != nil {
		t.Fatal(err)
	}
	c.want(optStartTLS, nil, repErrInvalid)
	c.want(optStructuredReply, nil, repAck)
	c.want(optGo, infoData("20313698"), repAck)
	data := pattern(1<<20, 3)
	if e := c.write(cmdFlagFUA, 1000, data); e != errnoNone {
		t.Fatal(e)
	}
	if got, _ := c.readPieces(0, 1000, 1<<20); !bytes.Equal(got, data) {
		t.Error("read over TLS differs")
	}
	c.request(cmdDisconnect, 0, 0, 0)
	c.wantClosed()
}

func TestTLSRefusesStrangers(t *testing.T) {
	a := newAuthority(t)
	s := startServer(t, Options{TLS: a.server()}, one(newMemDevice(testSize)))
	for name, certs := range map[string][]tls.Certificate{
		"no certificate":    nil,
		"another authority": {newAuthority(t).issue("client")},
	} {
		c := dial(t, s, flagFixedNewstyle)
		err := c.upgrade(&tls.Config{RootCAs: a.pool, ServerName: "localhost", Certificates: certs})
		if err == nil {
			// With TLS 1.3 a client learns of the refusal when it reads.
			_, err = c.nc.Read(make([]byte, 1))
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestTLSIgnoresEarlyPlaintext has options follow STARTTLS at once, as an
// attacker in between would inject them.
func TestTLSIgnoresEarlyPlaintext(t *testing.T) {
	a := newAuthority(t)
	s := startServer(t, Options{TLS: a.server()}, one(newMemDevice(testSize)))
	c := dial(t, s, flagFixedNewstyle)
	c.send(append(optionBytes(optStartTLS, nil), optionBytes(optList, nil)...))
	all := make([]byte, 100)
	n := 0
	for {
		m, err := c.nc.Read(all[n:])
		if n += m; err != nil {
			break
		}
	}
	if n > 20 {
		t.Errorf("%d bytes of replies", n)
	}
}

func TestTLSSilenceEnds(t *testing.T) {
	a := newAuthority(t)
	o := Options{TLS: a.server(), HandshakeTimeout: 100 * time.Millisecond}
	c := dial(t, startServer(t, o, one(newMemDevice(testSize))), flagFixedNewstyle)
	c.want(optStartTLS, nil, repAck)
	c.wantClosed()
}
