package copyserver

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"copyservices/copyserver/rest"
	"copyservices/copyserver/state"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/secrets"
	"copyservices/taskstore"
)

// content returns the sparse stream of a volume.
func (w *world) content(serial string) []byte {
	w.Helper()
	resp, data := w.request("GET", "/v1/volumes/"+serial+"/content", nil, "Accept",
		api.SparseContentType)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != api.SparseContentType {
		w.Fatalf("content of %s: %s", serial, resp.Status)
	}
	return data
}

// TestRoles calls every route as every role, with requests that are refused
// for another reason when the role is enough.
func TestRoles(t *testing.T) {
	w := start(t, t.TempDir())
	users := map[taskstore.Role]*world{"": w.as("", "")}
	for _, role := range taskstore.Roles {
		users[role] = w.addUser(string(role), role)
	}
	fill := strings.NewReplacer("{name}", "nobody", "{id}", "none", "{serial}", "00013698",
		"{kind}", "ess", "{address}", "none")
	for _, r := range rest.Routes() {
		method, path, _ := strings.Cut(fill.Replace(r.Pattern), " ")
		for role, u := range users {
			resp, body := u.request(method, path, `{"unknown":1}`)
			var want func(status int) bool
			switch {
			case r.Role == "":
				want = func(status int) bool { return status == 200 }
			case role == "":
				want = func(status int) bool { return status == 401 }
			case role.Includes(r.Role) && !strings.HasPrefix(r.Pattern, "PATCH /v1/users"):
				want = func(status int) bool { return status != 401 && status != 403 && status < 500 }
			case role.Includes(r.Role):
				want = func(status int) bool { return status == 400 } // before the finer rule
			default:
				want = func(status int) bool { return status == 403 }
			}
			if !want(resp.StatusCode) {
				t.Errorf("%s as %q: %s %s", r.Pattern, role, resp.Status, body)
			}
			if resp.StatusCode == 401 && resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: 401 without WWW-Authenticate", r.Pattern)
			}
		}
	}
}

func TestOwnPassword(t *testing.T) {
	w := start(t, t.TempDir())
	op := w.addUser("op", taskstore.RoleOperator)
	op.do("PATCH", "/v1/users/OP", api.UserChange{Password: "new"}, 200, nil)
	op.refused("GET", "/v1/tasks", nil, 401, fault.Denied, "wrong user or password")
	op = w.as("op", "new")
	op.do("GET", "/v1/tasks", nil, 200, nil)
	for _, c := range []struct {
		user   string
		change api.UserChange
	}{
		{"op", api.UserChange{Role: taskstore.RoleAdmin}},
		{"op", api.UserChange{Password: "x", Role: taskstore.RoleOperator}},
		{"superuser", api.UserChange{Password: "x"}},
	} {
		op.refused("PATCH", "/v1/users/"+c.user, c.change, 403, fault.Denied, "role admin")
	}
	var me api.Server
	op.do("GET", "/v1/server", nil, 200, &me)
	if me.User != "op" || me.Role != taskstore.RoleOperator || me.NBD != w.NBDAddr() {
		t.Errorf("server says %+v", me)
	}
}

func TestUsers(t *testing.T) {
	w := start(t, t.TempDir())
	for _, u := range []api.UserChange{
		{Name: "", Password: "p"}, {Name: "a:b", Password: "p"}, {Name: "a"},
		{Name: "a", Password: "p", Role: "root"}, {Name: "a", Password: strings.Repeat("p", 2000)},
	} {
		resp, body := w.request("POST", "/v1/users", u)
		if resp.StatusCode != 400 {
			t.Errorf("user %q: %s %s", u.Name, resp.Status, body)
		}
	}
	w.refused("POST", "/v1/users", api.UserChange{Name: "SUPERUSER", Password: "p"}, 409,
		fault.Usage, "a user named superuser exists already")
	last := "is the last with the role admin"
	w.refused("DELETE", "/v1/users/superuser", nil, 422, fault.Refused, last)
	demote := api.UserChange{Role: taskstore.RoleMonitor}
	w.refused("PATCH", "/v1/users/superuser", demote, 422, fault.Refused, last)
	w.refused("PATCH", "/v1/users/none", demote, 404, fault.NotFound, "none")
	w.refused("PATCH", "/v1/users/superuser", api.UserChange{Name: "x"}, 400, fault.Usage, "name")
	boss := w.addUser("boss", taskstore.RoleAdmin)
	boss.do("DELETE", "/v1/users/superuser", nil, 204, nil)
	w.refused("GET", "/v1/tasks", nil, 401, fault.Denied, "wrong user or password")
	boss.refused("DELETE", "/v1/users/boss", nil, 422, fault.Refused, last)
	var all []api.User
	boss.do("GET", "/v1/users", nil, 200, &all)
	if len(all) != 1 || all[0].Name != "boss" || all[0].DefaultPassword {
		t.Errorf("users %+v", all)
	}
}

