package state

import (
	"slices"
	"testing"
)

func TestCertificateNames(t *testing.T) {
	for listen, want := range map[string]string{
		"192.0.2.9:1": "192.0.2.9", "vault.example:1": "vault.example", "[2001:db8::1]:1": "2001:db8::1",
		"0.0.0.0:1": "127.0.0.1", ":1": "::1", "bad name:1": "localhost",
	} {
		names := CertificateNames(listen)
		if !slices.Contains(names, want) || slices.Contains(names, "bad name") {
			t.Errorf("%s: %v", listen, names)
		}
	}
}
