// Package taskstore is what the Copy Services server remembers: tasks, hosts,
// users, registered entries, runs, and what hosts may attach: the words, the rules that
// need neither array nor host, and the interface Store. Package filestore keeps it in files.
package taskstore

import "copyservices/arrayclient/fault"

// Store is the server's memory. Its collections may be used from many
// goroutines at once.
type Store interface {
	Tasks() Collection[Task]
	Hosts() Collection[Host]
	Users() Collection[User]
	Entries() Collection[Entry]          // named KIND/ADDRESS
	Runs() Collection[Run]               // named by their ID
	Requests() Collection[Request]       // named by their key
	Credentials() Collection[Credential] // named by their serial number
	Assignments() Collection[Assignment] // named by their volume's serial
	Close() error
}

// Collection holds the things of one kind by name. Names are compared without
// case and kept as first written. What a method returns is the caller's own
// copy. A change that returned nil is durable; one that returned an error has
// changed nothing.
type Collection[T any] interface {
	// List returns all, ordered by name (runs and requests: oldest first,
	// credentials: by host).
	List() ([]T, error)
	// Get answers fault.NotFound where there is none of that name.
	Get(name string) (T, error)
	// Create refuses a name that exists with fault.Usage.
	Create(v T) error
	// Put creates or replaces.
	Put(v T) error
	// Delete answers fault.NotFound where there is none of that name.
	Delete(name string) error
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
