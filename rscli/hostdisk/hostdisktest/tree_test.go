package hostdisktest

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPeersReadTheTree holds the trees against the tools that rsList2105s is
// measured with: each must see every disk.
func TestPeersReadTheTree(t *testing.T) {
	const n = 300 // past the first device numbers, see deviceNumber
	root := t.TempDir()
	if err := Large(root, n); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"lsblk", "--nodeps", "--noheadings", "--output", "NAME,TYPE,VENDOR,MODEL", "--sysroot", root},
		{"lsscsi", "--kname", "--sysfsroot=" + filepath.Join(root, "sys")},
	} {
		t.Run(args[0], func(t *testing.T) {
			if _, err := exec.LookPath(args[0]); err != nil {
				t.Skip(err)
			}
			out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).Output()
			if err != nil {
				t.Fatal(err)
			}
			seen := make(map[string]bool)
			for line := range strings.Lines(string(out)) {
				if !strings.Contains(line, "disk") || !strings.Contains(line, "2105800") {
					t.Errorf("not a 2105 disk: %s", line)
				}
				for word := range strings.FieldsSeq(line) {
					seen[strings.TrimPrefix(word, "/dev/")] = true
				}
			}
			for i := range n {
				if !seen[SDName(i)] {
					t.Errorf("%s is missing", SDName(i))
				}
			}
		})
	}
}

func TestDeviceNumber(t *testing.T) {
	for name, want := range map[string]string{
		"sda": "8:0", "sdp": "8:240", "sdq": "65:0", "sdaa": "65:160", "sdiv": "135:240",
		"sdiw": "8:256",
	} {
		if got := deviceNumber(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
