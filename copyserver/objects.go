package copyserver

import (
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore"
)

func now() time.Time { return time.Now().UTC() }

// Tasks and entries are stored as they come; the store checks them and compares
// their names.

// noSuch gives a NotFound its hint.
func noSuch(err error, hint string) error {
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	return fault.New(fault.NotFound, "%w", err).WithHint("%s", hint)
}

// sameName refuses a body about another thing than the path.
func (q *call) sameName(name string) error {
	if path := q.PathValue("name"); taskstore.Key(name) != taskstore.Key(path) {
		return fault.New(fault.Usage, "the request names %q, its path %q", name, path)
	}
	return nil
}

func (s *Server) listTasks(*call) (answer, error) {
	all, err := s.store.Tasks().List()
	if err != nil {
		return answer{}, err
	}
	return ok(all)
}

func (s *Server) getTask(q *call) (answer, error) {
	t, err := s.store.Tasks().Get(q.PathValue("name"))
	if err != nil {
		return answer{}, noSuch(err, "esscli list task shows which there are")
	}
	return ok(t)
}

func (s *Server) createTask(q *call) (answer, error) {
	var t api.Task
	if _, err := q.decode(&t); err != nil {
		return answer{}, err
	}
	if err := storable(t); err != nil {
		return answer{}, err
	}
	if err := s.store.Tasks().Create(t); err != nil {
		return answer{}, err
	}
	return created(t)
}

// storable refuses a task that could be stored and not be sent again, since a
// request may spell it shorter than any answer does, and one that could never run.
func storable(t api.Task) error {
	if err := t.Validate(); err != nil {
		return err
	}
	if n := len(encode(t)); n > taskstore.MaxTask {
		return fault.New(fault.Usage, "task %q has %d bytes; a task has at most %d", t.Name, n, taskstore.MaxTask).
			WithHint("make two tasks of it")
	}
	return t.Feasible()
}

// putTask creates or replaces; the name stays as it was first written.
func (s *Server) putTask(q *call) (answer, error) {
	var t api.Task
	if _, err := q.decode(&t); err != nil {
		return answer{}, err
	}
	if err := q.sameName(t.Name); err != nil {
		return answer{}, err
	}
	if err := storable(t); err != nil {
		return answer{}, err
	}
	if err := s.store.Tasks().Put(t); err != nil {
		return answer{}, err
	}
	return s.getTask(q)
}

func (s *Server) deleteTask(q *call) (answer, error) {
	if err := s.store.Tasks().Delete(q.PathValue("name")); err != nil {
		return answer{}, noSuch(err, "esscli list task shows which there are")
	}
	return done()
}

// listEntries, like every answer about entries, is without passwords: their
// sealed form has no name in JSON.
func (s *Server) listEntries(q *call) (answer, error) {
	kind := taskstore.EntryKind(q.URL.Query().Get("kind"))
	if kind != "" && kind != taskstore.EntryESS && kind != taskstore.EntryESSServer {
		return answer{}, fault.New(fault.Usage, "%.20q is no kind of entry", kind).
			WithHint("the kinds are ess and essserver")
	}
	all, err := s.store.Entries().List()
	if err != nil {
		return answer{}, err
	}
	out := []api.Entry{}
	for _, e := range all {
		if kind == "" || e.Kind == kind {
			out = append(out, e)
		}
	}
	return ok(out)
}

func (s *Server) createEntry(q *call) (answer, error) {
	var e api.Entry
	if _, err := q.decode(&e); err != nil {
		return answer{}, err
	}
	if e.Password == "" {
		return answer{}, fault.New(fault.Usage, "an entry needs a password")
	}
	e.Added = now()
	s.seal(&e)
	if err := s.store.Entries().Create(e); err != nil {
		return answer{}, err
	}
	return created(e)
}

// seal replaces the password of e by its sealed form.
func (s *Server) seal(e *taskstore.Entry) {
	e.Sealed = s.box.Seal(e.SealLabel(), secrets.Secret(e.Password))
	e.Password = ""
}

func (q *call) entryName() string {
	return taskstore.EntryName(taskstore.EntryKind(q.PathValue("kind")), q.PathValue("address"))
}

const entryHint = "lsess and lsessserver of setdevice show which there are"

// changeEntry keeps what the request leaves empty. An entry's password is
// sealed for its address, which therefore stays.
func (s *Server) changeEntry(q *call) (answer, error) {
	var change api.Entry
	if _, err := q.decode(&change); err != nil {
		return answer{}, err
	}
	s.entriesMu.Lock()
	defer s.entriesMu.Unlock()
	e, err := s.store.Entries().Get(q.entryName())
	if err != nil {
		return answer{}, noSuch(err, entryHint)
	}
	if change.Kind != "" && change.Kind != e.Kind ||
		change.Address != "" && taskstore.Key(change.Address) != taskstore.Key(e.Address) {
		return answer{}, fault.New(fault.Usage, "the address of an entry does not change").
			WithHint("remove the entry and add one for the new address")
	}
	if change.User != "" {
		e.User = change.User
	}
	if change.Alternate != "" {
		e.Alternate = change.Alternate
	}
	if change.Password != "" {
		e.Password = change.Password
		s.seal(&e)
	}
	if err := s.store.Entries().Put(e); err != nil {
		return answer{}, err
	}
	return ok(e)
}

func (s *Server) deleteEntry(q *call) (answer, error) {
	s.entriesMu.Lock()
	defer s.entriesMu.Unlock()
	if err := s.store.Entries().Delete(q.entryName()); err != nil {
		return answer{}, noSuch(err, entryHint)
	}
	return done()
}
