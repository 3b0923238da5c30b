//go:build lockorder

package lockorder

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"
)

// Checked tells whether this build checks the order.
const Checked = true

// taken is a lock that a goroutine holds or waits for.
type taken struct {
	rank    Rank
	writing bool
}

var (
	mu   sync.Mutex
	held = map[string][]taken{} // by goroutine
)

// goroutine returns what tells the calling goroutine from others.
func goroutine() string {
	var buf [64]byte
	line := buf[:runtime.Stack(buf[:], false)] // goroutine 18 [running]: ...
	return string(bytes.Fields(line)[1])
}

// note adds a lock to those of the goroutine. It panics when it is not in order, unless
// the lock was only tried: who does not wait cannot wait for ever.
func note[R Rank](writing, tried bool) {
	var rank R
	id := goroutine()
	mu.Lock()
	defer mu.Unlock()
	for _, h := range held[id] {
		_, many := Rank(rank).(Many)
		if same := h.rank == Rank(rank); same && many && writing && h.writing {
			continue
		}
		if h.rank.Place() >= rank.Place() && !tried {
			panic(fmt.Sprintf("lock order: %s is taken while %s is held", rank, h.rank))
		}
	}
	held[id] = append(held[id], taken{rank, writing})
}

func forget[R Rank](writing bool) {
	var rank R
	id := goroutine()
	mu.Lock()
	defer mu.Unlock()
	i := slices.Index(held[id], taken{rank, writing})
	if i < 0 {
		panic(fmt.Sprintf("lock order: %s is given back by a goroutine that does not hold it", rank))
	}
	if held[id] = slices.Delete(held[id], i, i+1); len(held[id]) == 0 {
		delete(held, id)
	}
}

// Mutex is a sync.Mutex of a rank.
type Mutex[R Rank] struct{ mu sync.Mutex }

// Lock locks m.
func (m *Mutex[R]) Lock() {
	note[R](true, false)
	m.mu.Lock()
}

// Unlock unlocks m.
func (m *Mutex[R]) Unlock() {
	m.mu.Unlock()
	forget[R](true)
}

// RWMutex is a sync.RWMutex of a rank.
type RWMutex[R Rank] struct{ mu sync.RWMutex }

// Lock locks m for writing.
func (m *RWMutex[R]) Lock() {
	note[R](true, false)
	m.mu.Lock()
}

// Unlock undoes a Lock.
func (m *RWMutex[R]) Unlock() {
	m.mu.Unlock()
	forget[R](true)
}

// RLock locks m for reading.
func (m *RWMutex[R]) RLock() {
	note[R](false, false)
	m.mu.RLock()
}

// RUnlock undoes an RLock.
func (m *RWMutex[R]) RUnlock() {
	m.mu.RUnlock()
	forget[R](false)
}

// TryRLock locks m for reading if that is possible at once.
func (m *RWMutex[R]) TryRLock() bool {
	ok := m.mu.TryRLock()
	if ok {
		note[R](false, true)
	}
	return ok
}

// Ranges is noted by what locks parts of something, and is no lock itself.
type Ranges[R Rank] struct{}

// Take is called before a part is locked.
func (Ranges[R]) Take() { note[R](true, false) }

// Release is called when a part was unlocked.
func (Ranges[R]) Release() { forget[R](true) }
