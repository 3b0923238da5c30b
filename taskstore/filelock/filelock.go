// Package filelock locks open files against other processes. The system drops a
// lock with the process, however that ends.
package filelock

import "errors"

// ErrLocked is what Try returns when another process has the lock.
var ErrLocked = errors.New("locked by another process")
