package shell

import (
	"slices"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
)

func TestSplitWords(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{"", nil},
		{"  \t ", nil},
		{"# addess a b c", nil},
		{"lsess", []string{"lsess"}},
		{" addess  10.0.0.5\tuser pass ", []string{"addess", "10.0.0.5", "user", "pass"}},
		{`adduser u "two words"`, []string{"adduser", "u", "two words"}},
		{`adduser u 'a "b" c'`, []string{"adduser", "u", `a "b" c`}},
		{`adduser u it"'"s`, []string{"adduser", "u", "it's"}},
		{`adduser u C:\dir\`, []string{"adduser", "u", `C:\dir\`}},
		{`adduser u ''`, []string{"adduser", "u", ""}},
		{"adduser u #1", []string{"adduser", "u", "#1"}},
		{"adduser ü päß", []string{"adduser", "ü", "päß"}},
	}
	for _, tt := range tests {
		words, err := splitWords([]rune(tt.line))
		if err != nil || !slices.Equal(texts(words), append([]string{}, tt.want...)) {
			t.Errorf("%q: %q, %v", tt.line, texts(words), err)
		}
	}
	for _, line := range []string{`adduser u "open`, `adduser u 'it"s`, `"`} {
		words, err := splitWords([]rune(line))
		if fault.KindOf(err) != fault.Usage || len(words) == 0 {
			t.Errorf("%q: %q, %v", line, texts(words), err)
		}
	}
}

func deviceShell() *shell { return &shell{verbs: deviceVerbs()} }
func userShell() *shell   { return &shell{verbs: userVerbs()} }

func TestMaskHidesThePassword(t *testing.T) {
	tests := []struct {
		shell      *shell
		line, want string
	}{
		{deviceShell(), "addess", "addess"},
		{deviceShell(), "addess 10.0.0.5 user", "addess 10.0.0.5 user"},
		{deviceShell(), "addess 10.0.0.5 user p", "addess 10.0.0.5 user *"},
		{deviceShell(), "addess 10.0.0.5 user pass\n", "addess 10.0.0.5 user ****\n"},
		{deviceShell(), `addess 10.0.0.5 user "my pa`, "addess 10.0.0.5 user ******"},
		{deviceShell(), "addess 10.0.0.5 user my pass", "addess 10.0.0.5 user *******"},
		{deviceShell(), "addesserver a u pass b", "addesserver a u **** b"},
		{deviceShell(), "ADDESS a u pass", "ADDESS a u ****"},
		{deviceShell(), "adess a user pass", "adess a user ****"},
		{deviceShell(), "lsess a b c d", "lsess a b c d"},
		{deviceShell(), "help a b c", "help a b *"},
		{userShell(), "adduser cimuser cimpass", "adduser cimuser *******"},
		{userShell(), "aduser cimuser cimpass", "aduser cimuser *******"},
		{userShell(), "adduser u 密码", "adduser u ****"},
		{userShell(), "adduser u a\"b\nc", "adduser u ***\n*"},
	}
	for _, tt := range tests {
		if got := string(tt.shell.mask([]rune(tt.line))); got != tt.want {
			t.Errorf("%q is shown as %q, want %q", tt.line, got, tt.want)
		}
	}
}

func TestHistoryHasNoPassword(t *testing.T) {
	tests := []struct{ line, want string }{
		{"addess 10.0.0.5 user pass", "addess 10.0.0.5 user"},
		{"addessserver 10.0.0.5 user pass 10.0.0.6", "addessserver 10.0.0.5 user 10.0.0.6"},
		{"addess 10.0.0.5 user my pass word", "addess 10.0.0.5 user"},
		{"adess 10.0.0.5 user pass", "adess 10.0.0.5 user"},
		{`addess 10.0.0.5 "a b" 'open pass`, "addess 10.0.0.5 'a b'"},
		{"rmess   10.0.0.5", "rmess 10.0.0.5"},
		{"# addess a b pass", ""},
	}
	for _, tt := range tests {
		words, _ := splitWords([]rune(tt.line))
		if got := deviceShell().withoutSecret(words); got != tt.want {
			t.Errorf("%q is kept as %q, want %q", tt.line, got, tt.want)
		}
	}
}

// Whatever is typed: words stand where they say, quoting is undone exactly,
// and nothing of a password is shown or kept.
func FuzzSplitWords(f *testing.F) {
	for _, seed := range []string{
		"addess 10.0.0.5 user pass", `a 'b "c' "d'e" #`, "00\x00 \u00a0'", "addess \"a\"'b' c\td e f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := []rune(text)
		words, _ := splitWords(line)
		at := 0
		for _, w := range words {
			if w.start < at || w.end <= w.start || w.end > len(line) {
				t.Fatalf("%q: word %+v after %d", text, w, at)
			}
			at = w.end
			again, err := splitWords([]rune("x " + quoted(w.text)))
			if err != nil || len(again) != 2 || again[1].text != string([]rune(w.text)) {
				t.Fatalf("%q is quoted as %s: %q, %v", w.text, quoted(w.text), texts(again), err)
			}
		}
		s := deviceShell()
		first, end := s.secretSpan(words)
		if first > end || end > len(words) {
			t.Fatalf("%q: secret from %d to %d of %d", text, first, end, len(words))
		}
		if first == end {
			return
		}
		shown := string(s.mask(line))
		before, after := string(line[:words[first].start]), string(line[words[end-1].end:])
		middle, ok := strings.CutPrefix(shown, before)
		middle, ok2 := strings.CutSuffix(middle, after)
		if !ok || !ok2 || strings.Trim(middle, "*\n") != "" {
			t.Fatalf("%q is shown as %q", text, shown)
		}
	})
}
