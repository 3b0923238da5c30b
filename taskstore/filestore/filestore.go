// Package filestore is the taskstore.Store of copyserver: YAML files, each replaced
// atomically, so that it is whole at every instant. Other small files of a state
// folder have the same format, by LoadFile and SaveFile.
package filestore

import (
	"errors"
	"os"
	"path/filepath"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
)

// folderMode: the folders hold password hashes and sealed passwords.
const folderMode = 0o700

// Dir is a Store of YAML files: a folder for each collection in it, a file
// for each thing. Everything is in memory from Open on; changes are written
// through. Only one process may have it open, which is the caller's care.
type Dir struct {
	tasks    *files[taskstore.Task]
	hosts    *files[taskstore.Host]
	users    *files[taskstore.User]
	entries  *files[taskstore.Entry]
	runs     *files[taskstore.Run]
	requests *files[taskstore.Request]

	credentials *files[taskstore.Credential]
	assignments *files[taskstore.Assignment]
}

var _ taskstore.Store = (*Dir)(nil)

// Open opens the store in the folder dir and creates what is not there yet.
// It fails, naming every file that cannot be taken, rather than go on without
// one: a task that silently vanished is worse than a server that is down.
func Open(dir string) (*Dir, error) { return OpenFS(dir, atomicfile.OS()) }

// OpenFS is Open with a file system that fails when a test wants it to.
func OpenFS(dir string, fsys atomicfile.FS) (*Dir, error) {
	d := newDir(dir, fsys)
	var errs []error
	for _, l := range d.loaders() {
		errs = append(errs, l.load()...)
	}
	if err := join(errs); err != nil {
		return nil, err
	}
	return d, nil
}

// Check reads every file of the store in dir, changes nothing and returns
// what is wrong, an error for each file.
func Check(dir string) []error {
	var errs []error
	for _, l := range newDir(dir, atomicfile.OS()).loaders() {
		errs = append(errs, l.check()...)
	}
	return errs
}

func newDir(dir string, fsys atomicfile.FS) *Dir {
	return &Dir{
		tasks:    newFiles(dir, fsys, taskKind),
		hosts:    newFiles(dir, fsys, hostKind),
		users:    newFiles(dir, fsys, userKind),
		entries:  newFiles(dir, fsys, entryKind),
		runs:     newFiles(dir, fsys, runKind),
		requests: newFiles(dir, fsys, requestKind),

		credentials: newFiles(dir, fsys, credentialKind),
		assignments: newFiles(dir, fsys, assignmentKind),
	}
}

type loader interface {
	load() []error
	check() []error
	close()
}

func (d *Dir) loaders() []loader {
	return []loader{
		d.tasks, d.hosts, d.users, d.entries, d.runs, d.requests, d.credentials, d.assignments,
	}
}

// Folders lists the folders of a store's collections.
func Folders() []string {
	return []string{
		taskKind.folder, hostKind.folder, userKind.folder,
		entryKind.folder, runKind.folder, requestKind.folder,
		credentialKind.folder, assignmentKind.folder,
	}
}

// Tasks returns the stored tasks.
func (d *Dir) Tasks() taskstore.Collection[taskstore.Task] { return d.tasks }

// Hosts returns the primed hosts.
func (d *Dir) Hosts() taskstore.Collection[taskstore.Host] { return d.hosts }

// Users returns the users with their hashes.
func (d *Dir) Users() taskstore.Collection[taskstore.User] { return d.users }

// Entries returns the registered arrays and servers.
func (d *Dir) Entries() taskstore.Collection[taskstore.Entry] { return d.entries }

// Runs returns the run history.
func (d *Dir) Runs() taskstore.Collection[taskstore.Run] { return d.runs }

// Requests returns the keyed requests that are no runs.
func (d *Dir) Requests() taskstore.Collection[taskstore.Request] { return d.requests }

// Credentials returns the certificates that were issued.
func (d *Dir) Credentials() taskstore.Collection[taskstore.Credential] { return d.credentials }

// Assignments returns what hosts may attach.
func (d *Dir) Assignments() taskstore.Collection[taskstore.Assignment] { return d.assignments }

// Close refuses further changes. Everything is on disk before it.
func (d *Dir) Close() error {
	for _, l := range d.loaders() {
		l.close()
	}
	return nil
}

// join makes one error of many, with the hint of the first.
func join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fault.New(fault.Failed, "%w", errors.Join(errs...)).
		WithHint("%s", fault.HintOf(errs[0]))
}

func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return fault.New(fault.Failed, "cannot create folder %s: %w", filepath.Clean(dir), err)
	}
	return nil
}
