package core

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/taskstore"
	"copyservices/taskstore/notation"
)

// AddRegistered makes the arrays that are registered in the store ones that the server
// drives. One that cannot be is logged and kept, and so it is listed with the entries.
// The error is that of the store.
func AddRegistered(p Parts) error {
	all, err := p.Store.Entries().List()
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Driver == "" {
			continue
		}
		a, err := registered(p, e)
		if err == nil {
			err = p.Arrays.Add(a)
		}
		if err != nil {
			p.Logger.Error("a registered array is not used", "address", e.Address, "array", e.Array,
				"error", err)
		}
	}
	return nil
}

// registered returns what e stands for.
func registered(p Parts, e taskstore.Entry) (a arrays.Added, err error) {
	driver, ok := p.Drivers[e.Driver]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(p.Drivers)), ", ")
		return a, fault.New(fault.Usage, "%.40q is no driver of this server", e.Driver).
			WithHint("it has %s", known)
	}
	password, err := p.Box.Open(e.SealLabel(), e.Sealed)
	if err != nil {
		return a, err
	}
	login := arrays.Login{
		Addresses: []string{e.Address}, User: e.User, Password: string(password), Fingerprint: e.Fingerprint,
	}
	if e.Alternate != "" {
		login.Addresses = append(login.Addresses, e.Alternate)
	}
	if e.Array != "" {
		if login.Array, err = arrayclient.ParseArrayID(e.Array); err != nil {
			return a, err
		}
	}
	return arrays.Added{
		ID: login.Array, Driver: e.Driver, Limits: arrays.DefaultLimits(), Logger: p.Logger,
		Open: func(ctx context.Context) (arrayclient.Array, error) { return driver(ctx, login) },
	}, nil
}

// identify asks the array of e who it is, if anything drives it, and notes that in e.
// The error says that nothing was registered.
func identify(ctx context.Context, p Parts, e *taskstore.Entry) error {
	if e.Driver == "" {
		return nil
	}
	if e.Fingerprint != "" {
		var err error
		if e.Fingerprint, err = notation.ParseFingerprint(e.Fingerprint); err != nil {
			return err
		}
	}
	a, err := registered(p, *e)
	if err != nil {
		return err
	}
	facts, err := arrays.Identify(ctx, a.Open, a.Limits.Read)
	if err != nil {
		return notReached(e.Address, err)
	}
	if told := facts.ID.String(); e.Array != "" && e.Array != told {
		return fault.New(fault.Refused, "at %s is array %s, not %s", e.Address, told, e.Array)
	}
	e.Array = facts.ID.String()
	return nil
}

// notReached is the error of an array that does not tell who it is. That it denies the
// user does not mean the one who asks this server.
func notReached(address string, err error) error {
	kind := fault.KindOf(err)
	if kind == fault.Denied {
		kind = fault.Refused
	}
	return fault.New(kind, "the array at %s was not reached: %w", address, err).
		WithHint("%s", cmp.Or(fault.HintOf(err),
			"nothing was changed; see to the address, user, password and fingerprint"))
}
