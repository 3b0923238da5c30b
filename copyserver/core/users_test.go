package core_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/access"
	"copyservices/copyserver/core"
	"copyservices/taskstore"
)

// user creates one with the password "secret" and returns it as a caller.
func (w *world) user(role taskstore.Role) core.Caller {
	w.Helper()
	change := core.UserChange{Name: w.name(), Password: "secret", Role: role}
	u, err := w.CreateUser(w.Context(), admin, change)
	must(w.T, err)
	return core.Caller{Name: u.Name, Role: u.Role}
}

// passes reports whether that password is good.
func (w *world) passes(name, password string) bool {
	w.Helper()
	_, err := w.Passwords.Login(w.Context(), name, password, netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		wantFault(w.T, err, fault.Denied, "wrong user or password", "")
	}
	return err == nil
}

// notChanged wants a change to be refused.
func (w *world) notChanged(
	by core.Caller, name string, change core.UserChange, kind fault.Kind, text, hint string,
) {
	w.Helper()
	w.refused(kind, text, hint, func() error {
		return failed(w.ChangeUser(w.Context(), by, name, change))
	})
}

func TestNoAnswerHoldsAHash(t *testing.T) {
	w := newWorldWithoutArray(t)
	u := core.UserChange{Name: "Op", Password: "secret"}
	created, err := w.CreateUser(w.Context(), admin, u)
	must(t, err)
	if created.Role != taskstore.RoleOperator || created.Created.IsZero() {
		t.Errorf("created %+v", created)
	}
	again, err := w.CreateUser(w.Context(), admin, u)
	wantFault(t, err, fault.Usage, "a user named Op exists already", "")
	if !errors.Is(err, fault.ErrExists) {
		t.Errorf("%v is not ErrExists", err)
	}
	changed, err := w.ChangeUser(w.Context(), admin, "op", core.UserChange{Password: "other"})
	must(t, err)
	renamed, err := w.ChangeUser(w.Context(), admin, "op", core.UserChange{Name: "x"})
	wantFault(t, err, fault.Usage, "the name of a user does not change", "")
	all, err := w.Users(admin)
	must(t, err)
	if len(all) != 2 || changed.Name != "Op" {
		t.Errorf("users %+v, changed %+v", all, changed)
	}
	for _, u := range append(all, created, again, changed, renamed) {
		if u.Hash != "" {
			t.Errorf("an answer holds the hash of %s", u.Name)
		}
	}
}

func TestUsersThatCannotBe(t *testing.T) {
	w := newWorldWithoutArray(t)
	for _, c := range []struct {
		change     core.UserChange
		text, hint string
	}{
		{core.UserChange{Password: "p"}, "a user needs a name", ""},
		{core.UserChange{Name: "a:b", Password: "p"}, "name of a user has no ':'", ""},
		{core.UserChange{Name: "a"}, "a user needs a password", ""},
		{core.UserChange{Name: "a", Password: strings.Repeat("p", access.MaxPassword+1)},
			"a password has at most 1024 bytes", ""},
		{core.UserChange{Name: "a", Password: "p", Role: "root"}, `"root" is no role`, "admin, operator and"},
		{core.UserChange{Name: "SuperUser", Password: "p"}, "a user named superuser exists already", ""},
	} {
		w.refused(fault.Usage, c.text, c.hint, func() error {
			return failed(w.CreateUser(w.Context(), admin, c.change))
		})
	}
}

func TestOwnPasswordOnly(t *testing.T) {
	w := newWorldWithoutArray(t)
	watcher, other := w.user(taskstore.RoleMonitor), w.user(taskstore.RoleMonitor)
	before := w.passes(watcher.Name, "secret")
	changed, err := w.ChangeUser(w.Context(), watcher, strings.ToUpper(watcher.Name),
		core.UserChange{Password: "mine"})
	must(t, err)
	if !before || changed.Name != watcher.Name || !w.passes(watcher.Name, "mine") ||
		w.passes(watcher.Name, "secret") {
		t.Errorf("changed %+v, and what passes is not the new password alone", changed)
	}
	for name, change := range map[string]core.UserChange{
		other.Name:   {Password: "x"},
		"nobody":     {Password: "x"},
		"superuser":  {Password: "x"},
		watcher.Name: {Password: "x", Role: taskstore.RoleMonitor},
	} {
		w.notChanged(watcher, name, change, fault.Denied, "this needs the role admin", "an admin")
	}
	w.notChanged(watcher, watcher.Name, core.UserChange{Name: "x", Password: "x"}, fault.Usage,
		"the name of a user does not change", "")
	w.notChanged(watcher, watcher.Name, core.UserChange{Password: strings.Repeat("p", 2000)}, fault.Usage,
		"a password has at most", "")
}

// TestUsersWhoseAccentsDiffer were two in early versions: neither may change the
// other's password.
func TestUsersWhoseAccentsDiffer(t *testing.T) {
	w := newWorldWithoutArray(t)
	must(t, failed(w.CreateUser(w.Context(), admin, core.UserChange{Name: "Ren\u00e9", Password: "p"})))
	w.notChanged(core.Caller{Name: "Rene\u0301", Role: taskstore.RoleMonitor}, "ren\u00e9",
		core.UserChange{Password: "x"}, fault.Denied, "this needs the role admin", "")
}

func TestLastAdminStays(t *testing.T) {
	w := newWorldWithoutArray(t)
	const last, hint = "user superuser is the last with the role admin", "make another user admin first"
	demote := core.UserChange{Role: taskstore.RoleMonitor}
	w.user(taskstore.RoleOperator)
	w.notChanged(admin, "SUPERUSER", demote, fault.Refused, last, hint)
	w.refused(fault.Refused, last, hint, func() error { return w.DeleteUser(admin, "SuperUser") })
	must(t, failed(w.ChangeUser(w.Context(), admin, "superuser", core.UserChange{Role: taskstore.RoleAdmin})))
	boss := w.user(taskstore.RoleAdmin)
	must(t, failed(w.ChangeUser(w.Context(), boss, "superuser", demote)))
	w.refused(fault.Refused, "user "+boss.Name+" is the last", hint, func() error {
		return w.DeleteUser(boss, boss.Name)
	})
	must(t, w.DeleteUser(boss, "superuser"))
	w.notChanged(boss, boss.Name, demote, fault.Refused, "is the last", hint)
}

func TestRoleThatIsNone(t *testing.T) {
	w := newWorldWithoutArray(t)
	for _, name := range []string{"superuser", w.user(taskstore.RoleMonitor).Name} {
		w.notChanged(admin, name, core.UserChange{Role: "root"}, fault.Usage, `"root" is no role`,
			"admin, operator and monitor")
	}
}

func TestDeletedUserIsForgotten(t *testing.T) {
	w := newWorldWithoutArray(t)
	watcher := w.user(taskstore.RoleMonitor)
	if !w.passes(watcher.Name, "secret") {
		t.Error("the password is not good")
	}
	must(t, w.DeleteUser(admin, watcher.Name))
	if w.passes(watcher.Name, "secret") {
		t.Error("a deleted user can log in")
	}
	const hint = "lsuser"
	w.refused(fault.NotFound, "no user named", hint, func() error { return w.DeleteUser(admin, watcher.Name) })
	w.notChanged(admin, watcher.Name, core.UserChange{Password: "x"}, fault.NotFound, "no user named", hint)
}
