package rscli

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// login logs in without a terminal.
func (b *bench) login(t *testing.T, args ...string) {
	t.Helper()
	b.Stdin = strings.NewReader(testPassword + "\n")
	args = append([]string{"login", "-u", testUser, "--password-file", "-"}, args...)
	b.expect(b.run(newESSCLI, args...), 0)
}

// storedSettings are what the flags say together with the stored logins.
func storedSettings(t *testing.T, b *bench, c connection) layer {
	t.Helper()
	l, err := c.settings(b.Env)
	must(t, err)
	return l
}

func TestLogin(t *testing.T) {
	f := newFake(t)
	b := newStranger(t)
	b.expect(b.run(newTestConnection), 2, "no user is given", "log in: esscli login")
	b.login(t, "-s", f.addr())
	if got := b.stdout.String(); got != "logged in to "+f.addr()+" as operator (operator)\n" {
		t.Errorf("printed %q", got)
	}
	path := filepath.Join(b.home, ".config/rscli/logins.yaml")
	want := "# Written by esscli login, with passwords: for nobody but the owner.\n- server: " + f.addr() + "\n  user: operator\n  password: s3cret\n"
	if got := readFile(t, path); got != want {
		t.Errorf("the file is\n%s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	b.expect(b.run(newTestConnection), 0)
	b.expect(b.run(newTestConnection, "-s", f.addr()), 0)
	b.expect(b.run(newSetUser, "-s", f.addr(), "lsuser"), 10) // past the password
	b.expect(b.run(newESSCLI, "logout", "--json"), 0)
	var doc struct{ Server, User, File string }
	b.document(&doc)
	if doc.Server != f.addr() || doc.User != testUser || doc.File != path {
		t.Errorf("document %+v", doc)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("an empty file is left")
	}
	b.expect(b.run(newTestConnection), 2, "no user is given")
	b.expect(b.run(newESSCLI, "logout"), 10, "no login is stored\n")
	b.expect(b.run(newESSCLI, "logout", "-s", "x"), 10, "no login is stored for x")
}

func TestLoginThatIsRefusedIsNotStored(t *testing.T) {
	f := newFake(t)
	b := newStranger(t)
	b.login(t, "-s", f.addr())
	before := readFile(t, b.Env.loginsFile())
	b.expect(b.run(newESSCLI, "login", "-s", f.addr(), "-u", testUser, "-p", "wrong"), 5)
	b.expect(b.run(newESSCLI, "login", "-s", closedPort(t), "-u", testUser, "-p", "x"), 3)
	b.expect(b.run(newESSCLI, "login", "-s", f.addr(), "-u", testUser), 2, "no password is given")
	b.expect(b.run(newESSCLI, "login", "-u", testUser, "-p", "x"), 5, "wrong user or password")
	if after := readFile(t, b.Env.loginsFile()); after != before {
		t.Errorf("the file became\n%s", after)
	}
}

func TestLoginsOfManyServers(t *testing.T) {
	one, two := newFake(t), newFake(t)
	b := newStranger(t)
	b.login(t, "-s", one.addr(), "-b", two.addr())
	l := storedSettings(t, b, connection{})
	if l.server != one.addr() || l.backup != two.addr() || l.password != testPassword {
		t.Errorf("the only login gives %+v", l)
	}
	if l = storedSettings(t, b, connection{server: one.addr()}); l.backup != "" {
		t.Errorf("with a server named, the backup is %q", l.backup)
	}
	b.login(t, "-s", two.addr())
	b.login(t, "-s", two.addr())
	if n := strings.Count(readFile(t, b.Env.loginsFile()), "- server:"); n != 2 {
		t.Errorf("%d entries", n)
	}
	b.LocalServer = two.addr()
	b.expect(b.run(newTestConnection, "--json"), 0)
	var report struct{ Address string }
	if b.document(&report); report.Address != two.addr() {
		t.Errorf("of two logins that for %s was taken", report.Address)
	}
	b.expect(b.run(newESSCLI, "logout"), 2, "logins for "+one.addr()+", "+two.addr()+" are stored")
	b.expect(b.run(newESSCLI, "logout", "-s", one.addr()), 0)
	b.expect(b.run(newTestConnection), 0)
}

func TestLoginsThatOthersMayRead(t *testing.T) {
	f := newFake(t)
	b := newStranger(t)
	b.login(t, "-s", f.addr())
	path := b.Env.loginsFile()
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list", "volume"}, {"login", "-s", "x"}, {"logout"}} {
		b.expect(b.run(newESSCLI, args...), 2, path+" holds passwords and others than its owner may read it",
			"hint: chmod 600 "+path)
	}
}

func TestDamagedLogins(t *testing.T) {
	for _, text := range []string{
		"server: a\n", "- server: a\n", "- {server: a, user: b, password: topsecret, more: c}\n",
		"- {server: a, user: b, password: [topsecret]}\n", "\x00", "- topsecret\n",
	} {
		b := newStranger(t)
		b.write(".config/rscli/logins.yaml", 0o600, text)
		b.expect(b.run(newTestConnection), 2, "is not as esscli login writes it", "hint: remove it")
		if strings.Contains(b.stderr.String(), "topsecret") {
			t.Errorf("a secret is shown: %s", &b.stderr)
		}
	}
}

func TestNowhereToKeepLogins(t *testing.T) {
	f := newFake(t)
	b := newStranger(t)
	b.vars["HOME"] = ""
	b.expect(b.run(newESSCLI, "login", "-s", f.addr(), "-u", testUser, "-p", testPassword), 1,
		"cannot store the login: the environment names no home folder")
}

func TestStaleLoginIsNamed(t *testing.T) {
	f := newFake(t)
	b := newStranger(t)
	b.login(t, "-s", f.addr())
	f.refuse("GET /v1/server", http.StatusForbidden, fault.New(fault.Denied, "wrong user or password"))
	b.expect(b.run(newTestConnection), 5, "hint: the password is the one that esscli login stored")
	b.expect(b.run(newTestConnection, "-p", testPassword), 5)
	if strings.Contains(b.stderr.String(), "esscli login") {
		t.Errorf("another password is taken for the stored one: %s", &b.stderr)
	}
}

// Where nothing names a server, every command that needs one asks that of this
// machine and trusts what it shows.
func TestServerOfThisMachineIsTheDefault(t *testing.T) {
	f := newFake(t)
	for _, tt := range []struct {
		build builder
		args  []string
	}{
		{newQuery, []string{"20313698"}}, {newFlashCopyQuery, nil}, {newExecuteTask, []string{"t"}},
		{newQueryComplete, []string{"t"}}, {newPrime, []string{"--hostname", "h", "--sysroot", "../../testscripts/hosts/rich-w2k-os-1"}},
		{newESSCLI, []string{"list", "task"}}, {newESSCLI, []string{"delete", "volume", "20313698"}},
		{newSetUser, []string{"lsuser"}}, {newSetDevice, []string{"lsess"}},
	} {
		before, _ := f.requests()
		b := newBench(t)
		b.LocalServer = f.addr()
		b.expect(b.run(tt.build, tt.args...), 10) // the server does not have it
		if after, _ := f.requests(); len(after) == len(before) {
			t.Errorf("%q asked nobody: %s", tt.args, &b.stderr)
		}
	}
	b := newBench(t)
	b.LocalServer = f.addr()
	b.expect(b.run(newTestConnection), 0)
	if pins := readFile(t, b.home+"/.config/rscli/known_servers"); !strings.HasPrefix(pins, f.addr()) {
		t.Errorf("pinned is %q", pins)
	}
	b.LocalServer = closedPort(t)
	b.expect(b.run(newTestConnection), 3, "no answer from "+b.LocalServer,
		"no server is named, so this machine's was tried")
	b.expect(b.run(newTestConnection, "-s", b.LocalServer), 3, "check that copyserver runs there")
}

func TestDefaultPasswordIsTold(t *testing.T) {
	f := newFake(t)
	f.reply("GET /v1/server", http.StatusOK, api.Server{
		User: testUser, Role: "admin", DefaultPassword: true,
	})
	b := newStranger(t)
	b.LocalServer = f.addr()
	b.login(t)
	b.expect(0, 0, "warning: operator still has the password of every new server",
		"hint: change it and log in again: setuser chuser operator")
	b.login(t, "--quiet", "--json")
	var doc struct {
		DefaultPassword bool `json:"default_password"`
	}
	if b.document(&doc); !doc.DefaultPassword || b.stderr.Len() > 0 {
		t.Errorf("document %+v, stderr %s", doc, &b.stderr)
	}
	b.expect(b.run(newTestConnection), 0, "warning: operator still has the password")
}

// TestServersThatAreNotOne: a server B with a state folder of its own is refused,
// by the test of the connection and by whoever would be answered by it.
func TestServersThatAreNotOne(t *testing.T) {
	a, b := newFake(t), newFake(t)
	b.reply("GET /v1/server", http.StatusOK, api.Server{Name: "copy-b", ID: "id-2", User: testUser})
	b.reply("GET /v1/tasks", http.StatusOK, []api.Task{})
	w := newBench(t)
	both := []string{"-s", a.addr(), "-b", b.addr()}
	w.expect(w.run(newTestConnection, both...), 3, "are not one server", "id-2", "takes over the state folder")
	a.Close()
	w.expect(w.run(newESSCLI, append([]string{"list", "task"}, both...)...), 3,
		b.addr()+" was not asked: it has another certificate than "+a.addr(), "takes over the state folder")
	same := newFake(t, a)
	same.reply("GET /v1/tasks", http.StatusOK, []api.Task{})
	w.expect(w.run(newESSCLI, "list", "task", "-s", a.addr(), "-b", same.addr()), 0,
		"warning: "+same.addr()+" answers in place of "+a.addr())
	w.expect(w.run(newTestConnection, "-s", same.addr(), "-b", closedPort(t)), 0)
	if !strings.Contains(w.stdout.String(), "other       127.0.0.1:") {
		t.Errorf("it prints %s", &w.stdout)
	}
}
