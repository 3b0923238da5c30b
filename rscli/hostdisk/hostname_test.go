package hostdisk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/hostdisk/hostdisktest"
)

// rootWith is a tree of just these files.
func rootWith(t *testing.T, files map[string]string) string {
	t.Helper()
	tree := hostdisktest.Tree{Root: t.TempDir()}
	for name, content := range files {
		check(t, tree.File(name, []byte(content)))
	}
	return tree.Root
}

func TestHostName(t *testing.T) {
	const kernel, etc = "proc/sys/kernel/hostname", "etc/hostname"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"kernel first": {map[string]string{kernel: "RICH-W2K-OS-2\n", etc: "other\n"}, "RICH-W2K-OS-2"},
		"etc":          {map[string]string{etc: "  rich.example.com\n"}, "rich.example.com"},
		"empty kernel": {map[string]string{kernel: "\n", etc: "rich\n"}, "rich"},
		"none":         {nil, ""},
		"blank":        {map[string]string{etc: "a b\n"}, ""},
		"two lines":    {map[string]string{etc: "a\nb\n"}, ""},
		"colon":        {map[string]string{etc: "a:b\n"}, ""},
		"control":      {map[string]string{etc: "a\x1b[2J\n"}, ""},
		"not ASCII":    {map[string]string{etc: "h\u00f4te\n"}, ""},
		"endless":      {map[string]string{etc: strings.Repeat("a", 1<<20)}, ""},
	} {
		root := rootWith(t, c.files)
		got, err := HostName(root)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
		if err != nil && (fault.KindOf(err) != fault.Failed || fault.HintOf(err) == "") {
			t.Errorf("%s: %v is %s, hint %q", name, err, fault.KindOf(err), fault.HintOf(err))
		}
	}
}

func TestIsDefaultName(t *testing.T) {
	for name, want := range map[string]bool{
		"": true, "localhost": true, "LocalHost": true, "localhost.localdomain": true,
		"localhost.example.com": true, "localhost6.localdomain6": true, "(none)": true,
		"unknown": true, "Amnesiac": true, "localhost-live": true,
		"rich-w2k-os-1": false, "local": false, "localhosts": false, "db.localhost": false, "../x": false,
	} {
		if got := IsDefaultName(name); got != want {
			t.Errorf("IsDefaultName(%q) = %t", name, got)
		}
	}
}

func TestHostNameOfTheMachine(t *testing.T) {
	want, err := os.Hostname()
	check(t, err)
	if got, err := HostName("/"); got != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// TestHostNameStaysInside: a link of the tree that leads out of it would answer
// with this machine's name.
func TestHostNameStaysInside(t *testing.T) {
	outside := rootWith(t, map[string]string{"hostname": "outside\n"})
	root := rootWith(t, map[string]string{"etc/empty": ""})
	check(t, os.Symlink(filepath.Join(outside, "hostname"), filepath.Join(root, "etc/hostname")))
	if got, err := HostName(root); err == nil {
		t.Errorf("HostName = %q", got)
	}
}

func TestOSName(t *testing.T) {
	const etc, usr = "etc/os-release", "usr/lib/os-release"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"quotes":        {map[string]string{etc: "ID=x\nPRETTY_NAME=\"SLES 15 SP5\"\n"}, "SLES 15 SP5"},
		"single quotes": {map[string]string{etc: "PRETTY_NAME='Arch Linux'\r\n"}, "Arch Linux"},
		"bare":          {map[string]string{etc: "PRETTY_NAME=Void"}, "Void"},
		"escapes":       {map[string]string{etc: `PRETTY_NAME="A \"B\" \$5"`}, `A "B" $5`},
		"usr":           {map[string]string{usr: "PRETTY_NAME=Void\n"}, "Void"},
		"none":          {nil, "Linux"},
		"empty":         {map[string]string{etc: "PRETTY_NAME=\n"}, "Linux"},
		"control":       {map[string]string{etc: "PRETTY_NAME=\x1b[2J\n"}, "Linux"},
	} {
		if got := OSName(rootWith(t, c.files)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := OSName(""); got == "" {
		t.Error("this machine has no OS name")
	}
}

func TestUnixName(t *testing.T) {
	for _, c := range [][4]string{
		{"AIX", "2", "7", "AIX 7.2"}, {"SunOS", "5.11", "11.4.0.15.0", "SunOS 5.11"},
		{"FreeBSD", "13.2-RELEASE", "FreeBSD 13.2-RELEASE GENERIC", "FreeBSD 13.2-RELEASE"},
		{"Darwin", "22.6.0", "Darwin Kernel Version 22.6.0", "Darwin 22.6.0"}, {"X", "", "", "X"},
	} {
		if got := unixName(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("unixName(%q) = %q", c[:3], got)
		}
	}
}

func TestWindowsName(t *testing.T) {
	for _, c := range []struct {
		product string
		build   uint32
		want    string
	}{
		{"Windows Server 2022 Standard", 20348, "Windows Server 2022 Standard, build 20348"},
		{"Windows 10 Pro", 19045, "Windows 10 Pro, build 19045"},
		{"Windows 10 Pro", 22631, "Windows 11 Pro, build 22631"}, {"", 9600, "Windows, build 9600"},
	} {
		if got := windowsName(c.product, c.build); got != c.want {
			t.Errorf("windowsName(%q, %d) = %q", c.product, c.build, got)
		}
	}
}
