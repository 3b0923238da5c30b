package shell

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore"
)

// fakeEntries keeps entries as the server does, passwords too.
type fakeEntries struct {
	mu      sync.Mutex
	entries []api.Entry
}

func serveEntries(f *rsclitest.Server) *fakeEntries {
	kept := &fakeEntries{}
	f.Handle("POST /v1/entries", func(w http.ResponseWriter, r *http.Request) {
		var e api.Entry
		_ = json.NewDecoder(r.Body).Decode(&e)
		kept.mu.Lock()
		defer kept.mu.Unlock()
		for _, old := range kept.entries {
			if old.Address == e.Address {
				rsclitest.SendFault(w, http.StatusConflict,
					fault.New(fault.Usage, "an entry for %s exists already", e.Address))
				return
			}
		}
		kept.entries = append(kept.entries, e)
		e.Password = ""
		rsclitest.SendJSON(w, http.StatusCreated, e)
	})
	f.Handle("GET /v1/entries", func(w http.ResponseWriter, r *http.Request) {
		var found []api.Entry
		for _, e := range kept.all() {
			if e.Kind == api.EntryKind(r.URL.Query().Get("kind")) {
				e.Password = ""
				found = append(found, e)
			}
		}
		rsclitest.SendJSON(w, http.StatusOK, found)
	})
	return kept
}

func (k *fakeEntries) all() []api.Entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.entries)
}

func TestSetDeviceFromArguments(t *testing.T) {
	f := rsclitest.NewServer(t)
	kept := serveEntries(f)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewSetDevice, "-s", f.Addr(), "addess", "10.0.0.5", "admin", "pa ss"), 0)
	if got := b.Out.String(); got != "A provider entry for IP 10.0.0.5 successfully added\n" {
		t.Errorf("addess says %q", got)
	}
	b.Expect(b.Run(NewSetDevice, "-s", f.Addr(), "addesserver", "10.0.0.6", "u", "p", "10.0.0.7"), 0)
	if got := b.Out.String(); got != "An essserver entry for IP 10.0.0.6 successfully added\n" {
		t.Errorf("addesserver says %q", got)
	}
	want := []api.Entry{
		{Kind: taskstore.EntryESS, Address: "10.0.0.5", User: "admin", Password: "pa ss"},
		{Kind: taskstore.EntryESSServer, Address: "10.0.0.6", User: "u", Password: "p",
			Alternate: "10.0.0.7"},
	}
	if got := kept.all(); !slices.Equal(got, want) {
		t.Errorf("the server has %+v", got)
	}
	b.Expect(b.Run(NewSetDevice, "-s", f.Addr(), "addess", "10.0.0.5", "a", "b"), 2,
		"setdevice: error: an entry for 10.0.0.5 exists already\n")
	b.Expect(b.Run(NewSetDevice, "-s", f.Addr(), "lsessserver"), 0)
	rsclitest.CheckTable(t, b.Out.String(), [][]string{
		{"ip", "user", "added", "alternate-ip"}, {"10.0.0.6", "u", "-", "10.0.0.7"},
	})
}

func TestSetDeviceChangesAndRemoves(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("PATCH /v1/entries/ess/10.0.0.5", http.StatusOK, api.Entry{})
	f.Reply("DELETE /v1/entries/essserver/10.0.0.6", http.StatusNoContent, nil)
	b := rsclitest.NewBench(t)
	for want, args := range map[string][]string{
		"A provider entry for IP 10.0.0.5 successfully changed\n":   {"chess", "10.0.0.5", "u", "p"},
		"An essserver entry for IP 10.0.0.6 successfully removed\n": {"rmessserver", "10.0.0.6"},
	} {
		b.Expect(b.Run(NewSetDevice, append([]string{"-s", f.Addr()}, args...)...), 0)
		if got := b.Out.String(); got != want {
			t.Errorf("%q says %q", args, got)
		}
	}
	b.Expect(b.Run(NewSetDevice, "-s", f.Addr(), "rmess", "10.9.9.9"), 10)
}

