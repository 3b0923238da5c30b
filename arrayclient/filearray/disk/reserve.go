package disk

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"copyservices/arrayclient/fault"
)

// IsFull reports whether err says that there is no room left, on the disk or in a
// quota.
func IsFull(err error) bool {
	var number syscall.Errno
	if runtime.GOOS == "windows" && errors.As(err, &number) {
		return number == 39 || number == 112 // of winerror.h
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// FullError is the error of whatever a full disk refuses. NBD finds in its chain
// which kind of error it is.
func FullError(cause error) error {
	return fault.New(fault.Failed, "the disk under the state folder is full: %w", cause).
		WithHint("delete volumes or trim them, or free some space there otherwise")
}

// ReserveName is the file of the reserve.
const ReserveName = "reserve"

// maxReserve is the size of the reserve: twice that of a journal. On a small disk
// it is smaller.
const maxReserve = 16 << 20

// regainAfter is how often refilling the reserve is tried.
const regainAfter = time.Second

// Reserve is a file that keeps room for what the array has to write down on a
// full disk: that a relationship failed, that a volume is deleted, a checkpoint.
// When one of these finds no room the file is emptied. Until there is room to fill
// it again, what would take room for hosts' data is refused: it would soon use up
// what was given back.
type Reserve struct {
	// CopiesOnWrite is that of the FS.
	CopiesOnWrite bool

	fsys  FS
	given atomic.Bool // back to the file system: the file is empty

	mu    sync.Mutex
	file  File      // nil when it cannot be made
	size  int64     // when it is full
	retry time.Time // of filling it
}

// Open finds or makes the reserve. It is never an error not to have one.
func (r *Reserve) Open(fsys FS) {
	r.fsys, r.CopiesOnWrite, r.size = fsys, fsys.CopiesOnWrite(), maxReserve
	if capacity, _ := fsys.Space(); capacity > 0 {
		r.size = min(r.size, capacity/64)
	}
	f, err := fsys.Open(ReserveName)
	if IsNotExist(err) {
		f, err = fsys.Create(ReserveName)
	}
	if err == nil {
		r.file = f
	}
	r.given.Store(true)
	r.regain()
}

// Close closes the file; the reserve stays for the next opening.
func (r *Reserve) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

// Spend calls write, and again with the reserve given back when the disk was full.
func (r *Reserve) Spend(write func() error) error {
	err := write()
	if err != nil && IsFull(err) && r.Release() {
		err = write()
	}
	return err
}

// Release gives the reserve back to the file system and reports whether there was
// any.
func (r *Reserve) Release() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retry = time.Now().Add(regainAfter)
	if r.given.Swap(true) || r.file == nil {
		return false
	}
	// Some file systems give room back only with the next sync.
	return errors.Join(r.file.Truncate(0), r.file.Sync()) == nil
}

// regain fills the reserve again, unless that was tried just before, and reports
// whether it is full.
func (r *Reserve) regain() bool {
	if !r.given.Load() {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.given.Load() || r.file == nil {
		return r.file == nil // there was none to keep others from
	}
	if time.Now().Before(r.retry) {
		return false
	}
	r.retry = time.Now().Add(regainAfter)
	if r.file.Allocate(r.size) != nil {
		_ = r.file.Truncate(0) // what it got is needed
		return false
	}
	r.given.Store(false)
	return true
}

// Spent reports whether the reserve was given back and not filled again.
func (r *Reserve) Spent() bool { return r.given.Load() }

// Full reports whether there is a reserve to fall back on, and tries to fill it.
func (r *Reserve) Full() bool { return !r.given.Load() || r.regain() }

// Hope says that there may be room again.
func (r *Reserve) Hope() {
	if r.given.Load() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.retry = time.Time{}
	}
}
