package rscli

import (
	"path/filepath"
	"strings"
	"testing"
)

// settingsOf resolves what flags say against the bench's world.
func settingsOf(t *testing.T, b *bench, c connection) layer {
	t.Helper()
	l, err := c.settings(b.Env)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFirstFoundWins(t *testing.T) {
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = ""
	if l := settingsOf(t, b, connection{}); l != (layer{server: b.LocalServer, assumed: true}) {
		t.Errorf("an empty world says %+v", l)
	}
	b.write(".config/rscli/config.yaml", 0o600,
		"server: from-config\nuser: cfg\npassword: cfgpw\ncacert: ca.pem\ntrust: first-use\n")
	l := settingsOf(t, b, connection{})
	ca := filepath.Join(b.home, ".config/rscli/ca.pem")
	if l.server != "from-config" || l.user != "cfg" || l.password != "cfgpw" || l.cacert != ca ||
		l.trust != trustFirstUse {
		t.Errorf("the user's file says %+v", l)
	}
	b.vars["RSCLI_SERVER"], b.vars["RSCLI_USER"] = "from-env", "env"
	b.vars["RSCLI_PASSWORD_FILE"], b.vars["RSCLI_CACERT"] = "/env/pw", "/env/ca"
	l = settingsOf(t, b, connection{})
	if l.server != "from-env" || l.user != "env" || l.cacert != "/env/ca" {
		t.Errorf("the environment does not win: %+v", l)
	}
	if l.password != "" || l.passwordFile != "/env/pw" {
		t.Errorf("two sources of a password are mixed: %+v", l)
	}
	l = settingsOf(t, b, connection{server: "flag", user: "me", passwordCommand: "pw", cacert: "x"})
	if l.server != "flag" || l.user != "me" || l.passwordCommand != "pw" || l.passwordFile != "" ||
		l.cacert != "x" {
		t.Errorf("the flags do not win: %+v", l)
	}
}

func TestBackupBelongsToItsServer(t *testing.T) {
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600, "server: prod-a\nbackup_server: prod-b\n")
	for _, tt := range []struct {
		flags          connection
		server, backup string
	}{
		{connection{}, "prod-a", "prod-b"},
		{connection{server: "test"}, "test", ""},
		{connection{backup: "other"}, "prod-a", "other"},
		{connection{server: "test", backup: "test-b"}, "test", "test-b"},
	} {
		if l := settingsOf(t, b, tt.flags); l.server != tt.server || l.backup != tt.backup {
			t.Errorf("%+v: server %q, backup %q", tt.flags, l.server, l.backup)
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
		e := &Env{GOOS: tt.goos, Getenv: func(key string) string { return tt.vars[key] }}
		var got []string
		for _, f := range e.configFiles() {
			got = append(got, f.path)
		}
		if strings.Join(got, " ") != strings.Join(tt.want, " ") {
			t.Errorf("%s %v: %q, want %q", tt.goos, tt.vars, got, tt.want)
		}
	}
}

func TestHarmlessConfigs(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "server:\n", "password: 007\n"} {
		b := newBench(t)
		b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600, text)
		l := settingsOf(t, b, connection{})
		if strings.Contains(text, "007") && l.password != "007" {
			t.Errorf("a password of digits became %q", l.password)
		}
	}
}

func TestConfigWithoutPasswordMayBeShared(t *testing.T) {
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = b.write("open.yaml", 0o644, "server: a\nuser: u\npassword_file: pw\n")
	l := settingsOf(t, b, connection{})
	if l.passwordFile != filepath.Join(b.home, "pw") {
		t.Errorf("the password file became %q", l.passwordFile)
	}
	b.GOOS = "windows" // has no mode bits
	b.vars["RSCLI_CONFIG"] = b.write("win.yaml", 0o644, "password: x\n")
	if l := settingsOf(t, b, connection{}); l.password != "x" {
		t.Errorf("on Windows the password is %q", l.password)
	}
}

func TestPathsInConfig(t *testing.T) {
	b := newBench(t)
	b.vars["RSCLI_CONFIG"] = b.write("c.yaml", 0o600,
		"password_file: ~/pw\ncacert: /abs/ca\nknown_servers: known\n")
	l := settingsOf(t, b, connection{})
	if l.passwordFile != filepath.Join(b.home, "pw") || l.cacert != "/abs/ca" ||
		l.knownServers != filepath.Join(b.home, "known") {
		t.Errorf("paths became %+v", l)
	}
}

func TestWindowsFolders(t *testing.T) {
	f := newFake(t)
	b := newWindowsBench(t)
	b.write("ProgramData/rscli/config.yaml", 0o644,
		"server: "+f.addr()+"\nuser: system\npassword_file: ~\\system.txt\n")
	b.write("me/AppData/rscli/config.yaml", 0o644,
		"user: "+testUser+"\npassword_file: ~/my.txt\ncacert: sub/ca.pem\n")
	l := settingsOf(t, b, connection{})
	ca := filepath.Join(b.home, "me/AppData/rscli/sub/ca.pem")
	if l.server != f.addr() || l.user != testUser || l.cacert != ca ||
		l.passwordFile != filepath.Join(b.home, "me/my.txt") {
		t.Errorf("settings %+v", l)
	}
}
