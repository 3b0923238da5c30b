package taskstore

import (
	"strings"
	"testing"
)

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

// TestKey: accents may be written as one character or two, in either case.
func TestKey(t *testing.T) {
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
			if Key(name) != Key(same[0]) {
				t.Errorf("%+q has the key %+q, %+q has %+q", name, Key(name), same[0], Key(same[0]))
			}
		}
	}
	for _, other := range []string{"jurgen", "ju\u0301rgen", "u\u0308jrgen", "juergen"} {
		if Key(other) == Key("j\u00fcrgen") {
			t.Errorf("%+q is the same as j\u00fcrgen", other)
		}
	}
}
