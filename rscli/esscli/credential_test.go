package esscli

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copyservices/copyserver/api"
	"copyservices/rscli/rsclitest"
)

// fakeIssuer answers with certificates that are none, and keeps the request.
func fakeIssuer(t *testing.T) (*rsclitest.Server, *api.CredentialRequest) {
	f := rsclitest.NewServer(t)
	got := new(api.CredentialRequest)
	f.Handle("POST /v1/credentials", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(got)
		rsclitest.SendJSON(w, http.StatusCreated, api.CredentialIssued{
			Credential:  api.Credential{Serial: "0a1b", Host: got.Host},
			Certificate: "the certificate\n", Authority: "the authority\n",
		})
	})
	return f, got
}

func TestCreateCredential(t *testing.T) {
	f, got := fakeIssuer(t)
	b := rsclitest.NewBench(t)
	dir := filepath.Join(b.Home, "pki", "vm1")
	args := []string{"create", "credential", "--host", "vm1", "--out", dir, "-s", f.Addr()}
	b.Expect(b.Run(New, append(args, "--json")...), 0)
	var doc credentialDocument
	b.Document(&doc)
	if doc.Serial != "0a1b" || doc.Folder != dir || len(doc.Files) != 3 || got.Host != "vm1" {
		t.Errorf("document %+v, request %+v", doc, got)
	}
	checkFile(t, filepath.Join(dir, "client-cert.pem"), []byte("the certificate\n"), 0o644)
	checkFile(t, filepath.Join(dir, "ca-cert.pem"), []byte("the authority\n"), 0o644)
	key, err := os.ReadFile(filepath.Join(dir, "client-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	checkFile(t, filepath.Join(dir, "client-key.pem"), key, 0o600)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	checkRequest(t, got.Request, key)

	// What is there is not replaced, and nothing is asked for.
	b.Expect(b.Run(New, args...), 2, "client-key.pem is there already", "hint: ")
	checkFile(t, filepath.Join(dir, "client-key.pem"), key, 0o600)
	if seen, _ := f.Requests(); len(seen) != 1 {
		t.Errorf("requests %q", seen)
	}
}

// checkRequest holds a certificate request against the key in PEM, which must
// not be in it.
func checkRequest(t *testing.T, request string, key []byte) {
	t.Helper()
	block, rest := pem.Decode(key)
	if block == nil || len(rest) > 0 || strings.Contains(request, "PRIVATE") {
		t.Fatalf("key %q, request %s", block, request)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	block, _ = pem.Decode([]byte(request))
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !private.(*ecdsa.PrivateKey).PublicKey.Equal(r.PublicKey) {
		t.Error("the request is for another key")
	}
}

func TestCredentialThatCannotBeWritten(t *testing.T) {
	f, _ := fakeIssuer(t)
	b := rsclitest.NewBench(t)
	file := b.Write("file", 0o600, "")
	b.Expect(b.Run(New, "create", "credential", "--host", "h", "--out", file, "-s", f.Addr()),
		1, "cannot make the folder")
	if seen, _ := f.Requests(); len(seen) != 0 {
		t.Errorf("requests %q", seen)
	}
	dir := filepath.Join(b.Home, "taken")
	if err := os.MkdirAll(filepath.Join(dir, "ca-cert.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.Expect(b.Run(New, "create", "credential", "--host", "h", "--out", dir, "-s", f.Addr()),
		1, "ca-cert.pem", "hint: revoke what is of no use now: esscli delete credential 0a1b\n")
	for _, host := range []string{"", "a:b", "a/b", ".."} {
		args := []string{"create", "credential", "--host", host, "-s", rsclitest.ClosedPort(t)}
		b.Expect(b.Run(New, args...), 2)
	}
}
