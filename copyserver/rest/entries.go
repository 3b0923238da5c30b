package rest

import (
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

func (s *API) listEntries(q *call) (answer, error) {
	all, err := s.core.Entries(q.by, taskstore.EntryKind(q.URL.Query().Get("kind")))
	if err != nil {
		return answer{}, err
	}
	return ok(list(all, wireEntry))
}

func (s *API) createEntry(q *call) (answer, error) {
	var e api.Entry
	if _, err := q.decode(&e); err != nil {
		return answer{}, err
	}
	added, err := s.core.AddEntry(q.Context(), q.by, storedEntry(e))
	if err != nil {
		return answer{}, err
	}
	return created(wireEntry(added))
}

// entry returns what the path names.
func (q *call) entry() (kind taskstore.EntryKind, address string) {
	return taskstore.EntryKind(q.PathValue("kind")), q.PathValue("address")
}

func (s *API) changeEntry(q *call) (answer, error) {
	var change api.Entry
	if _, err := q.decode(&change); err != nil {
		return answer{}, err
	}
	kind, address := q.entry()
	e, err := s.core.ChangeEntry(q.Context(), q.by, kind, address, storedEntry(change))
	if err != nil {
		return answer{}, err
	}
	return ok(wireEntry(e))
}

func (s *API) deleteEntry(q *call) (answer, error) {
	kind, address := q.entry()
	if err := s.core.DeleteEntry(q.by, kind, address); err != nil {
		return answer{}, err
	}
	return done()
}
