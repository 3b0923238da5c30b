package core

import (
	"cmp"
	"context"
	"errors"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/secrets"
	"copyservices/export"
	"copyservices/taskstore"
	"copyservices/taskstore/notation"
)

const entryHint = "lsess and lsessserver of setdevice show which there are"

// Entries returns the registered arrays and servers of a kind, of all kinds for the
// empty one. No password is in them, sealed or not.
func (c *Core) Entries(by Caller, kind taskstore.EntryKind) ([]taskstore.Entry, error) {
	if err := by.May(ManageEntries); err != nil {
		return nil, err
	}
	if kind != "" && kind != taskstore.EntryESS && kind != taskstore.EntryESSServer {
		return nil, fault.New(fault.Usage, "%.20q is no kind of entry", kind).
			WithHint("the kinds are ess and essserver")
	}
	all, err := c.Store.Entries().List()
	if err != nil {
		return nil, err
	}
	var out []taskstore.Entry
	for _, e := range all {
		if kind == "" || e.Kind == kind {
			out = append(out, withoutPassword(e))
		}
	}
	return out, nil
}

func withoutPassword(e taskstore.Entry) taskstore.Entry {
	e.Password, e.Sealed = "", ""
	return e
}

// AddEntry registers an array or a server, with its password. An array with a driver is
// asked who it is, and is used from then on; one without is only kept.
func (c *Core) AddEntry(
	ctx context.Context, by Caller, e taskstore.Entry,
) (added taskstore.Entry, err error) {
	if err := by.May(ManageEntries); err != nil {
		return added, err
	}
	if e.Password == "" {
		return added, fault.New(fault.Usage, "an entry needs a password")
	}
	if err := checkAddresses(e.Address, cmp.Or(e.Alternate, e.Address)); err != nil {
		return added, err
	}
	if old, err := c.entry(e.Kind, e.Address); err == nil {
		return added, entryExists(old)
	}
	e.Added = now()
	c.seal(&e)
	if err := identify(ctx, c.Parts, &e); err != nil {
		return added, err
	}
	c.entries.Lock()
	defer c.entries.Unlock()
	if old, err := c.entry(e.Kind, e.Address); err == nil {
		return added, entryExists(old)
	}
	if err := c.use(e); err != nil {
		return added, err
	}
	if err := c.Store.Entries().Create(e); err != nil {
		return added, errors.Join(err, c.disuse(e))
	}
	return withoutPassword(e), nil
}

func entryExists(e taskstore.Entry) error {
	return fault.New(fault.Usage, "an entry named %s %w", taskstore.EntryName(e.Kind, e.Address),
		fault.ErrExists)
}

// use makes the array of e one that the server drives, if anything drives it.
func (c *Core) use(e taskstore.Entry) error {
	if e.Driver == "" {
		return nil
	}
	a, err := registered(c.Parts, e)
	if err != nil {
		return err
	}
	return c.Arrays.Add(a)
}

// disuse undoes use. It is refused while the array answers and runs work on it, or hosts
// have volumes of it attached.
func (c *Core) disuse(e taskstore.Entry) error {
	if e.Driver == "" {
		return nil
	}
	id, err := arrayclient.ParseArrayID(e.Array)
	if err != nil {
		return err
	}
	err = c.Arrays.Remove(id, func() error { return c.idle(id) })
	if fault.KindOf(err) == fault.NotFound {
		return nil // it could not be used
	}
	return err
}

func (c *Core) idle(id arrayclient.ArrayID) error {
	mine := func(serial arrayclient.Serial) bool { return serial.ArraySerial() == id.Serial }
	if serial, by := c.Attached.Any(mine); by != nil {
		return export.InUse(serial, by)
	}
	if run, ok := c.Runner.Working(mine); ok && c.Arrays.Answers(id) {
		return fault.New(fault.Busy, "run %s of task %s works on array %s", run.ID, run.Task, id).
			WithHint("esscli show run %s tells how far it is", run.ID)
	}
	return nil
}

