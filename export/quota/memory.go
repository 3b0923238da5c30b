// Package quota divides what a server has among its clients, so that none of
// them can take what another needs: memory, and places for connections.
//
// Both follow one rule: a client may hold as much as is left over for others,
// or a given part of that. The first to come may take much, each further one
// less, and something is left for the next. Nobody has to know how many there
// are, and a client that is alone is hardly limited.
package quota

import (
	"sync"
	"sync/atomic"
)

// Memory is bytes that accounts take and give back. Its methods may be called
// from many goroutines at once.
type Memory struct {
	size int64
	part int64
	used atomic.Int64

	mu     sync.Mutex
	owners map[string]*owner
}

// owner is who has accounts, one or many. It may hold as much as it leaves.
type owner struct {
	held     atomic.Int64
	accounts int // guarded by Memory.mu
}

// NewMemory returns a budget of size bytes. An account may hold one in so many, as
// part says, of the bytes that are left.
func NewMemory(size, part int64) *Memory {
	return &Memory{size: size, part: part, owners: make(map[string]*owner)}
}

// Used returns how many bytes are taken.
func (m *Memory) Used() int64 { return m.used.Load() }

// Account is what one connection has of a Memory. Its methods may be called
// from many goroutines at once.
type Account struct {
	memory *Memory
	name   string // of the owner
	owner  *owner
	held   atomic.Int64
}

// Open returns a new account of the owner with that name. Close it when all is
// given back.
func (m *Memory) Open(name string) *Account {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.owners[name]
	if o == nil {
		o = &owner{}
		m.owners[name] = o
	}
	o.accounts++
	return &Account{memory: m, name: name, owner: o}
}

// Close ends the account.
func (a *Account) Close() {
	m := a.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.owner.accounts--; a.owner.accounts == 0 {
		delete(m.owners, a.name)
	}
}

// Take takes n bytes if the account may have them. It never waits: who gets
// nothing has to do with less.
func (a *Account) Take(n int64) bool {
	m := a.memory
	left := m.size - m.used.Add(n)
	held, ofOwner := a.held.Add(n), a.owner.held.Add(n)
	if left >= 0 && held <= left/m.part && ofOwner <= left {
		return true
	}
	a.Give(n)
	return false
}

// Give gives back n of the bytes that were taken.
func (a *Account) Give(n int64) {
	a.held.Add(-n)
	a.owner.held.Add(-n)
	a.memory.used.Add(-n)
}
