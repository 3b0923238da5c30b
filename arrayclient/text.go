package arrayclient

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable reports whether a name or label can be shown as it is: it keeps control
// characters, and invisible ones that reorder text, out of messages and tables, and
// bytes that are not UTF-8 out of JSON.
func Printable(s string) bool {
	return utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
