package connect

import (
	"path/filepath"
	"strings"
	"testing"

	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
)

// settingsOf resolves what flags say against the bench's world.
func settingsOf(t *testing.T, b *rsclitest.Bench, c Flags) Settings {
	t.Helper()
	l, err := c.Settings(b.Env)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFirstFoundWins(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = ""
	if l := settingsOf(t, b, Flags{}); l != (Settings{Server: b.LocalServer, Assumed: true}) {
		t.Errorf("an empty world says %+v", l)
	}
	b.Write(".config/rscli/config.yaml", 0o600,
		"server: from-config\nuser: cfg\npassword: cfgpw\ncacert: ca.pem\ntrust: first-use\n")
	l := settingsOf(t, b, Flags{})
	ca := filepath.Join(b.Home, ".config/rscli/ca.pem")
	if l.Server != "from-config" || l.User != "cfg" || l.Password != "cfgpw" || l.cacert != ca ||
		l.trust != trustFirstUse {
		t.Errorf("the user's file says %+v", l)
	}
	b.Vars["RSCLI_SERVER"], b.Vars["RSCLI_USER"] = "from-env", "env"
	b.Vars["RSCLI_PASSWORD_FILE"], b.Vars["RSCLI_CACERT"] = "/env/pw", "/env/ca"
	l = settingsOf(t, b, Flags{})
	if l.Server != "from-env" || l.User != "env" || l.cacert != "/env/ca" {
		t.Errorf("the environment does not win: %+v", l)
	}
	if l.Password != "" || l.PasswordFile != "/env/pw" {
		t.Errorf("two sources of a password are mixed: %+v", l)
	}
	l = settingsOf(t, b, Flags{Server: "flag", User: "me", PasswordCommand: "pw", Cacert: "x"})
	if l.Server != "flag" || l.User != "me" || l.passwordCommand != "pw" || l.PasswordFile != "" ||
		l.cacert != "x" {
		t.Errorf("the flags do not win: %+v", l)
	}
}

func TestBackupBelongsToItsServer(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, "server: prod-a\nbackup_server: prod-b\n")
	for _, tt := range []struct {
		flags          Flags
		server, backup string
	}{
		{Flags{}, "prod-a", "prod-b"},
		{Flags{Server: "test"}, "test", ""},
		{Flags{Backup: "other"}, "prod-a", "other"},
		{Flags{Server: "test", Backup: "test-b"}, "test", "test-b"},
	} {
		if l := settingsOf(t, b, tt.flags); l.Server != tt.server || l.Backup != tt.backup {
			t.Errorf("%+v: server %q, backup %q", tt.flags, l.Server, l.Backup)
		}
	}
}

func TestConfigFilesByWorld(t *testing.T) {
	windows := filepath.Join(`C:\Users\me`, "rscli", "config.yaml")
	all := filepath.Join(`C:\ProgramData`, "rscli", "config.yaml")
	tests := []struct {
		goos string
		vars map[string]string
		want []string
	}{
		{"linux", nil, []string{"/etc/rscli.yaml"}}, // as under cron
		{"linux", map[string]string{"HOME": "/h"}, []string{"/h/.config/rscli/config.yaml",
			"/etc/rscli.yaml"}},
		{"aix", map[string]string{"HOME": "/h", "XDG_CONFIG_HOME": "/x"},
			[]string{"/x/rscli/config.yaml", "/etc/rscli.yaml"}},
		{"linux", map[string]string{"XDG_CONFIG_HOME": "relative"}, []string{"/etc/rscli.yaml"}},
		{"linux", map[string]string{"HOME": "/h", "RSCLI_CONFIG": "/my"}, []string{"/my",
			"/etc/rscli.yaml"}},
		{"windows", map[string]string{"APPDATA": `C:\Users\me`}, []string{windows}},
		{"windows", map[string]string{"APPDATA": `C:\Users\me`, "ProgramData": `C:\ProgramData`},
			[]string{windows, all}},
		{"windows", map[string]string{"ProgramData": `C:\ProgramData`, "HOME": "/h",
			"XDG_CONFIG_HOME": "/x"}, []string{all}}, // as a service; a Unix shell's are not used
		{"windows", map[string]string{"RSCLI_CONFIG": `D:\my.yaml`, "APPDATA": `C:\Users\me`,
			"ProgramData": `C:\ProgramData`}, []string{`D:\my.yaml`, all}},
	}
	for _, tt := range tests {
		e := &program.Env{GOOS: tt.goos, Getenv: func(key string) string { return tt.vars[key] }}
		var got []string
		for _, f := range configFiles(e) {
			got = append(got, f.path)
		}
		if strings.Join(got, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%s %v: %q, want %q", tt.goos, tt.vars, got, tt.want)
		}
	}
}

func TestHarmlessConfigs(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "server:\n", "password: 007\n"} {
		b := rsclitest.NewBench(t)
		b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600, text)
		l := settingsOf(t, b, Flags{})
		if strings.Contains(text, "007") && l.Password != "007" {
			t.Errorf("a password of digits became %q", l.Password)
		}
	}
}

func TestConfigWithoutPasswordMayBeShared(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = b.Write("open.yaml", 0o644, "server: a\nuser: u\npassword_file: pw\n")
	l := settingsOf(t, b, Flags{})
	if l.PasswordFile != filepath.Join(b.Home, "pw") {
		t.Errorf("the password file became %q", l.PasswordFile)
	}
	b.GOOS = "windows" // has no mode bits
	b.Vars["RSCLI_CONFIG"] = b.Write("win.yaml", 0o644, "password: x\n")
	if l := settingsOf(t, b, Flags{}); l.Password != "x" {
		t.Errorf("on Windows the password is %q", l.Password)
	}
}

func TestPathsInConfig(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_CONFIG"] = b.Write("c.yaml", 0o600,
		"password_file: ~/pw\ncacert: /abs/ca\nknown_servers: known\n")
	l := settingsOf(t, b, Flags{})
	if l.PasswordFile != filepath.Join(b.Home, "pw") || l.cacert != "/abs/ca" ||
		l.knownServers != filepath.Join(b.Home, "known") {
		t.Errorf("paths became %+v", l)
	}
}

func TestWindowsFolders(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewWindowsBench(t)
	b.Write("ProgramData/rscli/config.yaml", 0o644,
		"server: "+f.Addr()+"\nuser: system\npassword_file: ~\\system.txt\n")
	b.Write("me/AppData/rscli/config.yaml", 0o644,
		"user: "+rsclitest.User+"\npassword_file: ~/my.txt\ncacert: sub/ca.pem\n")
	l := settingsOf(t, b, Flags{})
	ca := filepath.Join(b.Home, "me/AppData/rscli/sub/ca.pem")
	if l.Server != f.Addr() || l.User != rsclitest.User || l.cacert != ca ||
		l.PasswordFile != filepath.Join(b.Home, "me/my.txt") {
		t.Errorf("settings %+v", l)
	}
}
