// Package auth decides who a request comes from: users with argon2id hashes,
// a memory of good passwords so that repeated calls do not pay for the hash,
// and a slow-down after failed logins.
package auth

import (
	"context"
	"net/netip"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// The user that every installation starts with. Its password is good from
// the loopback address only, and only until it is changed.
const (
	DefaultUser     = "superuser"
	DefaultPassword = "passw0rd"
)

// MaxPassword is the longest password in bytes.
const MaxPassword = 1024

// Authenticator knows the users of a store. Its methods may be called from
// many goroutines.
type Authenticator struct {
	users  taskstore.Collection[taskstore.User]
	hasher *hasher
	good   *good
	slow   *slowdown
}

// New returns an Authenticator for users. cost is that of new hashes; stored
// ones carry their own.
func New(users taskstore.Collection[taskstore.User], cost Cost) *Authenticator {
	return &Authenticator{users: users, hasher: newHasher(cost), good: newGood(), slow: newSlowdown()}
}

// Login returns the user of that name. The error is of kind Denied for a
// wrong name or password, which it does not tell apart, neither by its text
// nor by the time it takes; *TooMany after too many of those.
func (a *Authenticator) Login(
	ctx context.Context, name, password string, from netip.Addr,
) (taskstore.User, error) {
	user, err := a.users.Get(name)
	known := err == nil
	if !known && fault.KindOf(err) != fault.NotFound {
		return taskstore.User{}, err
	}
	if known && a.good.has(user, password) {
		return user, allowedFrom(user, from)
	}
	if err := a.slow.wait(ctx, name, from); err != nil {
		return taskstore.User{}, err
	}
	ok, err := a.check(ctx, user, known, password)
	if err != nil {
		return taskstore.User{}, err
	}
	if !ok {
		a.slow.failed(name, from)
		return taskstore.User{}, fault.New(fault.Denied, "wrong user or password").
			WithHint("see --user and --password-file; users are listed by: setuser, lsuser")
	}
	return user, allowedFrom(user, from)
}

func (a *Authenticator) check(
	ctx context.Context, user taskstore.User, known bool, password string,
) (bool, error) {
	if len(password) > MaxPassword {
		return false, nil
	}
	if err := a.hasher.enter(ctx); err != nil {
		return false, err
	}
	defer a.hasher.leave()
	if !known {
		_, err := verify(a.hasher.decoy(), password)
		return false, err
	}
	// Of many that came at once with the same password one pays.
	if a.good.has(user, password) {
		return true, nil
	}
	ok, err := verify(user.Hash, password)
	if ok {
		a.good.add(user, password)
	}
	return ok, err
}

func allowedFrom(user taskstore.User, from netip.Addr) error {
	if user.DefaultPassword && !from.Unmap().IsLoopback() {
		return fault.New(fault.Denied,
			"user %s still has the default password, which is good on the server's own machine only",
			user.Name).
			WithHint("change it there: setuser -u %s -p %s chuser %s NEWPASSWORD",
				DefaultUser, DefaultPassword, DefaultUser)
	}
	return nil
}

// SetPassword puts the hash of password into user, which is not stored by it.
// The error is of kind Usage for a password that cannot be taken.
func (a *Authenticator) SetPassword(
	ctx context.Context, user *taskstore.User, password string,
) error {
	if password == "" {
		return fault.New(fault.Usage, "a user needs a password")
	}
	if len(password) > MaxPassword {
		return fault.New(fault.Usage, "a password has at most %d bytes", MaxPassword)
	}
	hash, err := a.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	user.Hash = hash
	// Whoever sets the default password again gets its limits again.
	user.DefaultPassword = password == DefaultPassword &&
		taskstore.Key(user.Name) == taskstore.Key(DefaultUser)
	return nil
}

// Forget drops what is remembered of a user's good password. It is to be
// called when the user is changed or deleted.
func (a *Authenticator) Forget(name string) { a.good.forget(name) }

// FirstUser returns DefaultUser with the default password.
func (a *Authenticator) FirstUser(ctx context.Context) (taskstore.User, error) {
	user := taskstore.User{
		Name: DefaultUser, Role: taskstore.RoleAdmin, Created: time.Now().UTC(),
	}
	return user, a.SetPassword(ctx, &user, DefaultPassword)
}
