package secrets_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore/atomicfile"
)

func newAuthority(t *testing.T) (*secrets.Authority, string) {
	t.Helper()
	dir := t.TempDir()
	if secrets.HasAuthority(dir) {
		t.Fatal("an empty folder has an authority")
	}
	if err := secrets.CreateAuthority(atomicfile.OS(), dir); err != nil {
		t.Fatal(err)
	}
	a, err := secrets.OpenAuthority(dir)
	if err != nil || !secrets.HasAuthority(dir) {
		t.Fatal(err)
	}
	wantPrivate(t, filepath.Join(dir, secrets.KeyFile))
	return a, dir
}

func request(t *testing.T, kind string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	model := &x509.CertificateRequest{DNSNames: []string{"copyserver.example"}}
	der, err := x509.CreateCertificateRequest(rand.Reader, model, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

const requestType = "CERTIFICATE REQUEST"

// TestAuthorityIssues certificates that are good for what they are for, and
// for nothing else.
func TestAuthorityIssues(t *testing.T) {
	a, _ := newAuthority(t)
	server, err := a.Server([]string{"vault.example", "192.0.2.9"})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := a.Issue("rich-w2k-os-1", request(t, requestType))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(issued.PEM))
	host, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if host.Subject.CommonName != "rich-w2k-os-1" || host.DNSNames != nil || host.IsCA ||
		host.SerialNumber.Text(16) != issued.Serial || !host.NotAfter.Equal(issued.Expires) ||
		issued.Expires.Before(time.Now().AddDate(9, 0, 0)) {
		t.Errorf("issued %+v: %+v", issued, host.Subject)
	}
	for name, verify := range map[string]func(x509.VerifyOptions) error{
		"server": func(o x509.VerifyOptions) error {
			o.DNSName = "192.0.2.9"
			_, err := server.Leaf.Verify(o)
			return err
		},
		"host": func(o x509.VerifyOptions) error { _, err := host.Verify(o); return err },
	} {
		for usage, ok := range map[x509.ExtKeyUsage]bool{
			x509.ExtKeyUsageServerAuth: name == "server", x509.ExtKeyUsageClientAuth: name == "host",
		} {
			o := x509.VerifyOptions{Roots: a.Pool(), KeyUsages: []x509.ExtKeyUsage{usage}}
			if err := verify(o); (err == nil) != ok {
				t.Errorf("%s for usage %v: %v", name, usage, err)
			}
		}
	}
}

func TestAuthorityRefusesRequests(t *testing.T) {
	a, _ := newAuthority(t)
	good := request(t, requestType)
	body := strings.Split(good, "\n")
	body[2] = body[1]
	for name, text := range map[string]string{
		"empty": "", "other type": request(t, "CERTIFICATE"), "two": good + good,
		"long": good + strings.Repeat("\n", 20_000), "forged": strings.Join(body, "\n"),
	} {
		if _, err := a.Issue("h", text); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAuthorityThatIsNone(t *testing.T) {
	_, dir := newAuthority(t)
	pair := t.TempDir()
	if _, err := secrets.KeyPair(atomicfile.OS(), pair, []string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	_, other := newAuthority(t)
	key, err := os.ReadFile(filepath.Join(other, secrets.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, secrets.KeyFile), key, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"another's key": dir, "not an authority": pair, "nothing": t.TempDir(),
	} {
		_, err := secrets.OpenAuthority(dir)
		if err == nil || !strings.Contains(err.Error(), dir) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
