package secrets

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/atomicfile"
)

// Box seals short texts with the key of a file (XChaCha20-Poly1305). A text
// sealed for one label does not open for another.
type Box struct{ aead cipher.AEAD }

const (
	keyMagic    = "copyservices-key-1 "
	sealedMagic = "x1:"
	privateMode = 0o600
)

// CreateKey writes a new random key to the file at path.
func CreateKey(fsys atomicfile.FS, path string) error {
	key := make([]byte, chacha20poly1305.KeySize)
	rand.Read(key) // never fails, see its documentation
	text := keyMagic + hex.EncodeToString(key) + "\n"
	return atomicfile.Write(fsys, path, []byte(text), privateMode)
}

// OpenBox reads the key of the file at path. Errors name the file.
func OpenBox(path string) (*Box, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot read the key of the stored passwords: %w", err).
			WithHint("restore the file from a backup of the state folder")
	}
	digits, ok := strings.CutPrefix(strings.TrimSpace(string(text)), keyMagic)
	key, err := hex.DecodeString(digits)
	if !ok || err != nil || len(key) != chacha20poly1305.KeySize {
		return nil, fault.New(fault.Failed, "%s holds no key of copyserver's", path).
			WithHint("restore the file from a backup of the state folder")
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return &Box{aead}, nil
}

// Seal returns text encrypted for label.
func (b *Box) Seal(label string, text Secret) string {
	nonce := make([]byte, b.aead.NonceSize(), b.aead.NonceSize()+len(text)+b.aead.Overhead())
	rand.Read(nonce) // never fails, see its documentation
	sealed := b.aead.Seal(nonce, nonce, []byte(text), []byte(label))
	return sealedMagic + base64.RawStdEncoding.EncodeToString(sealed)
}

// Open returns what was sealed for label. The error is of kind Server.
func (b *Box) Open(label, sealed string) (Secret, error) {
	bad := fault.New(fault.Server, "the stored password of %s cannot be opened", label).
		WithHint("set it anew with setdevice")
	digits, ok := strings.CutPrefix(sealed, sealedMagic)
	data, err := base64.RawStdEncoding.DecodeString(digits)
	if !ok || err != nil || len(data) < b.aead.NonceSize() {
		return "", bad
	}
	nonce, data := data[:b.aead.NonceSize()], data[b.aead.NonceSize():]
	text, err := b.aead.Open(nil, nonce, data, []byte(label))
	if err != nil {
		return "", bad
	}
	return Secret(text), nil
}
