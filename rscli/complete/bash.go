package complete

import (
	"slices"
	"strings"
	"unicode"
)

// Bash hands a completion the line and replaces only a part of the word: that
// behind an opening quote, or else behind the last of its word breaks, such as :
// and =. What replaces it goes into the line as it is.

// bashWord is the word at the end of a line.
type bashWord struct {
	text  string // without quotes
	quote rune   // the one that is open, 0 for none
	// kept is how many characters of text bash leaves in place.
	kept int
}

// splitBash splits a line as bash does, as far as words go: quotes and
// backslashes, no expansions. The last word, which may be empty, is the one that
// is begun.
func splitBash(line, breaks string) ([]string, bashWord) {
	var words []string
	var text []rune
	var w bashWord
	inWord, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			escaped = false
			text = append(text, r)
		case r == '\\' && w.quote != '\'':
			escaped, inWord = true, true
		case w.quote != 0 && r == w.quote:
			w.quote = 0
		case w.quote == 0 && (r == '"' || r == '\''):
			w.quote, w.kept, inWord = r, len(text), true
		case w.quote == 0 && unicode.IsSpace(r):
			if inWord {
				words = append(words, string(text))
			}
			text, w.kept, inWord = nil, 0, false
		default:
			text, inWord = append(text, r), true
			if w.quote == 0 && strings.ContainsRune(breaks, r) {
				w.kept = len(text)
			}
		}
	}
	w.text = string(text)
	return words, w
}

// bashWords are the candidates as bash is to insert them. One that cannot be
// written inside the open quote is left out.
func bashWords(candidates []Candidate, w bashWord) []string {
	var words []string
	for _, c := range candidates {
		runes := []rune(c.Word)
		tail := string(runes[min(w.kept, len(runes)):])
		switch {
		case w.quote == 0:
			words = append(words, escapeBash(tail))
		case w.quote == '\'' && !strings.Contains(tail, "'"),
			w.quote == '"' && !strings.ContainsAny(tail, "\"\\$`!"):
			words = append(words, tail)
		}
	}
	return slices.Compact(words)
}

// escapeBash puts a backslash before every character that may mean something.
func escapeBash(s string) string {
	var b strings.Builder
	for i, r := range s {
		plain := unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./:=@%+,", r)
		if !plain || i == 0 && r == '~' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
