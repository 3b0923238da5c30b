// Package atomicfile replaces files so that a crash or a power loss at any
// instant leaves the old file or the new one, whole. It is the only way in
// which the suite writes a file that it will read again.
//
// The steps are those that every such function needs and few have: a
// temporary file in the same folder, write, fsync, rename, fsync of the
// folder. Errors are of kind fault.Failed; a full disk names the folder.
package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"copyservices/arrayclient/fault"
)

// tempPrefix begins the name of every temporary file. Clean goes by it.
const tempPrefix = ".tmp-"

// ErrUnsure is in the chain of an error that came after the rename: the new
// content is in its place, but whether it outlives a power loss is unknown: the
// folder was there to be synced, and that failed. Every other error means that
// the old file is untouched.
var ErrUnsure = errors.New("the folder could not be synced")

// FS is what a replacement needs of the file system, so that tests can fail
// each of its steps.
type FS interface {
	// CreateTemp creates a new file with mode 0600, as os.CreateTemp does.
	CreateTemp(dir, pattern string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// OpenDir opens a folder to be synced.
	OpenDir(dir string) (Folder, error)
}

// Folder is an open folder of an FS.
type Folder interface {
	// Sync makes the names in the folder durable.
	Sync() error
	Close() error
}

// SyncDir makes the names in dir durable.
func SyncDir(fsys FS, dir string) error {
	folder, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// File is a temporary file of an FS.
type File interface {
	io.Writer
	Name() string
	Chmod(mode fs.FileMode) error
	Sync() error
	Close() error
}

// OS returns the file system of the machine.
func OS() FS { return osFS{} }

// Write replaces the file at path with data. mode is set as given, whatever
// the umask.
func Write(fsys FS, path string, data []byte, mode fs.FileMode) error {
	p, err := Create(fsys, path, mode)
	if err != nil {
		return err
	}
	if _, err := p.Write(data); err != nil {
		p.Abort()
		return err
	}
	return p.Commit()
}

// Pending is a replacement under way. It must end with Commit or Abort, and
// is for one goroutine.
type Pending struct {
	fsys FS
	path string
	file File // nil once ended
}

// Create begins the replacement of path, whose folder must exist. Nothing is
// visible under path before Commit.
func Create(fsys FS, path string, mode fs.FileMode) (*Pending, error) {
	file, err := fsys.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return nil, failure(path, "create", err)
	}
	p := &Pending{fsys: fsys, path: path, file: file}
	if err := file.Chmod(mode); err != nil {
		p.Abort()
		return nil, failure(path, "set the mode of", err)
	}
	return p, nil
}

// Write appends to the new content.
func (p *Pending) Write(data []byte) (int, error) {
	n, err := p.file.Write(data)
	if err != nil {
		return n, failure(p.path, "write", err)
	}
	return n, nil
}

// File returns the temporary file, for content that is written out of order:
// that of OS is an *os.File. It is nil once the replacement has ended.
func (p *Pending) File() File { return p.file }

// Commit puts the new content in its place. With any error but ErrUnsure the
// old file is untouched and the temporary one gone.
func (p *Pending) Commit() error {
	if err := p.file.Sync(); err != nil {
		p.Abort()
		return failure(p.path, "sync", err)
	}
	return changeFolder(p.fsys, p.path, "replace", func() error {
		name := p.file.Name()
		// Windows renames no open file.
		err := p.file.Close()
		p.file = nil
		if err == nil {
			err = p.fsys.Rename(name, p.path)
		}
		if err != nil {
			_ = p.fsys.Remove(name)
		}
		return err
	}, p.Abort)
}

// changeFolder makes a change to the folder of path durable. The folder is opened
// before that: where there is no descriptor for it, abort is called instead and
// nothing changes.
func changeFolder(fsys FS, path, verb string, change func() error, abort func()) error {
	folder, err := fsys.OpenDir(filepath.Dir(path))
	if err != nil {
		abort()
		return failure(path, verb, err)
	}
	defer folder.Close()
	if err := change(); err != nil {
		return failure(path, verb, err)
	}
	if err := folder.Sync(); err != nil {
		return fault.New(fault.Failed, "cannot sync folder %s: %w",
			filepath.Dir(path), errors.Join(ErrUnsure, err))
	}
	return nil
}

// Abort gives the replacement up. It does nothing after Commit.
func (p *Pending) Abort() {
	if p.file == nil {
		return
	}
	_ = p.file.Close()
	_ = p.fsys.Remove(p.file.Name())
	p.file = nil
}

// Remove deletes the file at path durably.
func Remove(fsys FS, path string) error {
	return changeFolder(fsys, path, "remove", func() error { return fsys.Remove(path) }, func() {})
}

// Clean removes the temporary files that a crash left in dir. Only the one
// process that writes there may call it.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return failure(dir, "read", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return failure(filepath.Join(dir, e.Name()), "remove", err)
			}
		}
	}
	return nil
}

// IsTemp reports whether a file of that name is a leftover which Clean
// removes.
func IsTemp(name string) bool { return strings.HasPrefix(filepath.Base(name), tempPrefix) }

func failure(path, verb string, err error) error {
	if IsFull(err) {
		return fault.New(fault.Failed, "no space left in folder %s: %w", filepath.Dir(path), err).
			WithHint("free some space there; nothing was changed")
	}
	return fault.New(fault.Failed, "cannot %s %s: %w", verb, path, err)
}
