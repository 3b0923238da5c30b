package core

import (
	"context"
	"slices"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

const userHint = "lsuser of setuser shows which there are"

// withoutHash: what proves a password leaves the store for logins only.
func withoutHash(u taskstore.User) taskstore.User {
	u.Hash = ""
	return u
}

// Users returns all users, without their hashes.
func (c *Core) Users(by Caller) ([]taskstore.User, error) {
	if err := by.May(ManageUsers); err != nil {
		return nil, err
	}
	all, err := c.Store.Users().List()
	for i, u := range all {
		all[i] = withoutHash(u)
	}
	return all, err
}

// UserChange is what becomes of a user; of one that is there, an empty field stays as
// it is.
type UserChange struct {
	Name, Password string
	Role           taskstore.Role
}

// CreateUser makes an operator unless a role is given: what cron runs with needs no
// more.
func (c *Core) CreateUser(
	ctx context.Context, by Caller, change UserChange,
) (taskstore.User, error) {
	if err := by.May(ManageUsers); err != nil {
		return taskstore.User{}, err
	}
	u := taskstore.User{Name: change.Name, Role: change.Role, Created: now()}
	if u.Role == "" {
		u.Role = taskstore.RoleOperator
	}
	if err := u.Validate(); err != nil {
		return u, err
	}
	if err := c.Passwords.SetPassword(ctx, &u, change.Password); err != nil {
		return withoutHash(u), err
	}
	if err := c.Store.Users().Create(u); err != nil {
		return withoutHash(u), err
	}
	c.Passwords.Forget(u.Name)
	return withoutHash(u), nil
}

// ChangeUser is for admins, and for every user's own password.
func (c *Core) ChangeUser(
	ctx context.Context, by Caller, name string, change UserChange,
) (taskstore.User, error) {
	own := taskstore.Key(name) == taskstore.Key(by.Name) && change.Role == ""
	if err := by.May(ManageUsers); err != nil && !own {
		return taskstore.User{}, err
	}
	if change.Name != "" && taskstore.Key(change.Name) != taskstore.Key(name) {
		return taskstore.User{}, fault.New(fault.Usage, "the name of a user does not change")
	}
	c.users.Lock()
	defer c.users.Unlock()
	u, err := c.Store.Users().Get(name)
	if err != nil {
		return taskstore.User{}, noSuch(err, userHint)
	}
	if err := by.May(ManageUsers); err != nil && u.Name != by.Name {
		return taskstore.User{}, err
	}
	if change.Role != "" {
		u.Role = change.Role
	}
	if err := u.Validate(); err != nil {
		return taskstore.User{}, err
	}
	if u.Role != taskstore.RoleAdmin {
		if err := c.leavesAdmin(u.Name); err != nil {
			return taskstore.User{}, err
		}
	}
	if change.Password != "" {
		if err := c.Passwords.SetPassword(ctx, &u, change.Password); err != nil {
			return taskstore.User{}, err
		}
	}
	if err := c.Store.Users().Put(u); err != nil {
		return taskstore.User{}, err
	}
	c.Passwords.Forget(u.Name)
	return withoutHash(u), nil
}

// DeleteUser deletes the user of that name.
func (c *Core) DeleteUser(by Caller, name string) error {
	if err := by.May(ManageUsers); err != nil {
		return err
	}
	c.users.Lock()
	defer c.users.Unlock()
	u, err := c.Store.Users().Get(name)
	if err == nil {
		if err := c.leavesAdmin(u.Name); err != nil {
			return err
		}
		err = c.Store.Users().Delete(u.Name)
	}
	if err != nil {
		return noSuch(err, userHint)
	}
	c.Passwords.Forget(u.Name)
	return nil
}

// leavesAdmin refuses to take the role of the last admin from the user of that name:
// nobody could undo it. The caller holds users.
func (c *Core) leavesAdmin(name string) error {
	all, err := c.Store.Users().List()
	if err != nil {
		return err
	}
	admins := slices.DeleteFunc(all, func(u taskstore.User) bool { return u.Role != taskstore.RoleAdmin })
	if len(admins) != 1 || admins[0].Name != name {
		return nil
	}
	return fault.New(fault.Refused, "user %s is the last with the role admin", name).
		WithHint("make another user admin first: setuser, adduser; esscli set user")
}
