package secrets_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore/atomicfile"
)

func TestSecretIsMasked(t *testing.T) {
	type config struct{ Password secrets.Secret }
	c := config{"hunter2"}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q %v", c, c, c, c.Password, c.Password, &c)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "password", c.Password, "config", c)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "password", c.Password, "config", c)
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		data, err := marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(data)
	}
	if strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "***") {
		t.Errorf("printed %s", out.String())
	}
}

func newBox(t *testing.T) (*secrets.Box, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret.key")
	if err := secrets.CreateKey(atomicfile.OS(), path); err != nil {
		t.Fatal(err)
	}
	box, err := secrets.OpenBox(path)
	if err != nil {
		t.Fatal(err)
	}
	return box, path
}

func TestBox(t *testing.T) {
	box, path := newBox(t)
	wantPrivate(t, path)
	sealed := box.Seal("ess/10.0.0.5", "passw0rd")
	if sealed == box.Seal("ess/10.0.0.5", "passw0rd") {
		t.Error("sealed twice the same")
	}
	again, err := secrets.OpenBox(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open("ess/10.0.0.5", sealed); got != "passw0rd" || err != nil {
		t.Errorf("opened %q, %v", string(got), err)
	}
	other, _ := newBox(t)
	last := sealed[:len(sealed)-2] + "AA"
	for name, open := range map[string]func() (secrets.Secret, error){
		"other label": func() (secrets.Secret, error) { return box.Open("ess/10.0.0.6", sealed) },
		"other key":   func() (secrets.Secret, error) { return other.Open("ess/10.0.0.5", sealed) },
		"changed":     func() (secrets.Secret, error) { return box.Open("ess/10.0.0.5", last) },
		"short":       func() (secrets.Secret, error) { return box.Open("ess/10.0.0.5", "x1:AAAA") },
		"clear text":  func() (secrets.Secret, error) { return box.Open("ess/10.0.0.5", "passw0rd") },
	} {
		if got, err := open(); got != "" || fault.KindOf(err) != fault.Server {
			t.Errorf("%s: opened %q, %v", name, string(got), err)
		}
	}
}

func TestBadKeyFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	if _, err := secrets.OpenBox(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(path, []byte("copyservices-key-1 00ff\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.OpenBox(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("short: %v", err)
	}
}

func TestKeyPair(t *testing.T) {
	dir := t.TempDir()
	names := []string{"localhost", "127.0.0.1", "::1", "vault.example"}
	pair, err := secrets.KeyPair(atomicfile.OS(), dir, names)
	if err != nil {
		t.Fatal(err)
	}
	wantPrivate(t, filepath.Join(dir, secrets.KeyFile))
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	for _, name := range names {
		opts := x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: time.Now().AddDate(25, 0, 0)}
		if _, err := cert.Verify(opts); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	again, err := secrets.KeyPair(atomicfile.OS(), dir, nil)
	if err != nil || secrets.Fingerprint(again) != secrets.Fingerprint(pair) {
		t.Errorf("the second start has %s, %v; want %s", secrets.Fingerprint(again), err,
			secrets.Fingerprint(pair))
	}
}

func TestHalfAKeyPair(t *testing.T) {
	dir := t.TempDir()
	if _, err := secrets.KeyPair(atomicfile.OS(), dir, nil); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, secrets.KeyFile)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.KeyPair(atomicfile.OS(), dir, nil); err == nil ||
		!strings.Contains(err.Error(), key) || fault.HintOf(err) == "" {
		t.Errorf("without its key: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, secrets.CertFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.KeyPair(atomicfile.OS(), dir, nil); err != nil {
		t.Errorf("after a crash before the certificate: %v", err)
	}
}

func wantPrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%s: %v, %v; want mode 0600", path, info.Mode(), err)
	}
}
