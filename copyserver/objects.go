package copyserver

import (
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// sameName refuses a body about another thing than the path.
func (q *call) sameName(name string) error {
	if path := q.PathValue("name"); taskstore.Key(name) != taskstore.Key(path) {
		return fault.New(fault.Usage, "the request names %q, its path %q", name, path)
	}
	return nil
}

func (s *Server) listTasks(q *call) (answer, error) {
	all, err := s.core.Tasks(q.by)
	if err != nil {
		return answer{}, err
	}
	return ok(all)
}

func (s *Server) getTask(q *call) (answer, error) {
	t, err := s.core.Task(q.by, q.PathValue("name"))
	if err != nil {
		return answer{}, err
	}
	return ok(t)
}

func (s *Server) createTask(q *call) (answer, error) {
	var t api.Task
	if _, err := q.decode(&t); err != nil {
		return answer{}, err
	}
	if err := s.core.CreateTask(q.by, t); err != nil {
		return answer{}, err
	}
	return created(t)
}

func (s *Server) putTask(q *call) (answer, error) {
	var t api.Task
	if _, err := q.decode(&t); err != nil {
		return answer{}, err
	}
	if err := q.sameName(t.Name); err != nil {
		return answer{}, err
	}
	t, err := s.core.PutTask(q.by, t)
	if err != nil {
		return answer{}, err
	}
	return ok(t)
}

func (s *Server) deleteTask(q *call) (answer, error) {
	if err := s.core.DeleteTask(q.by, q.PathValue("name")); err != nil {
		return answer{}, err
	}
	return done()
}

func (s *Server) listEntries(q *call) (answer, error) {
	all, err := s.core.Entries(q.by, taskstore.EntryKind(q.URL.Query().Get("kind")))
	if err != nil {
		return answer{}, err
	}
	return ok(append([]api.Entry{}, all...))
}

func (s *Server) createEntry(q *call) (answer, error) {
	var e api.Entry
	if _, err := q.decode(&e); err != nil {
		return answer{}, err
	}
	e, err := s.core.AddEntry(q.by, e)
	if err != nil {
		return answer{}, err
	}
	return created(e)
}

// entry returns what the path names.
func (q *call) entry() (kind taskstore.EntryKind, address string) {
	return taskstore.EntryKind(q.PathValue("kind")), q.PathValue("address")
}

func (s *Server) changeEntry(q *call) (answer, error) {
	var change api.Entry
	if _, err := q.decode(&change); err != nil {
		return answer{}, err
	}
	kind, address := q.entry()
	e, err := s.core.ChangeEntry(q.by, kind, address, change)
	if err != nil {
		return answer{}, err
	}
	return ok(e)
}

func (s *Server) deleteEntry(q *call) (answer, error) {
	kind, address := q.entry()
	if err := s.core.DeleteEntry(q.by, kind, address); err != nil {
		return answer{}, err
	}
	return done()
}