func TestShellUsageErrorsNeedNoServer(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"adess", "a", "b", "topsecret"}, `unknown command "adess"`},
		{[]string{"addess", "a"}, "addess IP USER PASS"},
		{[]string{"addess", "a", "b"}, "addess IP USER PASS"},
		{[]string{"addess", "a", "b", "topsecret", "d"}, "addess IP USER PASS"},
		{[]string{"lsess", "all"}, "lsess takes other arguments"},
	}
	for _, tt := range tests {
		b := rsclitest.NewBench(t)
		b.Expect(b.Run(NewSetDevice, append([]string{"-s", rsclitest.ClosedPort(t)}, tt.args...)...), 2, tt.want)
		if strings.Contains(b.Err.String(), "topsecret") {
			t.Errorf("%q: the password is in %s", tt.args, &b.Err)
		}
	}
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewSetUser, "-s", rsclitest.ClosedPort(t), "help"), 0)
	if !strings.Contains(b.Out.String(), "adduser USER PASS") {
		t.Errorf("help prints %s", &b.Out)
	}
	b.Expect(b.Run(NewSetUser, "-s", rsclitest.ClosedPort(t), "--password-file", "-"), 2, "standard input")
}

func TestBatch(t *testing.T) {
	f := rsclitest.NewServer(t)
	kept := serveEntries(f)
	b := rsclitest.NewBench(t)
	b.Stdin = strings.NewReader("\ufeff# the arrays\r\n\r\n  addess 10.0.0.5 admin 'pa ss'\r\n" +
		"lsess\r\naddess 10.0.0.5 a topsecret\nadess x y topsecret\naddess 1 2 'topsecret\n" +
		"addessserver 10.0.0.6 u p\nexit\naddess 10.0.0.9 never run")
	b.Expect(b.Run(NewSetDevice, "-s", f.Addr()), 2,
		"setdevice: error: line 5: an entry for 10.0.0.5 exists already\n",
		"setdevice: error: line 6: unknown command \"adess\"\n",
		"setdevice: error: line 7: the quote ' is not closed\n",
		"setdevice: error: 3 of 6 commands failed\n")
	for _, text := range []string{
		"A provider entry for IP 10.0.0.5 successfully added\n",
		"An essserver entry for IP 10.0.0.6 successfully added\n",
	} {
		if !strings.Contains(b.Out.String(), text) {
			t.Errorf("stdout lacks %q: %s", text, &b.Out)
		}
	}
	if all := b.Out.String() + b.Err.String(); strings.Contains(all, "secret") ||
		strings.Contains(all, ">>>") {
		t.Errorf("a password or a prompt is in\n%s", all)
	}
	if n := len(kept.all()); n != 2 || kept.all()[0].Password != "pa ss" {
		t.Errorf("the server has %+v", kept.all())
	}
}

func TestBatchJSONIsOneDocument(t *testing.T) {
	f := rsclitest.NewServer(t)
	serveEntries(f)
	b := rsclitest.NewBench(t)
	b.Stdin = strings.NewReader("addess 10.0.0.5 admin topsecret\nnonsense\nlsess\n")
	b.Expect(b.Run(NewSetDevice, "--json", "-s", f.Addr()), 2)
	if strings.Contains(b.Out.String(), "topsecret") {
		t.Errorf("the password is in %s", &b.Out)
	}
	var doc batchReport
	b.Document(&doc)
	if len(doc.Commands) != 3 || doc.Commands[0].Command != "addess 10.0.0.5 admin" ||
		doc.Commands[1].Error == nil || doc.Commands[1].Error.ExitCode != 2 ||
		doc.Commands[2].Error != nil || doc.Commands[2].Line != 3 {
		t.Errorf("the document is %+v", doc)
	}
}

func TestBatchStopsWithoutAServer(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Stdin = strings.NewReader("lsess\nlsess\nlsess\n")
	b.Expect(b.Run(NewSetDevice, "-s", rsclitest.ClosedPort(t)), 3, "line 1: no answer")
	if n := strings.Count(b.Err.String(), "no answer"); n != 1 {
		t.Errorf("%d errors: %s", n, &b.Err)
	}
	f := rsclitest.NewServer(t)
	b.Stdin = strings.NewReader("lsess\nlsess\nlsess\n")
	b.Expect(b.Run(NewSetDevice, "-s", f.Addr(), "-u", rsclitest.User, "-p", "wrong"), 5,
		"wrong user or password")
	if seen, _ := f.Requests(); len(seen) != 1 {
		t.Errorf("the server was asked %q", seen)
	}
}

func TestBatchLineTooLong(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Stdin = strings.NewReader("# comment\n" + strings.Repeat("x", maxShellLine+1))
	b.Expect(b.Run(NewSetDevice, "-s", rsclitest.ClosedPort(t)), 2, "line 2 is longer than")
}

