//go:build !lockorder

package lockorder

import "sync"

// Checked tells whether this build checks the order.
const Checked = false

// Mutex is a sync.Mutex of a rank.
type Mutex[R Rank] struct{ sync.Mutex }

// RWMutex is a sync.RWMutex of a rank.
type RWMutex[R Rank] struct{ sync.RWMutex }

// Ranges is noted by what locks parts of something, and is no lock itself.
type Ranges[R Rank] struct{}

// Take is called before a part is locked.
func (Ranges[R]) Take() {}

// Release is called when a part was unlocked.
func (Ranges[R]) Release() {}
