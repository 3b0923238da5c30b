package taskstore

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// MaxName is how many characters the name of a task, host or user may have.
const MaxName = 64

// Key returns what two names share that mean the same: they differ in case only,
// or in how their accents are written, as one character with the letter or as
// characters of their own (Unicode, chapter 3.13, canonical caseless matching).
func Key(name string) string {
	if isASCII(name) {
		return FoldCase(name)
	}
	parts := strings.Map(foldLetter, norm.NFD.String(name))
	return FoldCase(norm.NFC.String(parts))
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// FoldCase returns the same text for all that are equal without case, which is the
// relation of strings.EqualFold: names whose accents are written differently stay
// different, as they did in the first version.
func FoldCase(name string) string { return strings.Map(foldRune, name) }

// foldRune returns the same rune for all that are equal without case.
func foldRune(r rune) rune {
	return foldTo(r, func(rune) bool { return true })
}

// foldLetter is foldRune for a decomposed text, where a letter must not become the
// combining mark that is equal to it without case, the iota below: it would go
// with the letter in front of it.
func foldLetter(r rune) rune {
	return foldTo(r, func(r rune) bool { return !unicode.IsMark(r) })
}

// foldTo returns the first of the runes equal to r without case that is wanted, in
// lower case if it is ASCII; r where none is.
func foldTo(r rune, wanted func(rune) bool) rune {
	if r < utf8.RuneSelf {
		return asciiLower(r)
	}
	first := rune(unicode.MaxRune + 1)
	for next := unicode.SimpleFold(r); ; next = unicode.SimpleFold(next) {
		if wanted(next) {
			first = min(first, next)
		}
		if next == r {
			break
		}
	}
	if first > unicode.MaxRune {
		return r
	}
	return asciiLower(first)
}

func asciiLower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// ValidName checks the name of a what ("task"): 1 to MaxName printable
// characters without a slash, blanks only inside, and not "." or "..", which
// no web address can end in. The error is of kind Usage.
func ValidName(what, name string) error {
	n := utf8.RuneCountInString(name)
	switch {
	case n == 0:
		return fault.New(fault.Usage, "a %s needs a name", what)
	case n > MaxName:
		return fault.New(fault.Usage, "the name of a %s has at most %d characters", what, MaxName)
	case name == "." || name == "..", strings.ContainsAny(name, `/\`), !arrayclient.Printable(name),
		strings.TrimSpace(name) != name:
		return fault.New(fault.Usage, "%q is no name for a %s", name, what).
			WithHint("a name has printable characters, no slashes, and no blanks at its ends")
	}
	return nil
}
