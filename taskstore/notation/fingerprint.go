package notation

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"copyservices/arrayclient/fault"
)

// Fingerprint returns how the fingerprint of a certificate is written: sha256: and
// the digits of the SHA-256 of its DER form.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// fingerprintName is what stands in front of the digits: "sha256:", or as openssl
// writes it.
var fingerprintName = regexp.MustCompile(`^(?i:sha-?256)(?: *(?i:fingerprint))?[:= ] *`)

// ParseFingerprint reads a SHA-256 fingerprint as Fingerprint, openssl, browsers
// and certutil write it, with or without a name in front, with or without
// colons, in either case, and returns it as Fingerprint does.
func ParseFingerprint(s string) (string, error) {
	digits := s[len(fingerprintName.FindString(s)):]
	digits = strings.NewReplacer(":", "", " ", "").Replace(digits)
	sum, err := hex.DecodeString(digits)
	if err != nil || len(sum) != sha256.Size {
		return "", fault.New(fault.Usage, "%.120q is not the SHA-256 fingerprint of a certificate", s).
			WithHint("it is sha256: and 64 hex digits, as rsTestConnection --trust prints it")
	}
	return "sha256:" + strings.ToLower(digits), nil
}
