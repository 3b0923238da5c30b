package secrets

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
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
	"copyservices/taskstore/notation"
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
	return notation.Fingerprint(cert.Certificate[0])
}

// PinnedTo returns the configuration of a client that trusts the one certificate with
// that fingerprint. Of another one the error is of kind Connection.
func PinnedTo(fingerprint string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(state tls.ConnectionState) error {
			if got := notation.Fingerprint(state.PeerCertificates[0].Raw); got != fingerprint {
				return fault.New(fault.Connection, "its certificate has the fingerprint %s, not %s", got, fingerprint)
			}
			return nil
		},
	}
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
