package filestore

import (
	"cmp"
	"slices"

	"copyservices/taskstore"
)

// kindOf describes a collection's things.
type kindOf[T any] struct {
	word     string // in the first line of a file, and in messages
	folder   string
	name     func(T) string
	validate func(T) error
	// formats is how many formats there are, and format the first of them that has a
	// place for all of a thing; 0 and nil where there is one.
	formats int
	format  func(T) int
	clone   func(T) T
	// rename returns the thing under a name that differs in case only; nil
	// where the name is not a person's choice.
	rename func(v T, name string) T
	// less orders List; nil means by key.
	less func(a, b T) int
}

var taskKind = kindOf[taskstore.Task]{
	word: "task", folder: "tasks", name: func(t taskstore.Task) string { return t.Name },
	validate: taskstore.Task.Validate,
	clone:    func(t taskstore.Task) taskstore.Task { t.Pairs = slices.Clone(t.Pairs); return t },
	rename:   func(t taskstore.Task, name string) taskstore.Task { t.Name = name; return t },
}

var hostKind = kindOf[taskstore.Host]{
	word: "host", folder: "hosts", name: func(h taskstore.Host) string { return h.Name },
	validate: taskstore.Host.Validate,
	clone:    func(h taskstore.Host) taskstore.Host { h.Devices = slices.Clone(h.Devices); return h },
	rename:   func(h taskstore.Host, name string) taskstore.Host { h.Name = name; return h },
}

var userKind = kindOf[taskstore.User]{
	word: "user", folder: "users", name: func(u taskstore.User) string { return u.Name },
	validate: taskstore.User.Validate, clone: itself[taskstore.User],
	rename: func(u taskstore.User, name string) taskstore.User { u.Name = name; return u },
}

var entryKind = kindOf[taskstore.Entry]{
	word: "entry", folder: "entries",
	name:     func(e taskstore.Entry) string { return taskstore.EntryName(e.Kind, e.Address) },
	validate: taskstore.Entry.Validate, clone: itself[taskstore.Entry],
	formats: 2, format: formatOfEntry,
}

// formatOfEntry: the second format has a place for arrays that something drives.
func formatOfEntry(e taskstore.Entry) int {
	if e.Driver != "" {
		return 2
	}
	return firstFormat
}

var runKind = kindOf[taskstore.Run]{
	word: "run", folder: "runs", name: func(r taskstore.Run) string { return r.ID },
	validate: func(r taskstore.Run) error { return taskstore.ValidName("run", r.ID) },
	clone:    cloneRun,
	formats:  2, format: formatOfRun,
	less: func(a, b taskstore.Run) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
	},
}

var requestKind = kindOf[taskstore.Request]{
	word: "request", folder: "requests", name: func(r taskstore.Request) string { return r.Key },
	validate: func(r taskstore.Request) error { return taskstore.ValidName("request", r.Key) },
	clone:    itself[taskstore.Request],
	less:     func(a, b taskstore.Request) int { return a.Started.Compare(b.Started) },
}

var credentialKind = kindOf[taskstore.Credential]{
	word: "credential", folder: "credentials", name: func(c taskstore.Credential) string { return c.Serial },
	validate: taskstore.Credential.Validate, clone: itself[taskstore.Credential],
	less: func(a, b taskstore.Credential) int {
		return cmp.Or(cmp.Compare(taskstore.Key(a.Host), taskstore.Key(b.Host)), a.Created.Compare(b.Created),
			cmp.Compare(a.Serial, b.Serial))
	},
}

var assignmentKind = kindOf[taskstore.Assignment]{
	word: "assignment", folder: "assignments",
	name:     func(a taskstore.Assignment) string { return string(a.Volume) },
	validate: taskstore.Assignment.Validate,
	clone:    func(a taskstore.Assignment) taskstore.Assignment { a.Hosts = slices.Clone(a.Hosts); return a },
}

// formatOfRun: the phase came with the second format.
func formatOfRun(r taskstore.Run) int {
	if r.Phase != "" {
		return 2
	}
	return firstFormat
}

func itself[T any](v T) T { return v }

func cloneRun(r taskstore.Run) taskstore.Run {
	r.Pairs = slices.Clone(r.Pairs)
	r.Warnings = slices.Clone(r.Warnings)
	r.Before = slices.Clone(r.Before)
	if r.Error != nil {
		detail := *r.Error
		r.Error = &detail
	}
	return r
}
