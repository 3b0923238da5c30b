package connect_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copyservices/rscli"
	"copyservices/rscli/connect"
	"copyservices/rscli/esscli"
	"copyservices/rscli/rsclitest"
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
		{"server: a\n---\nuser: b\n", "more than one YAML document"},
		{"server: \"a\nuser: b\n", "line 3"},
		{"server: &x a\nuser: *x\n", "line 2: the value of user is not plain text"},
		{strings.Repeat("# nonsense\n", 7000), "longer than 64 KiB"},
		{"\x00\xff\xfe", "bad.yaml"},
	}
	for _, tt := range tests {
		b := rsclitest.NewBench(t)
		b.Vars["RSCLI_CONFIG"] = b.Write("bad.yaml", 0o600, tt.text)
		b.Expect(b.Run(rscli.NewQuery, "20313698"), 2, tt.want, filepath.Join(b.Home, "bad.yaml"))
	}
}

func TestConfigThatCannotBeRead(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = filepath.Join(b.Home, "missing.yaml")
	b.Expect(b.Run(rscli.NewQuery, "20313698"), 2, "missing.yaml: no such file")
	b.Vars["RSCLI_CONFIG"] = b.Home
	b.Expect(b.Run(rscli.NewQuery, "20313698"), 2, "is a directory")
}

func TestWindowsPasswordForEveryUser(t *testing.T) {
	b := rsclitest.NewWindowsBench(t)
	path := b.Write("ProgramData/rscli/config.yaml", 0o600, "server: a\nuser: u\npassword: x\n")
	b.Expect(b.Run(rscli.NewTestConnection), 2, path+" holds a password and every user may read it",
		"hint: use password_file")
}

func TestEmptySettings(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, "server: from-config\nuser:\n")
	for _, key := range []string{"RSCLI_SERVER", "RSCLI_BACKUP_SERVER", "RSCLI_USER", "RSCLI_CACERT"} {
		b.Vars[key] = ""
	}
	if l, err := (&connect.Flags{}).Settings(b.Env); err != nil || l.Server != "from-config" {
		t.Errorf("empty variables count: %+v, %v", l, err)
	}
	b.Vars["RSCLI_CONFIG"] = b.Write("empty.yaml", 0o600, "server: a\nbackup_server: \"\"\n")
	b.Expect(b.Run(rscli.NewQuery, "20313698"), 2, "empty.yaml: line 2: the value of backup_server is empty")
}

func TestZonesOfAddresses(t *testing.T) {
	b := rsclitest.NewBench(t)
	f := rsclitest.NewServer(t)
	port := f.Addr()[strings.LastIndex(f.Addr(), ":"):]
	// Nothing listens there, or nothing can: it is not the address that is wrong.
	for _, server := range []string{"fe80::1%lo", "[fe80::1%lo]" + port} {
		b.Expect(b.Run(rscli.NewTestConnection, "-s", server), 3, "no answer from [fe80::1%lo]:")
	}
}

func TestConfigWithPasswordMustBePrivate(t *testing.T) {
	b := rsclitest.NewBench(t)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o660} {
		path := b.Write("c.yaml", mode, "server: a\npassword: x\n")
		b.Vars["RSCLI_CONFIG"] = path
		b.Expect(b.Run(rscli.NewQuery, "20313698"), 2, "others than its owner may read it",
			"hint: chmod 600 "+path)
	}
}

func TestWindowsFoldersOfCommands(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewWindowsBench(t)
	b.Write("ProgramData/rscli/config.yaml", 0o644,
		"server: "+f.Addr()+"\nuser: system\npassword_file: ~\\system.txt\n")
	b.Write("me/AppData/rscli/config.yaml", 0o644, "user: "+rsclitest.User+"\n")
	b.Write("me/system.txt", 0o644, rsclitest.Password+"\r\n")
	b.Expect(b.Run(rscli.NewTestConnection), 0)
	if pins := rsclitest.ReadFile(t, filepath.Join(b.Home, "me/AppData/rscli/known_servers")); !strings.HasPrefix(
		pins, f.Addr()+" ") {
		t.Errorf("pins are %s", pins)
	}
	b.Expect(b.Run(esscli.New, "login", "-p", rsclitest.Password), 0)
	rsclitest.ReadFile(t, filepath.Join(b.Home, "me/AppData/rscli/logins.yaml"))
	b.Expect(b.Run(esscli.New, "__complete", "fish", "--", "=", "rsExecuteTask"), 0)
	if files, _ := filepath.Glob(filepath.Join(b.Home, "me/Local/rscli/cache/*")); len(files) != 1 {
		t.Errorf("the cache is %q", files)
	}
}
