package taskstore

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/atomicfile"
)

// folderMode: the folders hold password hashes and sealed passwords.
const folderMode = 0o700

// Dir is a Store of YAML files: a folder for each collection in it, a file
// for each thing. Everything is in memory from Open on; changes are written
// through. Only one process may have it open, which is the caller's care.
type Dir struct {
	tasks    *files[Task]
	hosts    *files[Host]
	users    *files[User]
	entries  *files[Entry]
	runs     *files[Run]
	requests *files[Request]

	credentials *files[Credential]
	assignments *files[Assignment]
}

var _ Store = (*Dir)(nil)

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
func (d *Dir) Tasks() Collection[Task] { return d.tasks }

// Hosts returns the primed hosts.
func (d *Dir) Hosts() Collection[Host] { return d.hosts }

// Users returns the users with their hashes.
func (d *Dir) Users() Collection[User] { return d.users }

// Entries returns the registered arrays and servers.
func (d *Dir) Entries() Collection[Entry] { return d.entries }

// Runs returns the run history.
func (d *Dir) Runs() Collection[Run] { return d.runs }

// Requests returns the keyed requests that are no runs.
func (d *Dir) Requests() Collection[Request] { return d.requests }

// Credentials returns the certificates that were issued.
func (d *Dir) Credentials() Collection[Credential] { return d.credentials }

// Assignments returns what hosts may attach.
func (d *Dir) Assignments() Collection[Assignment] { return d.assignments }

// Close refuses further changes. Everything is on disk before it.
func (d *Dir) Close() error {
	for _, l := range d.loaders() {
		l.close()
	}
	return nil
}

// kindOf describes a collection's things.
type kindOf[T any] struct {
	word     string // in the first line of a file, and in messages
	folder   string
	name     func(T) string
	validate func(T) error
	clone    func(T) T
	// rename returns the thing under a name that differs in case only; nil
	// where the name is not a person's choice.
	rename func(v T, name string) T
	// less orders List; nil means by key.
	less func(a, b T) int
}

var taskKind = kindOf[Task]{
	word: "task", folder: "tasks", name: func(t Task) string { return t.Name },
	validate: Task.Validate,
	clone:    func(t Task) Task { t.Pairs = slices.Clone(t.Pairs); return t },
	rename:   func(t Task, name string) Task { t.Name = name; return t },
}

var hostKind = kindOf[Host]{
	word: "host", folder: "hosts", name: func(h Host) string { return h.Name },
	validate: Host.Validate,
	clone:    func(h Host) Host { h.Devices = slices.Clone(h.Devices); return h },
	rename:   func(h Host, name string) Host { h.Name = name; return h },
}

var userKind = kindOf[User]{
	word: "user", folder: "users", name: func(u User) string { return u.Name },
	validate: User.Validate, clone: itself[User],
	rename: func(u User, name string) User { u.Name = name; return u },
}

var entryKind = kindOf[Entry]{
	word: "entry", folder: "entries",
	name:     func(e Entry) string { return EntryName(e.Kind, e.Address) },
	validate: Entry.Validate, clone: itself[Entry],
}

var runKind = kindOf[Run]{
	word: "run", folder: "runs", name: func(r Run) string { return r.ID },
	validate: func(r Run) error { return ValidName("run", r.ID) },
	clone:    cloneRun,
	less: func(a, b Run) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
	},
}

var requestKind = kindOf[Request]{
	word: "request", folder: "requests", name: func(r Request) string { return r.Key },
	validate: func(r Request) error { return ValidName("request", r.Key) },
	clone:    itself[Request],
	less:     func(a, b Request) int { return a.Started.Compare(b.Started) },
}

var credentialKind = kindOf[Credential]{
	word: "credential", folder: "credentials", name: func(c Credential) string { return c.Serial },
	validate: Credential.Validate, clone: itself[Credential],
	less: func(a, b Credential) int {
		return cmp.Or(cmp.Compare(Key(a.Host), Key(b.Host)), a.Created.Compare(b.Created),
			cmp.Compare(a.Serial, b.Serial))
	},
}

var assignmentKind = kindOf[Assignment]{
	word: "assignment", folder: "assignments",
	name:     func(a Assignment) string { return string(a.Volume) },
	validate: Assignment.Validate,
	clone:    func(a Assignment) Assignment { a.Hosts = slices.Clone(a.Hosts); return a },
}

func itself[T any](v T) T { return v }

func cloneRun(r Run) Run {
	r.Pairs = slices.Clone(r.Pairs)
	r.Warnings = slices.Clone(r.Warnings)
	r.Before = slices.Clone(r.Before)
	if r.Error != nil {
		detail := *r.Error
		r.Error = &detail
	}
	return r
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

// Prune deletes the oldest runs beyond keep, except those that spare holds
// on to, and returns how many.
func Prune(runs Collection[Run], keep int, spare func(Run) bool) (int, error) {
	all, err := runs.List()
	if err != nil {
		return 0, err
	}
	pruned := 0
	for _, r := range all[:max(0, len(all)-keep)] {
		if r.State == RunRunning || r.State == RunQueued || spare(r) {
			continue
		}
		if err := runs.Delete(r.ID); err != nil && fault.KindOf(err) != fault.NotFound {
			return pruned, err
		}
		pruned++
	}
	return pruned, nil
}

func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return fault.New(fault.Failed, "cannot create folder %s: %w", filepath.Clean(dir), err)
	}
	return nil
}
