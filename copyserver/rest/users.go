package rest

import (
	"copyservices/copyserver/api"
	"copyservices/copyserver/core"
)

func (s *API) listUsers(q *call) (answer, error) {
	all, err := s.core.Users(q.by)
	if err != nil {
		return answer{}, err
	}
	return ok(list(all, wireUser))
}

func (q *call) userChange() (core.UserChange, error) {
	var req api.UserChange
	_, err := q.decode(&req)
	return core.UserChange{Name: req.Name, Password: req.Password, Role: req.Role}, err
}

func (s *API) createUser(q *call) (answer, error) {
	change, err := q.userChange()
	if err != nil {
		return answer{}, err
	}
	u, err := s.core.CreateUser(q.Context(), q.by, change)
	if err != nil {
		return answer{}, err
	}
	return created(wireUser(u))
}

func (s *API) changeUser(q *call) (answer, error) {
	change, err := q.userChange()
	if err != nil {
		return answer{}, err
	}
	u, err := s.core.ChangeUser(q.Context(), q.by, q.PathValue("name"), change)
	if err != nil {
		return answer{}, err
	}
	return ok(wireUser(u))
}

func (s *API) deleteUser(q *call) (answer, error) {
	if err := s.core.DeleteUser(q.by, q.PathValue("name")); err != nil {
		return answer{}, err
	}
	return done()
}
