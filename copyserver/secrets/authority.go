package secrets

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/atomicfile"
)

// Authority issues the certificates by which NBD clients and this server know
// each other. Its methods may be called from many goroutines.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// hostYears is how long a host's certificate is good, if it is not revoked.
const hostYears = 10

// CreateAuthority makes the key pair of a new authority in the folder dir,
// which must exist.
func CreateAuthority(fsys atomicfile.FS, dir string) error {
	t, err := template(nil)
	if err != nil {
		return err
	}
	t.Subject = pkix.Name{CommonName: "copyserver NBD authority"}
	t.IsCA, t.MaxPathLenZero = true, true
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
	return writeKeyPair(fsys, filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile), t)
}

// HasAuthority reports whether there is one in the folder dir, whole or not.
func HasAuthority(dir string) bool {
	// The certificate is written last: without it nothing was ever signed.
	_, err := os.Stat(filepath.Join(dir, CertFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// OpenAuthority loads the authority in the folder dir. Errors name the files.
func OpenAuthority(dir string) (*Authority, error) {
	cert, key := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot use the authority %s with the key %s: %w",
			cert, key, err).
			WithHint("restore both from a backup of the state folder")
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fault.New(fault.Failed, "%s is no certificate of an authority", cert).
			WithHint("restore it from a backup of the state folder")
	}
	return &Authority{pair.Leaf, signer}, nil
}

// Pool holds the authority's certificate alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// PEM returns the authority's certificate, by which clients know the server.
func (a *Authority) PEM() string { return certPEM(a.cert.Raw) }

// Server returns a new certificate for this server under names, with its key.
func (a *Authority) Server(names []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fault.New(fault.Failed, "cannot create a TLS key: %w", err)
	}
	t, err := template(names)
	if err != nil {
		return tls.Certificate{}, err
	}
	t.NotAfter = a.cert.NotAfter
	cert, err := a.sign(t, key.Public())
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

// Issued is a certificate for a host.
type Issued struct {
	Serial           string // in lower-case hex digits
	Created, Expires time.Time
	PEM              string
}

// maxRequest is the largest certificate request in bytes.
const maxRequest = 16 << 10

// Issue signs a certificate for host with the key of request, a PKCS #10
// certificate request in PEM. What else the request says is not looked at. The
// error is of kind Usage for a request that is none.
func (a *Authority) Issue(host, request string) (Issued, error) {
	public, err := publicKey(request)
	if err != nil {
		return Issued{}, fault.New(fault.Usage, "the certificate request cannot be used: %w", err)
	}
	t, err := template(nil)
	if err != nil {
		return Issued{}, err
	}
	t.Subject = pkix.Name{CommonName: host}
	t.NotAfter = time.Now().AddDate(hostYears, 0, 0)
	if a.cert.NotAfter.Before(t.NotAfter) {
		t.NotAfter = a.cert.NotAfter
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	cert, err := a.sign(t, public)
	if err != nil {
		return Issued{}, err
	}
	return Issued{
		Serial: cert.SerialNumber.Text(16), Created: time.Now().UTC(), Expires: cert.NotAfter.UTC(),
		PEM: certPEM(cert.Raw),
	}, nil
}

// publicKey returns the key of a request whose sender has the private one.
func publicKey(request string) (crypto.PublicKey, error) {
	if len(request) > maxRequest {
		return nil, errors.New("it is too long")
	}
	block, rest := pem.Decode([]byte(request))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it is not one PEM block of that type")
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return r.PublicKey, r.CheckSignature()
}

// sign lets the certificate also encrypt keys, which older versions of QEMU
// demand of every certificate.
func (a *Authority) sign(t *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	t.KeyUsage |= x509.KeyUsageKeyEncipherment
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, public, a.key)
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot sign a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func certPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
