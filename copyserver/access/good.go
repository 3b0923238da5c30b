package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"copyservices/taskstore"
)

// goodFor is how long a password that was right once is taken without paying
// for its hash again.
const goodFor = 10 * time.Minute

// good remembers the last good password of each user as a keyed hash: in
// memory only, under a key of this process, so that what leaks of a
// stopped process is of no use against the stored hashes.
type good struct {
	key [32]byte

	mu    sync.Mutex
	users map[string]proof // by taskstore.Key of the name
}

type proof struct {
	mac   [sha256.Size]byte
	until time.Time
}

func newGood() *good {
	g := &good{users: map[string]proof{}}
	rand.Read(g.key[:]) // never fails, see its documentation
	return g
}

// mac covers the stored hash too: a proof dies with the password it is for.
func (g *good) mac(user taskstore.User, password string) [sha256.Size]byte {
	h := hmac.New(sha256.New, g.key[:])
	for _, part := range []string{taskstore.Key(user.Name), user.Hash, password} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (g *good) has(user taskstore.User, password string) bool {
	mac := g.mac(user, password)
	g.mu.Lock()
	p, ok := g.users[taskstore.Key(user.Name)]
	g.mu.Unlock()
	return ok && hmac.Equal(p.mac[:], mac[:]) && time.Now().Before(p.until)
}

func (g *good) add(user taskstore.User, password string) {
	p := proof{g.mac(user, password), time.Now().Add(goodFor)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users[taskstore.Key(user.Name)] = p
}

func (g *good) forget(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.users, taskstore.Key(name))
}