// fakeUsers is a server with the users of a fresh installation, in a world
// where nothing is configured.
func fakeUsers(t *testing.T, f *rsclitest.Server) *rsclitest.Bench {
	b := rsclitest.NewBench(t)
	delete(b.Vars, "RSCLI_CONFIG")
	f.Reply("POST /v1/users", http.StatusCreated, api.User{Name: "cimuser"})
	return b
}

func TestSetUser(t *testing.T) {
	f := rsclitest.NewServer(t)
	var got api.UserChange
	b := fakeUsers(t, f)
	f.Handle("POST /v1/users", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		rsclitest.SendJSON(w, http.StatusCreated, api.User{})
	})
	b.Expect(b.Run(NewSetUser, "-s", f.Addr(), "-u", rsclitest.User, "-p", rsclitest.Password,
		"adduser", "cimuser", "cimpass"), 0)
	if text := b.Out.String(); text != "An entry for user cimuser successfully added\n" {
		t.Errorf("adduser says %q", text)
	}
	if got.Name != "cimuser" || got.Password != "cimpass" || got.Role != "" {
		t.Errorf("the server got %+v", got)
	}
}

// The default user is good for this machine only, and only until its password
// is changed: the hint says what to do then.
func TestDefaultUser(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := fakeUsers(t, f)
	var user, password string
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		rsclitest.SendFault(w, http.StatusUnauthorized, fault.New(fault.Denied, "wrong user or password"))
	})
	b.Expect(b.Run(NewSetUser, "-s", f.Addr(), "lsuser"), 5, "wrong user or password",
		"use -u and --password-file")
	if user != taskstore.DefaultUser || password != taskstore.DefaultPassword {
		t.Errorf("asked as %q with %q", user, password)
	}
	b.Expect(b.Run(NewSetUser, "-s", f.Named(), "lsuser"), 2, "no user is given")
	b.Expect(b.Run(NewSetUser, "-s", f.Addr(), "-b", f.Named(), "lsuser"), 2, "no user is given")
	b.Expect(b.Run(NewSetUser, "-s", f.Addr(), "-u", "x", "lsuser"), 2, "no password is given")
}

func TestSetToolsServeThisMachine(t *testing.T) {
	l := connect.Settings{Server: "127.0.0.1", Assumed: true}
	if !localUser(&l) || l.Server != "127.0.0.1" || l.User != taskstore.DefaultUser {
		t.Errorf("nothing configured: %+v", l)
	}
	l = connect.Settings{Server: "copy1", User: "rich", PasswordFile: "f"}
	before := l
	if localUser(&l) || l != before {
		t.Errorf("%+v became %+v", before, l)
	}
}

// Whoever changes the own password goes on with the new one.
func TestOwnPasswordChange(t *testing.T) {
	f := rsclitest.NewServer(t)
	var passwords []string
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		passwords = append(passwords, password)
		rsclitest.SendJSON(w, http.StatusOK, nil)
	})
	b := rsclitest.NewBench(t)
	b.Stdin = strings.NewReader("chuser OPERATOR next\nlsuser\nchuser other third\nlsuser\n")
	b.Expect(b.Run(NewSetUser, "-s", f.Addr()), 0)
	want := []string{rsclitest.Password, rsclitest.Password, "next", "next", "next"}
	if !slices.Equal(passwords, want) {
		t.Errorf("passwords %q, want %q", passwords, want)
	}
}

// What changes something says so in the log; what only asks, "done".
func TestEveryChangeIsLogged(t *testing.T) {
	f := rsclitest.NewServer(t)
	serveEntries(f)
	b := rsclitest.NewBench(t)
	log := filepath.Join(b.Home, "rs.log")
	b.Expect(b.Run(NewSetDevice, "--log", log, "-s", f.Addr(), "addess", "10.0.0.5", "u", "topsecret"), 0)
	b.Expect(b.Run(NewSetDevice, "--log", log, "-s", f.Addr(), "lsess"), 0)
	got := strings.Join(rsclitest.LogLines(t, log), "\n")
	if !strings.Contains(got, "setdevice: A provider entry for IP 10.0.0.5 successfully added\n") ||
		strings.Contains(got, "topsecret") || !strings.HasSuffix(got, "done\nsetdevice: done") {
		t.Errorf("the log is\n%s", got)
	}
}
