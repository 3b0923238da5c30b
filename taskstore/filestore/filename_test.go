package filestore

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"copyservices/taskstore"
)

func TestFileName(t *testing.T) {
	long := strings.Repeat("é", taskstore.MaxName)
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

// TestFileNameOfAccents: names that are the same in different characters share a file.
func TestFileNameOfAccents(t *testing.T) {
	for _, same := range [][]string{
		{"j\u00fcrgen", "ju\u0308rgen", "JU\u0308RGEN", "J\u00dcrgen"},
		{"\u01f0", "j\u030c", "J\u030c"},                                     // no capital in one character
		{"\u212bngstr\u00f6m", "\u00e5ngstr\u00f6m", "A\u030angstro\u0308m"}, // the unit's sign
		{"\u1ea5", "a\u0302\u0301", "\u00e2\u0301", "\u00c2\u0301"},
		{"\u1e69", "s\u0323\u0307", "s\u0307\u0323", "\u017f\u0323\u0307"}, // marks in any order
		{"\uac00", "\u1100\u1161"},                                         // Hangul
		{"\u1fb3", "\u03b1\u0345", "\u03b1\u03b9", "\u0391\u0399"},
	} {
		for _, name := range same {
			if fileName(name) != fileName(same[0]) {
				t.Errorf("%+q has the file %q, %+q has %q", name, fileName(name), same[0], fileName(same[0]))
			}
		}
	}
}

// FuzzFileName: names are the same exactly when they share a file, and every file
// name is plain.
func FuzzFileName(f *testing.F) {
	f.Add("Task", "tASK")
	f.Add("con", "c%6fn")
	f.Add("ſ", "S")
	f.Add("\u00e9", "e\u0301")
	f.Fuzz(func(t *testing.T, a, b string) {
		if taskstore.ValidName("task", a) != nil || taskstore.ValidName("task", b) != nil {
			return
		}
		fa, fb := fileName(a), fileName(b)
		if same := strings.EqualFold(norm.NFD.String(a), norm.NFD.String(b)); (fa == fb) != same {
			t.Errorf("%+q and %+q are stored in %q and %q", a, b, fa, fb)
		}
		if fileName(norm.NFC.String(a)) != fa || fileName(norm.NFD.String(a)) != fa {
			t.Errorf("the file name of %+q depends on how accents are written", a)
		}
		if strings.Trim(fa, "abcdefghijklmnopqrstuvwxyz0123456789-_.%~ABCDEF") != "" {
			t.Errorf("file name %q", fa)
		}
	})
}