func TestTooManyFailedLogins(t *testing.T) {
	w := start(t, t.TempDir())
	guess := w.as("superuser", "guess")
	w.do("GET", "/v1/tasks", nil, 200, nil) // the right one is remembered
	ctx, cancel := context.WithCancel(t.Context())
	var tries sync.WaitGroup
	turnedAway := make(chan string, 24)
	for range cap(turnedAway) {
		tries.Go(func() {
			resp, err := guess.rawContext(ctx, "GET", "/v1/tasks", nil)
			if err == nil && resp.StatusCode == 429 {
				turnedAway <- resp.Header.Get("Retry-After")
			}
		})
	}
	select {
	case after := <-turnedAway:
		if after == "" {
			t.Error("no Retry-After")
		}
	case <-time.After(30 * time.Second):
		t.Error("nobody was turned away")
	}
	cancel()
	tries.Wait()
	w.do("GET", "/v1/tasks", nil, 200, nil)
}

func TestEntriesAreSealed(t *testing.T) {
	dir := t.TempDir()
	w := start(t, dir)
	e := api.Entry{Kind: taskstore.EntryESS, Address: "ESS1", User: "admin", Password: "hunter2"}
	_, body := w.request("POST", "/v1/entries", e)
	_, list := w.request("GET", "/v1/entries?kind=ess", nil)
	for _, answer := range [][]byte{body, list} {
		if bytes.Contains(answer, []byte("hunter2")) || bytes.Contains(answer, []byte("x1:")) ||
			!bytes.Contains(answer, []byte("ESS1")) {
			t.Errorf("answer %s", answer)
		}
	}
	w.refused("POST", "/v1/entries", e, 409, fault.Usage, "exists already")
	e.Password = ""
	w.refused("POST", "/v1/entries", e, 400, fault.Usage, "password")
	w.refused("GET", "/v1/entries?kind=x", nil, 400, fault.Usage, "kind")
	w.refused("PATCH", "/v1/entries/ess/none", e, 404, fault.NotFound, "none")
	w.refused("PATCH", "/v1/entries/ess/ess1", api.Entry{Address: "b"}, 400, fault.Usage, "address")
	w.do("PATCH", "/v1/entries/ess/ess1", api.Entry{User: "root", Password: "hunter3"}, 200, nil)
	stored, err := w.core.Store.Entries().Get("ess/ess1")
	must(t, err)
	pass, err := w.core.Box.Open(stored.SealLabel(), stored.Sealed)
	if string(pass) != "hunter3" || err != nil || stored.User != "root" || stored.Address != "ESS1" {
		t.Errorf("stored %+v, %v", stored, err)
	}
	w.end()
	data, err := os.ReadFile(filepath.Join(dir, "entries", "ess%2Fess1.yaml"))
	must(t, err)
	if bytes.Contains(data, []byte("hunter")) {
		t.Errorf("on disk: %s", data)
	}
	wantInOrder(t, dir)
}

// TestAddressesOfEntries are compared by what they mean and kept as they were
// written. What an earlier version stored can still be changed and removed.
func TestAddressesOfEntries(t *testing.T) {
	w := start(t, t.TempDir())
	e := api.Entry{Kind: taskstore.EntryESS, User: "u", Password: "p"}
	for _, e.Address = range []string{"a@b", "http:a", "ess1:port", "[ess1]:5", "ess1:", "..", "käse", "1.2.3"} {
		w.refused("POST", "/v1/entries", e, 400, fault.Usage, "is no address")
	}
	for written, again := range map[string]string{
		"0:0::1": "::1", "[FE80::2]:8452": "[fe80:0::2]:08452", "ESS1": "ess1", "10.0.0.5": "10.0.0.5",
	} {
		e.Address = written
		w.do("POST", "/v1/entries", e, 201, nil)
		e.Address = again
		w.refused("POST", "/v1/entries", e, 409, fault.Usage, "an entry named ess/"+written+" exists already")
		path := "/v1/entries/ess/" + again
		w.do("PATCH", path, api.Entry{Address: again, User: "root"}, 200, &e)
		if e.Address != written || e.User != "root" {
			t.Errorf("%s is now %+v", written, e)
		}
		e.Password = "p"
		w.refused("PATCH", path, api.Entry{Alternate: "a@b"}, 400, fault.Usage, "is no address")
		w.do("DELETE", path, nil, 204, nil)
		w.refused("DELETE", path, nil, 404, fault.NotFound, "no entry named")
	}
	must(t, w.core.Store.Entries().Put(taskstore.Entry{Kind: taskstore.EntryESS, Address: "a@b", User: "u"}))
	w.do("PATCH", "/v1/entries/ess/A@b", api.Entry{User: "root"}, 200, nil)
	w.do("DELETE", "/v1/entries/ess/a@b", nil, 204, nil)
}

