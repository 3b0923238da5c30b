package copyserver

import (
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// publicUser leaves the hash out.
func publicUser(u taskstore.User) api.User {
	return api.User{
		Name: u.Name, Role: u.Role, DefaultPassword: u.DefaultPassword, Created: u.Created,
	}
}

const userHint = "lsuser of setuser shows which there are"

func (s *Server) listUsers(*call) (answer, error) {
	all, err := s.store.Users().List()
	if err != nil {
		return answer{}, err
	}
	out := make([]api.User, len(all))
	for i, u := range all {
		out[i] = publicUser(u)
	}
	return ok(out)
}

// createUser makes an operator unless the request says otherwise: what cron
// runs with needs no more.
func (s *Server) createUser(q *call) (answer, error) {
	var req api.UserChange
	if _, err := q.decode(&req); err != nil {
		return answer{}, err
	}
	if req.Role == "" {
		req.Role = taskstore.RoleOperator
	}
	u := taskstore.User{Name: req.Name, Role: req.Role, Created: now()}
	if err := u.Validate(); err != nil {
		return answer{}, err
	}
	if err := s.auth.SetPassword(q.Context(), &u, req.Password); err != nil {
		return answer{}, err
	}
	if err := s.store.Users().Create(u); err != nil {
		return answer{}, err
	}
	s.auth.Forget(u.Name)
	return created(publicUser(u))
}

// changeUser is for admins, and for every user's own password.
func (s *Server) changeUser(q *call) (answer, error) {
	var req api.UserChange
	if _, err := q.decode(&req); err != nil {
		return answer{}, err
	}
	name := q.PathValue("name")
	own := taskstore.Key(name) == taskstore.Key(q.user.Name) && req.Role == ""
	if !own && !q.user.Role.Includes(taskstore.RoleAdmin) {
		return answer{}, forbidden(q.user, taskstore.RoleAdmin)
	}
	if req.Name != "" && taskstore.Key(req.Name) != taskstore.Key(name) {
		return answer{}, fault.New(fault.Usage, "the name of a user does not change")
	}
	s.usersMu.Lock()
	defer s.usersMu.Unlock()
	u, err := s.store.Users().Get(name)
	if err != nil {
		return answer{}, noSuch(err, userHint)
	}
	if !q.user.Role.Includes(taskstore.RoleAdmin) && u.Name != q.user.Name {
		return answer{}, forbidden(q.user, taskstore.RoleAdmin)
	}
	if req.Role != "" && req.Role != taskstore.RoleAdmin {
		if err := s.leavesAdmin(u); err != nil {
			return answer{}, err
		}
	}
	if req.Role != "" {
		u.Role = req.Role
	}
	if req.Password != "" {
		if err := s.auth.SetPassword(q.Context(), &u, req.Password); err != nil {
			return answer{}, err
		}
	}
	if err := s.store.Users().Put(u); err != nil {
		return answer{}, err
	}
	s.auth.Forget(u.Name)
	return ok(publicUser(u))
}

func (s *Server) deleteUser(q *call) (answer, error) {
	s.usersMu.Lock()
	defer s.usersMu.Unlock()
	u, err := s.store.Users().Get(q.PathValue("name"))
	if err == nil {
		if err := s.leavesAdmin(u); err != nil {
			return answer{}, err
		}
		err = s.store.Users().Delete(u.Name)
	}
	if err != nil {
		return answer{}, noSuch(err, userHint)
	}
	s.auth.Forget(u.Name)
	return done()
}

// leavesAdmin refuses to take the last admin away: nobody could undo it. The
// caller holds usersMu.
func (s *Server) leavesAdmin(u taskstore.User) error {
	all, err := s.store.Users().List()
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Role == taskstore.RoleAdmin && other.Name != u.Name {
			return nil
		}
	}
	if u.Role != taskstore.RoleAdmin {
		return nil
	}
	return fault.New(fault.Refused, "user %s is the last with the role admin", u.Name).
		WithHint("make another user admin first: setuser, adduser; esscli set user")
}
