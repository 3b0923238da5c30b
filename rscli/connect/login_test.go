package connect_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli"
	"copyservices/rscli/connect"
	"copyservices/rscli/esscli"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
	"copyservices/rscli/shell"
)

// login logs in without a terminal.
func login(b *rsclitest.Bench, t *testing.T, args ...string) {
	t.Helper()
	b.Stdin = strings.NewReader(rsclitest.Password + "\n")
	args = append([]string{"login", "-u", rsclitest.User, "--password-file", "-"}, args...)
	b.Expect(b.Run(esscli.New, args...), 0)
}

// storedSettings are what the flags say together with the stored logins.
func storedSettings(t *testing.T, b *rsclitest.Bench, c connect.Flags) connect.Settings {
	t.Helper()
	l, err := c.Settings(b.Env)
	rsclitest.Must(t, err)
	return l
}

func TestLogin(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewStranger(t)
	b.Expect(b.Run(rscli.NewTestConnection), 2, "no user is given", "log in: esscli login")
	login(b, t, "-s", f.Addr())
	if got := b.Out.String(); got != "logged in to "+f.Addr()+" as operator (operator)\n" {
		t.Errorf("printed %q", got)
	}
	path := filepath.Join(b.Home, ".config/rscli/logins.yaml")
	want := "# Written by esscli login, with passwords: for nobody but the owner.\n- server: " + f.Addr() + "\n  user: operator\n  password: s3cret\n"
	if got := rsclitest.ReadFile(t, path); got != want {
		t.Errorf("the file is\n%s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	b.Expect(b.Run(rscli.NewTestConnection), 0)
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 0)
	b.Expect(b.Run(shell.NewSetUser, "-s", f.Addr(), "lsuser"), 10) // past the password
	b.Expect(b.Run(esscli.New, "logout", "--json"), 0)
	var doc struct{ Server, User, File string }
	b.Document(&doc)
	if doc.Server != f.Addr() || doc.User != rsclitest.User || doc.File != path {
		t.Errorf("document %+v", doc)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("an empty file is left")
	}
	b.Expect(b.Run(rscli.NewTestConnection), 2, "no user is given")
	b.Expect(b.Run(esscli.New, "logout"), 10, "no login is stored\n")
	b.Expect(b.Run(esscli.New, "logout", "-s", "x"), 10, "no login is stored for x")
}

func TestLoginThatIsRefusedIsNotStored(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewStranger(t)
	login(b, t, "-s", f.Addr())
	before := rsclitest.ReadFile(t, connect.LoginsFile(b.Env))
	b.Expect(b.Run(esscli.New, "login", "-s", f.Addr(), "-u", rsclitest.User, "-p", "wrong"), 5)
	b.Expect(b.Run(esscli.New, "login", "-s", rsclitest.ClosedPort(t), "-u", rsclitest.User, "-p", "x"), 3)
	b.Expect(b.Run(esscli.New, "login", "-s", f.Addr(), "-u", rsclitest.User), 2, "no password is given")
	b.Expect(b.Run(esscli.New, "login", "-u", rsclitest.User, "-p", "x"), 5, "wrong user or password")
	if after := rsclitest.ReadFile(t, connect.LoginsFile(b.Env)); after != before {
		t.Errorf("the file became\n%s", after)
	}
}

func TestLoginsOfManyServers(t *testing.T) {
	one, two := rsclitest.NewServer(t), rsclitest.NewServer(t)
	b := rsclitest.NewStranger(t)
	login(b, t, "-s", one.Addr(), "-b", two.Addr())
	l := storedSettings(t, b, connect.Flags{})
	if l.Server != one.Addr() || l.Backup != two.Addr() || l.Password != rsclitest.Password {
		t.Errorf("the only login gives %+v", l)
	}
	if l = storedSettings(t, b, connect.Flags{Server: one.Addr()}); l.Backup != "" {
		t.Errorf("with a server named, the backup is %q", l.Backup)
	}
	login(b, t, "-s", two.Addr())
	login(b, t, "-s", two.Addr())
	if n := strings.Count(rsclitest.ReadFile(t, connect.LoginsFile(b.Env)), "- server:"); n != 2 {
		t.Errorf("%d entries", n)
	}
	b.LocalServer = two.Addr()
	b.Expect(b.Run(rscli.NewTestConnection, "--json"), 0)
	var report struct{ Address string }
	if b.Document(&report); report.Address != two.Addr() {
		t.Errorf("of two logins that for %s was taken", report.Address)
	}
	b.Expect(b.Run(esscli.New, "logout"), 2, "logins for "+one.Addr()+", "+two.Addr()+" are stored")
	b.Expect(b.Run(esscli.New, "logout", "-s", one.Addr()), 0)
	b.Expect(b.Run(rscli.NewTestConnection), 0)
}

func TestLoginsThatOthersMayRead(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewStranger(t)
	login(b, t, "-s", f.Addr())
	path := connect.LoginsFile(b.Env)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list", "volume"}, {"login", "-s", "x"}, {"logout"}} {
		b.Expect(b.Run(esscli.New, args...), 2, path+" holds passwords and others than its owner may read it",
			"hint: chmod 600 "+path)
	}
}

func TestDamagedLogins(t *testing.T) {
	for _, text := range []string{
		"server: a\n", "- server: a\n", "- {server: a, user: b, password: topsecret, more: c}\n",
		"- {server: a, user: b, password: [topsecret]}\n", "\x00", "- topsecret\n",
	} {
		b := rsclitest.NewStranger(t)
		b.Write(".config/rscli/logins.yaml", 0o600, text)
		b.Expect(b.Run(rscli.NewTestConnection), 2, "is not as esscli login writes it", "hint: remove it")
		if strings.Contains(b.Err.String(), "topsecret") {
			t.Errorf("a secret is shown: %s", &b.Err)
		}
	}
}