// TestCheckFindsDamage breaks one file after the other.
func TestCheckFindsDamage(t *testing.T) {
	for name, needed := range map[string]bool{
		"server.yaml": true, "secret.key": true,
		filepath.Join("tls", secrets.CertFile):   true,
		filepath.Join("tls", secrets.KeyFile):    true,
		filepath.Join("users", "superuser.yaml"): false,
		filepath.Join("entries", "ess%2Fa.yaml"): false,
	} {
		dir := t.TempDir()
		w := start(t, dir)
		e := api.Entry{Kind: taskstore.EntryESS, Address: "a", User: "u", Password: "p"}
		w.do("POST", "/v1/entries", e, 201, nil)
		w.end()
		wantInOrder(t, dir)
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, bytes.Repeat([]byte("x"), len(data)), 0o600))
		if errs := state.Check(dir); len(errs) == 0 {
			t.Errorf("%s: check finds nothing", name)
		}
		must(t, os.Remove(path))
		if errs := state.Check(dir); (len(errs) > 0) != needed {
			t.Errorf("%s is gone: check says %v", name, errs)
		}
	}
	if errs := state.Check(t.TempDir()); len(errs) != 1 || fault.KindOf(errs[0]) != fault.NotFound {
		t.Errorf("check of no state folder: %v", errs)
	}
}

func TestWrongKeyIsFound(t *testing.T) {
	dir := t.TempDir()
	w := start(t, dir)
	e := api.Entry{Kind: taskstore.EntryESS, Address: "a", User: "u", Password: "p"}
	w.do("POST", "/v1/entries", e, 201, nil)
	w.end()
	must(t, secrets.CreateKey(testSeams.fsys, filepath.Join(dir, "secret.key")))
	errs := state.Check(dir)
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "ess/a cannot be opened") {
		t.Errorf("check: %v", errs)
	}
}

func TestVolumeContent(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(1)[0]
	image := make([]byte, 1<<20)
	copy(image[300_000:], "the content")
	var stream bytes.Buffer
	out, err := api.NewSparseWriter(&stream, int64(len(image)))
	must(t, err)
	_, err = out.WriteAt(image, 0)
	must(t, err)
	must(t, out.Close())
	path := "/v1/volumes/" + v + "/content"
	put := func(data []byte, status int, kind fault.Kind, text string) {
		t.Helper()
		w.refused("PUT", path, io.NopCloser(bytes.NewReader(data)), status, kind, text,
			"Content-Type", api.SparseContentType)
	}
	w.do("PUT", path, bytes.NewReader(stream.Bytes()), 200, nil, "Content-Type", api.SparseContentType)
	if got := w.content(v); !bytes.Equal(got, stream.Bytes()) {
		t.Errorf("%d bytes came back, %d were sent", len(got), stream.Len())
	}
	if log := w.log.String(); strings.Contains(log, "status=0") {
		t.Errorf("an answer was logged without its status:\n%s", log)
	}
	put(stream.Bytes()[:stream.Len()-5], 400, fault.Usage, "cut off")
	put([]byte("GET / HTTP/1.1"), 400, fault.Usage, "")
	w.refused("PUT", path, "{}", 400, fault.Usage, "is sent as")
	var big bytes.Buffer
	_, err = api.NewSparseWriter(&big, 2<<20)
	must(t, err)
	put(big.Bytes(), 422, fault.Refused, "do not fit")
	w.refused("GET", "/v1/volumes/0FF13698/content", nil, 404, fault.NotFound, "0FF13698")
	w.refused("GET", "/v1/volumes/x/content", nil, 400, fault.Usage, "not a volume serial")
	if got := w.content(v); !bytes.Equal(got, stream.Bytes()[:len(got)]) {
		t.Error("refused content changed the volume")
	}
}
