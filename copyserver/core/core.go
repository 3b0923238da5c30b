// Package core is what callers may do with a server: with its users, hosts, tasks,
// runs, volumes, relationships, credentials and registered arrays. All rules live
// here, whatever way a caller comes in. A method takes who asks and returns a fault
// whose kind tells every protocol what went wrong; it knows none of them.
package core

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/access"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/runner"
	"copyservices/copyserver/secrets"
	"copyservices/export"
	"copyservices/taskstore"
)

// Parts are what a Core works with. None may be nil.
type Parts struct {
	Store     taskstore.Store
	Box       *secrets.Box // seals passwords of registered arrays and servers
	Arrays    *arrays.Registry
	Drivers   map[string]arrays.Driver // of registered arrays, by their words
	Runner    *runner.Runner
	Attached  *export.Attachments
	Passwords *access.Authenticator
	Access    *access.Hosts // of hosts to volumes
	Logger    *slog.Logger
}

// Core is a server without a way in. Its methods may be called from many goroutines.
type Core struct {
	Parts

	users   sync.Mutex // held over changes that must leave an admin
	entries sync.Mutex // held over changes of an entry
	hosts   sync.Mutex // held over changes of a host
	volumes sync.Mutex // held over changes and deletions of volumes
	issued  sync.Mutex // held over changes of credentials
}

// New returns a Core of its parts. Runs of tasks warn of attached hosts from then on.
func New(parts Parts) *Core {
	parts.Runner.Overwritten = parts.Attached.Overwritten
	return &Core{Parts: parts}
}

// Caller is who asks.
type Caller struct {
	Name string
	Role taskstore.Role
	// DefaultPassword: it is still the one that every new server starts with.
	DefaultPassword bool
}

// Act is something that callers do, by the role that it takes at least.
type Act struct{ Role taskstore.Role }

// The acts. What a caller may do with a thing may depend on the thing too; then the
// act has the least role of all.
var (
	Look = Act{taskstore.RoleMonitor} // at all that is not named below

	PrimeHost  = Act{taskstore.RoleOperator}
	DeleteHost = Act{taskstore.RoleAdmin}

	WriteTask = Act{taskstore.RoleAdmin}
	RunTask   = Act{taskstore.RoleOperator}
	DeleteRun = Act{taskstore.RoleAdmin}

	ChangeArray  = Act{taskstore.RoleAdmin}
	ChangeVolume = Act{taskstore.RoleAdmin} // create and delete too
	ReadContent  = Act{taskstore.RoleAdmin}
	WriteContent = Act{taskstore.RoleAdmin}
	ActOnPairs   = Act{taskstore.RoleAdmin} // without a stored task

	ManageCredentials = Act{taskstore.RoleAdmin}
	ManageUsers       = Act{taskstore.RoleAdmin}
	ChangeUser        = Act{taskstore.RoleMonitor} // everybody their own password
	ManageEntries     = Act{taskstore.RoleAdmin}
)

// ErrForbidden marks a denial that no other password would change.
var ErrForbidden = errors.New("not allowed")

// May returns nil when the caller may do that, else an error of kind Denied.
func (by Caller) May(do Act) error {
	if by.Role.Includes(do.Role) {
		return nil
	}
	return fault.New(fault.Denied, "user %s has the role %s, this needs the role %s: %w",
		by.Name, by.Role, do.Role, ErrForbidden).
		WithHint("an admin can change the role: esscli set user")
}

// Pending is an act that was found to be possible and has done nothing yet. It goes on
// to its end whether the caller waits or not.
type Pending[T any] func(context.Context) (T, error)

func now() time.Time { return time.Now().UTC() }

// noSuch gives a NotFound its hint.
func noSuch(err error, hint string) error {
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	return fault.New(fault.NotFound, "%w", err).WithHint("%s", hint)
}
