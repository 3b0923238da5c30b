package userfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/filelock"
)

// maxLinks is how many symbolic links one may lead to the next.
const maxLinks = 40

// End returns the file that path leads to through symbolic links. It need not be
// there. Whoever replaced the link instead would take the file out of the place
// where its owner keeps it.
func End(path string) (string, error) {
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil {
			// No link, or nothing at all: whoever opens it will see.
			return path, nil
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", fault.New(fault.Usage, "%s leads through too many symbolic links", path)
}

// Change replaces the text of the file at path by what change makes of it, in
// one step. No other Change of the file happens in between, in whatever process,
// so that none is lost. A missing file has no text, and is made, with its folder,
// for its owner only; with nil as its new text a file is removed. With an error
// of change nothing happens.
func Change(path string, limit int64, change func(old []byte) ([]byte, error)) error {
	path, err := End(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	unlock, err := lock(path)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := ReadFile(path, limit)
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text, err := change(old)
	switch {
	case err != nil:
		return err
	case int64(len(text)) > limit:
		return fmt.Errorf("%s: %w", path, tooLong(limit))
	case text != nil:
		return replace(path, text)
	case exists:
		return atomicfile.Remove(atomicfile.OS(), path)
	}
	return nil
}

// replace keeps mode and owner of the file: an administrator who changes a
// user's file must not lock the user out.
func replace(path string, text []byte) error {
	mode := fs.FileMode(0o600)
	before, err := os.Stat(path)
	if err == nil {
		mode = before.Mode().Perm()
	}
	p, err := atomicfile.Create(atomicfile.OS(), path, mode)
	if err != nil {
		return err
	}
	defer p.Abort()
	if f, ok := p.File().(*os.File); ok && before != nil {
		keepOwner(f, before)
	}
	if _, err := p.Write(text); err != nil {
		return err
	}
	return p.Commit()
}

// lockPatience is how long a change waits for others, each of which takes as long
// as a small file is written.
const lockPatience = 10 * time.Second

// lock takes the lock of the file at path, a file beside it, which is removed
// afterwards. Where the file system has no locks nothing keeps two changes apart.
func lock(path string) (unlock func(), err error) {
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
	for end := time.Now().Add(lockPatience); ; time.Sleep(5 * time.Millisecond) {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		err = filelock.Try(f)
		switch {
		case errors.Is(err, errors.ErrUnsupported), err == nil && isAt(f, name):
			return func() { release(f, name) }, nil
		case err == nil: // whoever had it has removed it
		case !errors.Is(err, filelock.ErrLocked):
			f.Close()
			return nil, fmt.Errorf("cannot lock %s: %w", name, err)
		}
		f.Close()
		if time.Now().After(end) {
			return nil, fault.New(fault.Busy, "%s is being changed by another command", path)
		}
	}
}

func isAt(f *os.File, name string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(name)
	return err == nil && os.SameFile(mine, now)
}

// release removes the file while it is locked, so that nobody removes one that
// another has locked. Windows does not remove an open file; there it stays.
func release(f *os.File, name string) {
	if runtime.GOOS != "windows" {
		_ = os.Remove(name)
	}
	f.Close()
}
