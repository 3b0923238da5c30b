package taskstore

import (
	"strings"
	"testing"
)

func TestFileName(t *testing.T) {
	long := strings.Repeat("é", MaxName)
	for name, want := range map[string]string{
		"VMWare_W2K_FC":       "vmware_w2k_fc.yaml",
		"a b":                 "a%20b.yaml",
		"ess/10.0.0.5":        "ess%2F10.0.0.5.yaml",
		"host:disk":           "host%3Adisk.yaml",
		".hidden.":            "%2Ehidden%2E.yaml",
		"Ärger":               "%C3%84rger.yaml",
		"ärger":               "%C3%84rger.yaml",
		"CON":                 "%63on.yaml",
		"nul.txt":             "%6Eul.txt.yaml",
		"com1":                "%63om1.yaml",
		"com10":               "com10.yaml",
		"lpt":                 "lpt.yaml",
		"100%":                "100%25.yaml",
		"\u212aelvin":         "kelvin.yaml",
		"tilde~":              "tilde%7E.yaml",
		strings.ToUpper(long): fileName(long),
	} {
		if got := fileName(name); got != want {
			t.Errorf("fileName(%q) = %q, want %q", name, got, want)
		}
	}
	if n := len(fileName(long)); n > maxFileName {
		t.Errorf("file name of a long name has %d bytes", n)
	}
	if fileName(long) == fileName(long[:len(long)-2]+"e") {
		t.Error("two long names share a file")
	}
}

func TestValidName(t *testing.T) {
	for _, name := range []string{"a", "Task 1", "日本", strings.Repeat("é", MaxName), "a-b"} {
		if err := ValidName("task", name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "a/b", `a\b`, "a\nb", "a\x00", " a", "a ", "\xff",
		"a\u202eb", strings.Repeat("x", MaxName+1),
	} {
		if ValidName("task", name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

// FuzzFileName: names are equal without case exactly when they share a file,
// and every file name is plain.
func FuzzFileName(f *testing.F) {
	f.Add("Task", "tASK")
	f.Add("con", "c%6fn")
	f.Add("ſ", "S")
	f.Fuzz(func(t *testing.T, a, b string) {
		if ValidName("task", a) != nil || ValidName("task", b) != nil {
			return
		}
		fa, fb := fileName(a), fileName(b)
		if (fa == fb) != strings.EqualFold(a, b) {
			t.Errorf("%q and %q are stored in %q and %q", a, b, fa, fb)
		}
		if strings.Trim(fa, "abcdefghijklmnopqrstuvwxyz0123456789-_.%~ABCDEF") != "" {
			t.Errorf("file name %q", fa)
		}
	})
}
