package core

import (
	"cmp"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/secrets"
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

// AddEntry registers an array or a server, with its password.
func (c *Core) AddEntry(by Caller, e taskstore.Entry) (added taskstore.Entry, err error) {
	if err := by.May(ManageEntries); err != nil {
		return added, err
	}
	if e.Password == "" {
		return added, fault.New(fault.Usage, "an entry needs a password")
	}
	if err := checkAddresses(e.Address, cmp.Or(e.Alternate, e.Address)); err != nil {
		return added, err
	}
	c.entries.Lock()
	defer c.entries.Unlock()
	if old, err := c.entry(e.Kind, e.Address); err == nil {
		return added, fault.New(fault.Usage, "an entry named %s %w",
			taskstore.EntryName(old.Kind, old.Address), fault.ErrExists)
	}
	e.Added = now()
	c.seal(&e)
	return withoutPassword(e), c.Store.Entries().Create(e)
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
// password is sealed for its address, which therefore stays.
func (c *Core) ChangeEntry(
	by Caller, kind taskstore.EntryKind, address string, change taskstore.Entry,
) (changed taskstore.Entry, err error) {
	if err := by.May(ManageEntries); err != nil {
		return changed, err
	}
	c.entries.Lock()
	defer c.entries.Unlock()
	e, err := c.entry(kind, address)
	if err != nil {
		return changed, err
	}
	if change.Kind != "" && change.Kind != e.Kind ||
		change.Address != "" && !notation.SameAddress(change.Address, e.Address) {
		return changed, fault.New(fault.Usage, "the address of an entry does not change").
			WithHint("remove the entry and add one for the new address")
	}
	if change.User != "" {
		e.User = change.User
	}
	if change.Alternate != "" {
		if err := checkAddresses(change.Alternate); err != nil {
			return changed, err
		}
		e.Alternate = change.Alternate
	}
	if change.Password != "" {
		e.Password = change.Password
		c.seal(&e)
	}
	return withoutPassword(e), c.Store.Entries().Put(e)
}

// DeleteEntry removes an entry, and its password with it.
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
	return c.Store.Entries().Delete(taskstore.EntryName(e.Kind, e.Address))
}
