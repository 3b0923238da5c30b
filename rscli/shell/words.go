package shell

import (
	"strings"
	"unicode"

	"github.com/chzyer/readline"

	"copyservices/arrayclient/fault"
)

// word is one word of a line: its text without the quotes, and where it
// stands in the line with them.
type word struct {
	text       string
	start, end int
}

// splitWords splits a line at blanks. '…' and "…" keep blanks and everything
// else together; there are no escapes, so that a Windows path needs none. A
// line whose first word begins with # has no words. With a quote that is not
// closed, which is a usage error, the last word goes to the end of the line.
func splitWords(line []rune) ([]word, error) {
	var words []word
	var quote rune
	var text strings.Builder
	start := -1
	for i, r := range line {
		switch {
		case start < 0 && unicode.IsSpace(r):
			continue
		case start < 0 && r == '#' && len(words) == 0:
			return nil, nil
		case quote == 0 && unicode.IsSpace(r):
			words = append(words, word{text.String(), start, i})
			text.Reset()
			start = -1
			continue
		case start < 0:
			start = i
		}
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote != 0 && r == quote:
			quote = 0
		default:
			text.WriteRune(r)
		}
	}
	if start >= 0 {
		words = append(words, word{text.String(), start, len(line)})
	}
	if quote != 0 {
		return words, fault.New(fault.Usage, "the quote %c is not closed", quote).
			WithHint("a word with a quote in it is written in the other kind of quotes")
	}
	return words, nil
}

func texts(words []word) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = w.text
	}
	return list
}

// secretSpan returns which words of a line, from first up to but not
// including end, are or may be a password. Of a line that is wrong it takes
// all from the first place where a verb has its password.
func (s *shell) secretSpan(words []word) (first, end int) {
	if len(words) == 0 {
		return 0, 0
	}
	v := s.find(words[0].text)
	switch {
	case v == nil:
		return min(s.firstSecret(), len(words)), len(words)
	case v.secret == 0:
		return len(words), len(words)
	case len(words)-1 > v.most:
		return min(v.secret, len(words)), len(words)
	}
	return min(v.secret, len(words)), min(v.secret+1, len(words))
}

// firstSecret is the lowest place at which any verb has its password.
func (s *shell) firstSecret() int {
	first := len(s.verbs) + 1000 // more words than any verb takes
	for _, v := range s.verbs {
		if v.secret > 0 {
			first = min(first, v.secret)
		}
	}
	return first
}

// mask returns a line as it may be shown: every character of a password is
// replaced by as many asterisks as it has columns. Line ends stay.
func (s *shell) mask(line []rune) []rune {
	words, _ := splitWords(line)
	first, end := s.secretSpan(words)
	if first == end {
		return line
	}
	shown := append([]rune{}, line[:words[first].start]...)
	shown = append(shown, asterisks(line[words[first].start:words[end-1].end])...)
	return append(shown, line[words[end-1].end:]...)
}

func asterisks(line []rune) []rune {
	var shown []rune
	for _, r := range line {
		if r == '\n' {
			shown = append(shown, r)
			continue
		}
		for range (readline.Runes{}).Width(r) {
			shown = append(shown, '*')
		}
	}
	return shown
}

// withoutSecret returns a line for history and reports: without the words
// that are or may be a password, blanks and quotes made plain.
func (s *shell) withoutSecret(words []word) string {
	first, end := s.secretSpan(words)
	var kept []string
	for i, w := range words {
		if i < first || i >= end {
			kept = append(kept, quoted(w.text))
		}
	}
	return strings.Join(kept, " ")
}

// quoted writes a word so that splitWords gives it back.
func quoted(text string) string {
	switch {
	case text != "" && !strings.ContainsFunc(text, needsQuote):
		return text
	case !strings.Contains(text, "'"):
		return "'" + text + "'"
	}
	// Both kinds of quotes: the pieces in turn.
	return "'" + strings.ReplaceAll(text, "'", `'"'"'`) + "'"
}

func needsQuote(r rune) bool {
	return unicode.IsSpace(r) || r == '\'' || r == '"' || r == '#'
}
