package filearray

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"copyservices/arrayclient/fault"
)

// isFull reports whether err says that there is no room left, on the disk or in a
// quota.
func isFull(err error) bool {
	var number syscall.Errno
	if runtime.GOOS == "windows" && errors.As(err, &number) {
		return number == 39 || number == 112 // of winerror.h
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// errFull is the error of whatever a full disk refuses. NBD finds in its chain
// which kind of error it is.
func errFull(cause error) error {
	return fault.New(fault.Failed, "the disk under the state folder is full: %w", cause).
		WithHint("delete volumes or trim them, or free some space there otherwise")
}

// reserveName is a file that keeps room for what the array has to write down on a
// full disk: that a relationship failed, that a volume is deleted, a checkpoint.
// When one of these finds no room the file is emptied. Until there is room to fill
// it again, what would take room for hosts' data is refused: it would soon use up
// what was given back.
const reserveName = "reserve"

// maxReserve is the size of the reserve: twice that of a journal. On a small disk
// it is smaller.
const maxReserve = 16 << 20

// regainAfter is how often refilling the reserve is tried.
const regainAfter = time.Second

type reserve struct {
	fsys   FS
	copies bool        // of FS.CopiesOnWrite
	given  atomic.Bool // back to the file system: the file is empty

	mu    sync.Mutex
	file  File      // nil when it cannot be made
	size  int64     // when it is full
	retry time.Time // of filling it
}

// open finds or makes the reserve. It is never an error not to have one.
func (r *reserve) open(fsys FS) {
	r.fsys, r.copies, r.size = fsys, fsys.CopiesOnWrite(), maxReserve
	if capacity, _ := fsys.Space(); capacity > 0 {
		r.size = min(r.size, capacity/64)
	}
	f, err := fsys.Open(reserveName)
	if isNotExist(err) {
		f, err = fsys.Create(reserveName)
	}
	if err == nil {
		r.file = f
	}
	r.given.Store(true)
	r.regain()
}

func (r *reserve) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

// spend calls write, and again with the reserve given back when the disk was full.
func (r *reserve) spend(write func() error) error {
	err := write()
	if err != nil && isFull(err) && r.release() {
		err = write()
	}
	return err
}

// release gives the reserve back to the file system and reports whether there was
// any.
func (r *reserve) release() bool {
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
func (r *reserve) regain() bool {
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

// spent reports whether the reserve was given back and not filled again.
func (r *reserve) spent() bool { return r.given.Load() }

// full reports whether there is a reserve to fall back on, and tries to fill it.
func (r *reserve) full() bool { return !r.given.Load() || r.regain() }

// hope says that there may be room again.
func (r *reserve) hope() {
	if r.given.Load() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.retry = time.Time{}
	}
}
