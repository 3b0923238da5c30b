package secrets

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/atomicfile"
)

// The files of a key pair in its folder. CertFile may be given to clients as
// their --cacert.
const (
	CertFile = "cert.pem"
	KeyFile  = "key.pem"
)

const (
	certMode = 0o644
	// validYears: clients pin the certificate, so a new one means work on
	// every host.
	validYears = 30
	// backdate covers hosts whose clocks are behind.
	backdate = 24 * time.Hour
)

// KeyPair loads the key pair in the folder dir, which must exist, and creates
// it for the given names when there is no certificate. Names are host names
// and IP addresses.
func KeyPair(fsys atomicfile.FS, dir string, names []string) (tls.Certificate, error) {
	cert, key := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	// The certificate is written last: where it is, the key is.
	if _, err := os.Stat(cert); errors.Is(err, fs.ErrNotExist) {
		t, err := template(names)
		if err == nil {
			err = writeKeyPair(fsys, cert, key, t)
		}
		if err != nil {
			return tls.Certificate{}, err
		}
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return pair, fault.New(fault.Failed, "cannot use the certificate %s with the key %s: %w",
			cert, key, err).
			WithHint("restore both, or move both away for new ones that every client must trust anew")
	}
	return pair, nil
}

// Fingerprint returns the SHA-256 of the certificate as clients pin it.
func Fingerprint(cert tls.Certificate) string {
	sum := sha256.Sum256(cert.Certificate[0])
	return "sha256:" + hex.EncodeToString(sum[:])
}

// writeKeyPair makes a key and the certificate of template, which it signs
// itself.
func writeKeyPair(
	fsys atomicfile.FS, certPath, keyPath string, template *x509.Certificate,
) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fault.New(fault.Failed, "cannot create a TLS key: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fault.New(fault.Failed, "cannot encode the TLS key: %w", err)
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fault.New(fault.Failed, "cannot create the TLS certificate: %w", err)
	}
	if err := writePEM(fsys, keyPath, "PRIVATE KEY", keyDER, privateMode); err != nil {
		return err
	}
	return writePEM(fsys, certPath, "CERTIFICATE", certDER, certMode)
}

func template(names []string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot choose a serial number: %w", err)
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "copyserver"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.AddDate(validYears, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	return t, nil
}

func writePEM(fsys atomicfile.FS, path, kind string, der []byte, mode fs.FileMode) error {
	return atomicfile.Write(fsys, path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
