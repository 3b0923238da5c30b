package core_test

import (
	"errors"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

func entryOf(address string) taskstore.Entry {
	return taskstore.Entry{Kind: taskstore.EntryESS, Address: address, User: "admin", Password: "hunter2"}
}

// added wants e to be registered and returns the answer.
func (w *world) added(e taskstore.Entry) taskstore.Entry {
	w.Helper()
	got, err := w.AddEntry(w.Context(), admin, e)
	must(w.T, err)
	return got
}

// wantNoPassword looks into every field: Sealed is in no JSON.
func wantNoPassword(t *testing.T, answers ...taskstore.Entry) {
	t.Helper()
	for _, e := range answers {
		if e.Password != "" || e.Sealed != "" {
			t.Errorf("an answer holds the password %q, sealed %q", e.Password, e.Sealed)
		}
	}
}

func TestNoAnswerHoldsAPassword(t *testing.T) {
	w := newWorldWithoutArray(t)
	added := w.added(entryOf("ess1"))
	wantNoPassword(t, added)
	if added.Address != "ess1" || added.User != "admin" || added.Added.IsZero() {
		t.Errorf("added %+v", added)
	}
	all, err := w.Entries(admin, "")
	must(t, err)
	wantNoPassword(t, all...)
	changed, err := w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "ess1", taskstore.Entry{Password: "hunter3"})
	must(t, err)
	wantNoPassword(t, changed)
	for _, e := range []taskstore.Entry{
		entryOf("ess1"), entryOf("no address"), {Kind: "x", Address: "a", User: "u", Password: "hunter2"},
	} {
		answer, err := w.AddEntry(w.Context(), admin, e)
		wantFault(t, err, fault.Usage, "", "")
		wantNoPassword(t, answer)
		answer, err = w.AddEntry(w.Context(), operator, e)
		wantFault(t, err, fault.Denied, "", "")
		wantNoPassword(t, answer)
	}
	for _, change := range []taskstore.Entry{
		{Address: "ess2", Password: "hunter2"}, {Alternate: "a@b", Password: "hunter2"},
	} {
		answer, err := w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "ess1", change)
		wantFault(t, err, fault.Usage, "", "")
		wantNoPassword(t, answer)
	}
	stored, err := w.Store.Entries().Get("ess/ess1")
	must(t, err)
	opened, err := w.Box.Open(stored.SealLabel(), stored.Sealed)
	if opened != "hunter3" || err != nil || stored.Password != "" || strings.Contains(stored.Sealed, "hunter") {
		t.Errorf("stored %+v, opened %q, %v", stored, string(opened), err)
	}
}

func TestEntriesByKind(t *testing.T) {
	w := newWorldWithoutArray(t)
	w.added(entryOf("ess1"))
	server := entryOf("10.0.0.5")
	server.Kind, server.Alternate = taskstore.EntryESSServer, "10.0.0.6"
	w.added(server)
	for kind, want := range map[taskstore.EntryKind]int{
		"": 2, taskstore.EntryESS: 1, taskstore.EntryESSServer: 1,
	} {
		all, err := w.Entries(admin, kind)
		if len(all) != want || err != nil {
			t.Errorf("of kind %q %+v, %v", kind, all, err)
		}
	}
	w.refused(fault.Usage, `"x" is no kind of entry`, "ess and essserver", func() error {
		return failed(w.Entries(admin, "x"))
	})
	w.refused(fault.Usage, `"x" is no kind of entry`, "ess and essserver", func() error {
		return failed(w.AddEntry(w.Context(), admin, taskstore.Entry{Kind: "x", Address: "a", User: "u", Password: "p"}))
	})
}

func TestEntriesThatCannotBe(t *testing.T) {
	w := newWorldWithoutArray(t)
	w.added(entryOf("ESS1"))
	without, alternate, nobody := entryOf("ess2"), entryOf("ess2"), entryOf("ess2")
	without.Password, alternate.Alternate, nobody.User = "", "a@b", ""
	for _, c := range []struct {
		entry      taskstore.Entry
		text, hint string
	}{
		{without, "an entry needs a password", ""},
		{alternate, `"a@b" is no address`, "a host name or an IP address"},
		{nobody, "a user needs a name", ""},
		{entryOf(""), `"" is no address`, "a host name or an IP address"},
		{entryOf("1.2.3"), `"1.2.3" is no address`, ""},
		{entryOf("ess1"), "an entry named ess/ESS1 exists already", ""},
	} {
		w.refused(fault.Usage, c.text, c.hint, func() error {
			err := failed(w.AddEntry(w.Context(), admin, c.entry))
			if errors.Is(err, fault.ErrExists) != strings.Contains(c.text, "exists already") {
				t.Errorf("%v: it is ErrExists, or is not", err)
			}
			return err
		})
	}
}

// TestAddressOfEntryStays also where it is spelt in another way.
func TestAddressOfEntryStays(t *testing.T) {
	w := newWorldWithoutArray(t)
	w.added(entryOf("0:0::1"))
	w.refused(fault.Usage, "the address of an entry does not change", "add one for the new", func() error {
		return failed(w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "::1", taskstore.Entry{Address: "::2"}))
	})
	w.refused(fault.Usage, "does not change", "", func() error {
		change := taskstore.Entry{Kind: taskstore.EntryESSServer, User: "root"}
		return failed(w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "::1", change))
	})
	w.refused(fault.Usage, `"a@b" is no address`, "", func() error {
		change := taskstore.Entry{Alternate: "a@b", User: "root", Password: "hunter3"}
		return failed(w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "::1", change))
	})
	before, err := w.Store.Entries().Get("ess/0:0::1")
	must(t, err)
	got, err := w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "::1",
		taskstore.Entry{Address: "0::0:1", User: "root", Alternate: "::3"})
	must(t, err)
	if got.Address != "0:0::1" || got.User != "root" || got.Alternate != "::3" {
		t.Errorf("changed to %+v", got)
	}
	after, err := w.Store.Entries().Get("ess/0:0::1")
	if err != nil || after.Sealed != before.Sealed {
		t.Errorf("the password has changed, %v", err)
	}
}

// TestEntriesOfEarlierVersions have addresses that no new one may have.
func TestEntriesOfEarlierVersions(t *testing.T) {
	w := newWorldWithoutArray(t)
	must(t, w.Store.Entries().Put(taskstore.Entry{Kind: taskstore.EntryESS, Address: "a@b", User: "u"}))
	must(t, failed(w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "A@b", taskstore.Entry{User: "root"})))
	must(t, w.DeleteEntry(admin, taskstore.EntryESS, "a@b"))
}

func TestEntriesThatAreNotThere(t *testing.T) {
	w := newWorldWithoutArray(t)
	server := entryOf("ess1")
	server.Kind = taskstore.EntryESSServer
	w.added(server)
	const text, hint = `no entry named "ess/ess1"`, "lsess and lsessserver"
	w.refused(fault.NotFound, text, hint, func() error {
		return failed(w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "ess1", taskstore.Entry{User: "u"}))
	})
	w.refused(fault.NotFound, text, hint, func() error {
		return w.DeleteEntry(admin, taskstore.EntryESS, "ess1")
	})
	must(t, w.DeleteEntry(admin, taskstore.EntryESSServer, "ESS1"))
	if all, err := w.Entries(admin, ""); len(all) != 0 || err != nil {
		t.Errorf("entries %+v, %v", all, err)
	}
}
