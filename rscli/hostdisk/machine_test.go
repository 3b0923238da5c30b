package hostdisk

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// Ids and what "systemd-id128 machine-id --app-specific=5e0bd14c..." makes of them.
const (
	sampleID     = "0123456789abcdef0123456789abcdef"
	sampleHash   = "acf41a0eb86349378424ded4af2dbf10"
	hostidSample = "84f3a1c2"
	hostidHash   = "6dc2d85e20094780be0b6c2987eb1cc3"
)

func TestMachineIDOfTree(t *testing.T) {
	const etc, dbus = "etc/machine-id", "var/lib/dbus/machine-id"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"systemd":       {map[string]string{etc: sampleID + "\n"}, sampleHash},
		"dbus":          {map[string]string{dbus: sampleID + "\n"}, sampleHash},
		"first boot":    {map[string]string{etc: "uninitialized\n"}, ""},
		"empty, dbus":   {map[string]string{etc: "", dbus: sampleID}, sampleHash},
		"zeros":         {map[string]string{etc: strings.Repeat("0", 32)}, ""},
		"too long":      {map[string]string{etc: sampleID + "00"}, ""},
		"none":          {nil, ""},
		"not a number":  {map[string]string{etc: strings.Repeat("xy", 16)}, ""},
		"odd bytes":     {map[string]string{etc: "\x00\xff\x1b[2J"}, ""},
		"several lines": {map[string]string{etc: sampleID + "\n" + sampleID + "\n"}, ""},
	} {
		if got := MachineID(t.Context(), rootWith(t, c.files)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestMachineIDOfSystems(t *testing.T) {
	const uuid = "01234567-89AB-CDEF-0123-456789ABCDEF\n"
	const expert = "ioreg -a -r -d 1 -c IOPlatformExpertDevice"
	const mac = "=<plist><array><dict><key>IOPlatformUUID</key><string>"
	for _, c := range []struct{ goos, line, answer, want string }{
		{"aix", "lsattr -El sys0 -a os_uuid -F value", "=" + uuid, sampleHash},
		{"freebsd", "sysctl -n kern.hostuuid", "=" + uuid, sampleHash},
		{"freebsd", "sysctl -n kern.hostuuid", "=00000000-0000-0000-0000-000000000000\n", ""},
		{"solaris", "hostid", "=" + hostidSample + "\n", hostidHash},
		{"illumos", "hostid", "=00000000\n", ""},
		{"darwin", expert, mac + strings.TrimSpace(uuid) + "</string></dict></array></plist>", sampleHash},
		{"darwin", expert, "=", ""},
		{"darwin", expert, "=<plist><dict/></plist>", ""},
		{"darwin", expert, "=no list", ""},
		{"aix", "another", "=" + uuid, ""},
		{"plan9", "hostid", "=" + uuid, ""},
	} {
		f := sampleTools(t, map[string]string{c.line: c.answer})
		if got := appSpecific(toolMachineID(t.Context(), c.goos, f.run)); got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.goos, c.answer, got, c.want)
		}
	}
}

// TestMachineIDOfTheMachine: where systemd's own tool is, it says the same.
func TestMachineIDOfTheMachine(t *testing.T) {
	got := MachineID(t.Context(), "/")
	if _, err := os.Stat("/etc/machine-id"); runtime.GOOS != "linux" || err != nil {
		return
	}
	if id, _ := os.ReadFile("/etc/machine-id"); got == "" && len(id) > 32 {
		t.Errorf("none of %q", id)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-id128", "machine-id",
		"--app-specific=5e0bd14c279a4f638b3d9071c61fe4a8").Output()
	if want := strings.TrimSpace(string(out)); err == nil && got != want {
		t.Errorf("%q, systemd makes %q", got, want)
	}
}
