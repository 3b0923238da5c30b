package rest

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

func (s *API) listTasks(q *call) (answer, error) {
	all, err := s.core.Tasks(q.by)
	if err != nil {
		return answer{}, err
	}
	return ok(list(all, api.TaskOf))
}

func (s *API) getTask(q *call) (answer, error) {
	t, err := s.core.Task(q.by, q.PathValue("name"))
	if err != nil {
		return answer{}, err
	}
	return ok(api.TaskOf(t))
}

func (s *API) createTask(q *call) (answer, error) {
	var t api.Task
	if _, err := q.decode(&t); err != nil {
		return answer{}, err
	}
	if err := s.core.CreateTask(q.by, t.Stored()); err != nil {
		return answer{}, err
	}
	return created(t)
}

func (s *API) putTask(q *call) (answer, error) {
	var t api.Task
	if _, err := q.decode(&t); err != nil {
		return answer{}, err
	}
	if err := q.sameName(t.Name); err != nil {
		return answer{}, err
	}
	stored, err := s.core.PutTask(q.by, t.Stored())
	if err != nil {
		return answer{}, err
	}
	return ok(api.TaskOf(stored))
}

func (s *API) deleteTask(q *call) (answer, error) {
	if err := s.core.DeleteTask(q.by, q.PathValue("name")); err != nil {
		return answer{}, err
	}
	return done()
}
