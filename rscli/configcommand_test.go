package rscli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadConfigIsNamedWithItsLine(t *testing.T) {
	tests := []struct{ text, want string }{
		{"server: a\nsever: b\n", `line 2: unknown key "sever"`},
		{"server: a\nuser: [a]\n", "line 2: the value of user is not plain text"},
		{"server: a\nserver: b\n", `line 2: the key "server" for the second time`},
		{"server: a\nmodels: [2105, 21]\n", `line 2: "21" is not a machine type`},
		{"models: [2105, [2107]]\n", `line 1: "?" is not a machine type`},
		{"models: {a: b}\n", "line 1: the value of models is not plain text"},
		{"\ntrust: always\n", `line 2: trust is neither "first-use" nor "ask"`},
		{"- a\n", "line 1: not a mapping"},
		{"server: a\n---\nuser: b\n", "more than one document"},
		{"server: \"a\nuser: b\n", "line 3"},
		{"server: &x a\nuser: *x\n", "line 2: the value of user is not plain text"},
		{strings.Repeat("# nonsense\n", 7000), "longer than 64 KiB"},
		{"\x00\xff\xfe", "bad.yaml"},
	}
	for _, tt := range tests {
		b := newBench(t)
		b.vars["RSCLI_CONFIG"] = b.write("bad.yaml", 0o600, tt.text)
		b.expect(b.run(newQuery, "20313698"), 2, tt.want, filepath.Join(b.home, "bad.yaml"))
	}
}

func TestConfigThatCannotBeRead(t *testing.T) {
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = filepath.Join(b.home, "missing.yaml")
	b.expect(b.run(newQuery, "20313698"), 2, "missing.yaml: no such file")
	b.vars["RSCLI_CONFIG"] = b.home
	b.expect(b.run(newQuery, "20313698"), 2, "is a directory")
}

func TestWindowsPasswordForEveryUser(t *testing.T) {
	b := newWindowsBench(t)
	path := b.write("ProgramData/rscli/config.yaml", 0o600, "server: a\nuser: u\npassword: x\n")
	b.expect(b.run(newTestConnection), 2, path+" holds a password and every user may read it",
		"hint: use password_file")
}

func TestEmptySettings(t *testing.T) {
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600, "server: from-config\nuser:\n")
	for _, key := range []string{"RSCLI_SERVER", "RSCLI_BACKUP_SERVER", "RSCLI_USER", "RSCLI_CACERT"} {
		b.vars[key] = ""
	}
	if l, err := (&connection{}).settings(b.Env); err != nil || l.server != "from-config" {
		t.Errorf("empty variables count: %+v, %v", l, err)
	}
	b.vars["RSCLI_CONFIG"] = b.write("empty.yaml", 0o600, "server: a\nbackup_server: \"\"\n")
	b.expect(b.run(newQuery, "20313698"), 2, "empty.yaml: line 2: the value of backup_server is empty")
}

func TestZonesOfAddresses(t *testing.T) {
	b := newBench(t)
	f := newFake(t)
	port := f.addr()[strings.LastIndex(f.addr(), ":"):]
	// Nothing listens there, or nothing can: it is not the address that is wrong.
	for _, server := range []string{"fe80::1%lo", "[fe80::1%lo]" + port} {
		b.expect(b.run(newTestConnection, "-s", server), 3, "no answer from [fe80::1%lo]:")
	}
}

func TestConfigWithPasswordMustBePrivate(t *testing.T) {
	b := newBench(t)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o660} {
		path := b.write("c.yaml", mode, "server: a\npassword: x\n")
		b.vars["RSCLI_CONFIG"] = path
		b.expect(b.run(newQuery, "20313698"), 2, "others than its owner may read it",
			"hint: chmod 600 "+path)
	}
}

func TestWindowsFoldersOfCommands(t *testing.T) {
	f := newFake(t)
	b := newWindowsBench(t)
	b.write("ProgramData/rscli/config.yaml", 0o644,
		"server: "+f.addr()+"\nuser: system\npassword_file: ~\\system.txt\n")
	b.write("me/AppData/rscli/config.yaml", 0o644, "user: "+testUser+"\n")
	b.write("me/system.txt", 0o644, testPassword+"\r\n")
	b.expect(b.run(newTestConnection), 0)
	if pins := readFile(t, filepath.Join(b.home, "me/AppData/rscli/known_servers")); !strings.HasPrefix(
		pins, f.addr()+" ") {
		t.Errorf("pins are %s", pins)
	}
	b.expect(b.run(newESSCLI, "login", "-p", testPassword), 0)
	readFile(t, filepath.Join(b.home, "me/AppData/rscli/logins.yaml"))
	b.expect(b.run(newESSCLI, "__complete", "fish", "--", "=", "rsExecuteTask"), 0)
	if files, _ := filepath.Glob(filepath.Join(b.home, "me/Local/rscli/cache/*")); len(files) != 1 {
		t.Errorf("the cache is %q", files)
	}
}
