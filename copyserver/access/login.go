// Package access tells who may. Users log in with passwords: there are argon2id
// hashes, a memory of good passwords so that repeated calls do not pay for the hash,
// and a slow-down after failed logins. Hosts show credentials, and reach the volumes
// that are assigned to them. What a user may do by their role is a rule of core.
package access

import (
	"context"
	"net/netip"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// The user that every installation starts with.
const (
	DefaultUser     = taskstore.DefaultUser
	DefaultPassword = taskstore.DefaultPassword
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
	ok, err := a.check(ctx, try{user, known, name, password, from})
	if err != nil {
		return taskstore.User{}, err
	}
	if !ok {
		return taskstore.User{}, fault.New(fault.Denied, "wrong user or password").
			WithHint("see --user and --password-file; users are listed by: setuser, lsuser")
	}
	return user, allowedFrom(user, from)
}

// try is one login that is not remembered.
type try struct {
	user     taskstore.User
	known    bool   // there is such a user
	name     string // as it was given
	password string
	from     netip.Addr
}

// check waits for the try's turn and a slot, and says whether the password is
// right.
func (a *Authenticator) check(ctx context.Context, t try) (bool, error) {
	if len(t.password) > MaxPassword {
		return false, nil
	}
	for {
		turn, err := a.slow.wait(ctx, t.name, t.from)
		if err != nil {
			return false, err
		}
		if err := a.hasher.enter(ctx, t.from); err != nil {
			return false, err
		}
		// Of many that came at once before the first failure, those after it
		// have to wait their turn too.
		if turn || !a.slow.wantsTurn(t.from) {
			defer a.hasher.leave()
			return a.verify(t, turn)
		}
		a.hasher.leave()
	}
}

// verify pays for the hash and tells the slow-down how it went. The caller
// holds a slot.
func (a *Authenticator) verify(t try, turn bool) (bool, error) {
	ok, err := a.compare(t)
	switch {
	case err != nil:
		return false, err
	case !ok:
		a.slow.failed(t.name, t.from, turn)
	case turn:
		a.slow.passed(t.from)
	}
	return ok, nil
}

func (a *Authenticator) compare(t try) (bool, error) {
	if !t.known {
		_, err := verify(a.hasher.decoy(), t.password)
		return false, err
	}
	if a.good.has(t.user, t.password) {
		return true, nil // of many that came at once with it one pays
	}
	ok, err := verify(t.user.Hash, t.password)
	if ok {
		a.good.add(t.user, t.password)
	}
	return ok, err
}

// allowedFrom applies the rule about the default password. Who gets here knows
// it, so the message gives nothing away.
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
// The error is of kind Usage for a password that cannot be taken, as for
// DefaultUser the one that everybody knows.
func (a *Authenticator) SetPassword(
	ctx context.Context, user *taskstore.User, password string,
) error {
	if password == "" {
		return fault.New(fault.Usage, "a user needs a password")
	}
	if len(password) > MaxPassword {
		return fault.New(fault.Usage, "a password has at most %d bytes", MaxPassword)
	}
	if password == DefaultPassword && taskstore.Key(user.Name) == taskstore.Key(DefaultUser) {
		return fault.New(fault.Usage, "%s is the password of every new server, which everybody knows",
			DefaultPassword).WithHint("choose another")
	}
	hash, err := a.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	user.Hash, user.DefaultPassword = hash, false
	return nil
}

// Forget drops what is remembered of a user's good password. It is to be
// called when the user is changed or deleted.
func (a *Authenticator) Forget(name string) { a.good.forget(name) }

// FirstUser returns DefaultUser with the default password.
func (a *Authenticator) FirstUser(ctx context.Context) (taskstore.User, error) {
	hash, err := a.hasher.hash(ctx, DefaultPassword)
	return taskstore.User{
		Name: DefaultUser, Role: taskstore.RoleAdmin, Hash: hash, DefaultPassword: true,
		Created: time.Now().UTC(),
	}, err
}
