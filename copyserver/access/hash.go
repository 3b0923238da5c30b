package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/netip"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"

	"copyservices/arrayclient/fault"
)

// Cost is what one password hash takes.
type Cost struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultCost is the OWASP Password Storage Cheat Sheet's second choice for
// argon2id: 19 MiB, two passes, one thread.
func DefaultCost() Cost { return Cost{Memory: 19 << 10, Time: 2, Threads: 1} }

const (
	saltSize = 16
	hashSize = 32
	// Bounds on what a stored hash may ask for.
	maxMemory = 1 << 20 // KiB
	maxTime   = 64
	// maxAtOnce bounds the memory that hashes take together.
	maxAtOnce = 4
)

// hasher hashes passwords, a few at a time.
type hasher struct {
	cost Cost
	*line
}

// newHasher leaves half of the processors to those who are known already.
func newHasher(cost Cost) *hasher {
	return &hasher{cost, newLine(min(maxAtOnce, max(1, runtime.GOMAXPROCS(0)/2)))}
}

// hash returns the PHC string of password with a new salt.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx, netip.Addr{}); err != nil {
		return "", err
	}
	defer h.leave()
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails, see its documentation
	return phc{h.cost, salt, derive(password, salt, h.cost, hashSize)}.String(), nil
}

// decoy is a hash no password has, to spend on users that do not exist what
// a real check costs.
func (h *hasher) decoy() string {
	return phc{h.cost, make([]byte, saltSize), make([]byte, hashSize)}.String()
}

// verify reports whether stored is a hash of password. The caller holds a
// slot.
func verify(stored, password string) (bool, error) {
	p, err := parsePHC(stored)
	if err != nil {
		return false, err
	}
	got := derive(password, p.salt, p.cost, len(p.sum))
	return subtle.ConstantTimeCompare(got, p.sum) == 1, nil
}

func derive(password string, salt []byte, c Cost, size int) []byte {
	return argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, uint32(size))
}

// phc is a hash in the PHC string format (github.com/P-H-C/phc-string-format):
// $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH
type phc struct {
	cost Cost
	salt []byte
	sum  []byte
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.cost.Memory, p.cost.Time, p.cost.Threads,
		b64.EncodeToString(p.salt), b64.EncodeToString(p.sum))
}

// parsePHC does not repeat s in its error: it would end up in logs.
func parsePHC(s string) (phc, error) {
	var p phc
	var version int
	bad := fault.New(fault.Server, "a stored password hash cannot be read")
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return p, bad
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return p, bad
	}
	_, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.cost.Memory, &p.cost.Time, &p.cost.Threads)
	if err != nil || !p.cost.sane() {
		return p, bad
	}
	var saltErr, sumErr error
	p.salt, saltErr = base64.RawStdEncoding.DecodeString(parts[4])
	p.sum, sumErr = base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || sumErr != nil || len(p.sum) < saltSize {
		return p, bad
	}
	return p, nil
}

func (c Cost) sane() bool {
	return c.Memory <= maxMemory && c.Time >= 1 && c.Time <= maxTime && c.Threads >= 1
}