func TestNowhereToKeepLogins(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewStranger(t)
	b.Vars["HOME"] = ""
	b.Expect(b.Run(esscli.New, "login", "-s", f.Addr(), "-u", rsclitest.User, "-p", rsclitest.Password), 1,
		"cannot store the login: the environment names no home folder")
}

func TestStaleLoginIsNamed(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewStranger(t)
	login(b, t, "-s", f.Addr())
	f.Refuse("GET /v1/server", http.StatusForbidden, fault.New(fault.Denied, "wrong user or password"))
	b.Expect(b.Run(rscli.NewTestConnection), 5, "hint: the password is the one that esscli login stored")
	b.Expect(b.Run(rscli.NewTestConnection, "-p", rsclitest.Password), 5)
	if strings.Contains(b.Err.String(), "esscli login") {
		t.Errorf("another password is taken for the stored one: %s", &b.Err)
	}
}

// Where nothing names a server, every command that needs one asks that of this
// machine and trusts what it shows.
func TestServerOfThisMachineIsTheDefault(t *testing.T) {
	f := rsclitest.NewServer(t)
	for _, tt := range []struct {
		build program.Builder
		args  []string
	}{
		{rscli.NewQuery, []string{"20313698"}}, {rscli.NewFlashCopyQuery, nil}, {rscli.NewExecuteTask, []string{"t"}},
		{rscli.NewQueryComplete, []string{"t"}}, {rscli.NewPrime, []string{"--hostname", "h", "--sysroot", "../../testscripts/hosts/rich-w2k-os-1"}},
		{esscli.New, []string{"list", "task"}}, {esscli.New, []string{"delete", "volume", "20313698"}},
		{shell.NewSetUser, []string{"lsuser"}}, {shell.NewSetDevice, []string{"lsess"}},
	} {
		before, _ := f.Requests()
		b := rsclitest.NewBench(t)
		b.LocalServer = f.Addr()
		b.Expect(b.Run(tt.build, tt.args...), 10) // the server does not have it
		if after, _ := f.Requests(); len(after) == len(before) {
			t.Errorf("%q asked nobody: %s", tt.args, &b.Err)
		}
	}
	b := rsclitest.NewBench(t)
	b.LocalServer = f.Addr()
	b.Expect(b.Run(rscli.NewTestConnection), 0)
	if pins := rsclitest.ReadFile(t, b.Home+"/.config/rscli/known_servers"); !strings.HasPrefix(pins, f.Addr()) {
		t.Errorf("pinned is %q", pins)
	}
	b.LocalServer = rsclitest.ClosedPort(t)
	b.Expect(b.Run(rscli.NewTestConnection), 3, "no answer from "+b.LocalServer,
		"no server is named, so this machine's was tried")
	b.Expect(b.Run(rscli.NewTestConnection, "-s", b.LocalServer), 3, "check that copyserver runs there")
}

func TestDefaultPasswordIsTold(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/server", http.StatusOK, api.Server{
		User: rsclitest.User, Role: "admin", DefaultPassword: true,
	})
	b := rsclitest.NewStranger(t)
	b.LocalServer = f.Addr()
	login(b, t)
	b.Expect(0, 0, "warning: operator still has the password of every new server",
		"hint: change it and log in again: setuser chuser operator")
	login(b, t, "--quiet", "--json")
	var doc struct {
		DefaultPassword bool `json:"default_password"`
	}
	if b.Document(&doc); !doc.DefaultPassword || b.Err.Len() > 0 {
		t.Errorf("document %+v, stderr %s", doc, &b.Err)
	}
	b.Expect(b.Run(rscli.NewTestConnection), 0, "warning: operator still has the password")
}

// TestServersThatAreNotOne: a server B with a state folder of its own is refused,
// by the test of the connection and by whoever would be answered by it.
func TestServersThatAreNotOne(t *testing.T) {
	a, b := rsclitest.NewServer(t), rsclitest.NewServer(t)
	b.Reply("GET /v1/server", http.StatusOK, api.Server{Name: "copy-b", ID: "id-2", User: rsclitest.User})
	b.Reply("GET /v1/tasks", http.StatusOK, []api.Task{})
	w := rsclitest.NewBench(t)
	both := []string{"-s", a.Addr(), "-b", b.Addr()}
	w.Expect(w.Run(rscli.NewTestConnection, both...), 3, "are not one server", "id-2", "takes over the state folder")
	a.Close()
	w.Expect(w.Run(esscli.New, append([]string{"list", "task"}, both...)...), 3,
		b.Addr()+" was not asked: it has another certificate than "+a.Addr(), "takes over the state folder")
	same := rsclitest.NewServer(t, a)
	same.Reply("GET /v1/tasks", http.StatusOK, []api.Task{})
	w.Expect(w.Run(esscli.New, "list", "task", "-s", a.Addr(), "-b", same.Addr()), 0,
		"warning: "+same.Addr()+" answers in place of "+a.Addr())
	w.Expect(w.Run(rscli.NewTestConnection, "-s", same.Addr(), "-b", rsclitest.ClosedPort(t)), 0)
	if !strings.Contains(w.Out.String(), "other       127.0.0.1:") {
		t.Errorf("it prints %s", &w.Out)
	}
}
