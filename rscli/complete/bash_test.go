package complete

import (
	"strings"
	"testing"
)

func TestWordsOfBash(t *testing.T) {
	const breaks = " \t\n\"'@><=;|&(:"
	for _, tt := range []struct {
		line, words, text string
		quote             rune
		kept              int
	}{
		{"rsQuery ", "rsQuery", "", 0, 0},
		{"rsQuery 203", "rsQuery", "203", 0, 0},
		{"rsQuery\t -s  a:1", "rsQuery|-s", "a:1", 0, 2},
		{"rsQuery --pair=a:b", "rsQuery", "--pair=a:b", 0, 9},
		{`rsX "my task" 'a b' c\ d`, "rsX|my task|a b", "c d", 0, 0},
		{`rsX "my ta`, "rsX", "my ta", '"', 0},
		{`rsX --pair="a:b`, "rsX", "--pair=a:b", '"', 7},
		{`rsX 'a\`, "rsX", `a\`, '\'', 0},
		{`rsX "" `, "rsX|", "", 0, 0},
	} {
		words, w := splitBash(tt.line, breaks)
		if strings.Join(words, "|") != tt.words || w != (bashWord{tt.text, tt.quote, tt.kept}) {
			t.Errorf("%q: %q and %+v", tt.line, words, w)
		}
	}
	list := []Candidate{{Word: "it's"}, {Word: `a"$b`}, {Word: "plain"}}
	for quote, want := range map[rune]string{
		0: `it\'s|a\"\$b|plain`, '\'': `a"$b|plain`, '"': `it's|plain`,
	} {
		if got := strings.Join(bashWords(list, bashWord{quote: quote}), "|"); got != want {
			t.Errorf("in %q: %q", quote, got)
		}
	}
}

// FuzzEscapeBash: what is escaped is one word again, and the same.
func FuzzEscapeBash(f *testing.F) {
	f.Add("it$(rm -rf ~)'\"\\")
	f.Add("~a:b=c é")
	f.Fuzz(func(t *testing.T, word string) {
		if word == "" || strings.ContainsFunc(word, isUnfit) {
			return
		}
		words, w := splitBash("x "+escapeBash(word), "")
		if len(words) != 1 || w.text != word || w.quote != 0 {
			t.Errorf("%q became %q, %+v", word, words, w)
		}
	})
}