// checkAddresses holds what is about to be stored against the rule of all addresses.
// The store itself also takes what earlier versions took.
func checkAddresses(addresses ...string) error {
	for _, s := range addresses {
		if _, err := notation.ParseAddress(s); err != nil {
			return fault.New(fault.Usage, "%.80q is no address", s).
				WithHint("an address is a host name or an IP address, or one of them with a port")
		}
	}
	return nil
}

// entry returns the one of that address, however that is spelt; one with the very
// name comes first.
func (c *Core) entry(kind taskstore.EntryKind, address string) (taskstore.Entry, error) {
	e, missing := c.Store.Entries().Get(taskstore.EntryName(kind, address))
	if missing == nil {
		return e, nil
	}
	all, err := c.Store.Entries().List()
	if err != nil {
		return e, err
	}
	for _, e := range all {
		if e.Kind == kind && notation.SameAddress(e.Address, address) {
			return e, nil
		}
	}
	return e, noSuch(missing, entryHint)
}

// seal replaces the password of e by its sealed form.
func (c *Core) seal(e *taskstore.Entry) {
	e.Sealed = c.Box.Seal(e.SealLabel(), secrets.Secret(e.Password))
	e.Password = ""
}

// ChangeEntry changes what change names and keeps what it leaves empty. An entry's
// password is sealed for its address, which therefore stays. An array that is driven is
// asked with what is new whether it is still the same.
func (c *Core) ChangeEntry(
	ctx context.Context, by Caller, kind taskstore.EntryKind, address string, change taskstore.Entry,
) (changed taskstore.Entry, err error) {
	if err := by.May(ManageEntries); err != nil {
		return changed, err
	}
	old, err := c.entry(kind, address)
	if err != nil {
		return changed, err
	}
	e, err := c.changed(old, change)
	if err != nil {
		return changed, err
	}
	if err := identify(ctx, c.Parts, &e); err != nil {
		return changed, err
	}
	c.entries.Lock()
	defer c.entries.Unlock()
	if again, err := c.entry(kind, address); err != nil || again != old {
		return changed, cmp.Or(err, error(fault.New(fault.Busy, "the entry was changed meanwhile")))
	}
	if err := c.disuse(old); err != nil {
		return changed, err
	}
	err = c.Store.Entries().Put(e)
	if err != nil {
		e = old
	}
	return withoutPassword(e), errors.Join(err, c.use(e))
}

// changed returns e with what change names.
func (c *Core) changed(e, change taskstore.Entry) (taskstore.Entry, error) {
	if change.Kind != "" && change.Kind != e.Kind ||
		change.Address != "" && !notation.SameAddress(change.Address, e.Address) ||
		change.Driver != "" && change.Driver != e.Driver || change.Array != "" && change.Array != e.Array {
		return e, fault.New(fault.Usage, "the address of an entry does not change, nor what is there").
			WithHint("remove the entry and add one for the new address")
	}
	e.User = cmp.Or(change.User, e.User)
	e.Fingerprint = cmp.Or(change.Fingerprint, e.Fingerprint)
	if change.Alternate != "" {
		if err := checkAddresses(change.Alternate); err != nil {
			return e, err
		}
		e.Alternate = change.Alternate
	}
	if change.Password != "" {
		e.Password = change.Password
		c.seal(&e)
	}
	return e, nil
}

// DeleteEntry removes an entry, and its password with it. An array that is driven is not
// used any more; nothing is changed in it.
func (c *Core) DeleteEntry(by Caller, kind taskstore.EntryKind, address string) error {
	if err := by.May(ManageEntries); err != nil {
		return err
	}
	c.entries.Lock()
	defer c.entries.Unlock()
	e, err := c.entry(kind, address)
	if err != nil {
		return err
	}
	if err := c.disuse(e); err != nil {
		return err
	}
	if err := c.Store.Entries().Delete(taskstore.EntryName(e.Kind, e.Address)); err != nil {
		return errors.Join(err, c.use(e))
	}
	return nil
}
