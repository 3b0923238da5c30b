package state

import (
	"errors"
	"os"
	"path/filepath"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/filelock"
)

// Lock keeps a second copyserver out of a state folder. The system
// drops it with the process, however that ends.
type Lock struct{ file *os.File }

func lockFolder(dir string) (*Lock, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.New(fault.Failed, "cannot lock the state folder: %w", err)
	}
	if err := filelock.Try(f); err != nil {
		f.Close()
		if errors.Is(err, filelock.ErrLocked) {
			return nil, fault.New(fault.Busy, "state folder %s is in use by another copyserver", dir).
				WithHint("stop that one, or give this one a folder of its own with --state")
		}
		return nil, fault.New(fault.Failed, "cannot lock %s: %w", path, err)
	}
	return &Lock{f}, nil
}

// Release gives the lock back; nil has none.
func (l *Lock) Release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}
