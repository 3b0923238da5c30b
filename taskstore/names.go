package taskstore

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"copyservices/arrayclient/fault"
)

// MaxName is how many characters the name of a task, host or user may have.
const MaxName = 64

// Key returns what two names share that mean the same: they differ in case only,
// or in how their accents are written, as one character with the letter or as
// characters of their own (Unicode, chapter 3.13, canonical caseless matching).
func Key(name string) string {
	if isASCII(name) {
		return foldCase(name)
	}
	parts := strings.Map(foldLetter, norm.NFD.String(name))
	return foldCase(norm.NFC.String(parts))
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// foldCase returns the same text for all that are equal without case. It is the
// same relation as strings.EqualFold, and what the names of files are made of.
func foldCase(name string) string { return strings.Map(foldRune, name) }

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
	case name == "." || name == "..", strings.ContainsAny(name, `/\`), !printable(name),
		strings.TrimSpace(name) != name:
		return fault.New(fault.Usage, "%q is no name for a %s", name, what).
			WithHint("a name has printable characters, no slashes, and no blanks at its ends")
	}
	return nil
}

// printable keeps control characters, and invisible ones that reorder text,
// out of messages and tables.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

const (
	maxFileName = 100 // bytes, far below any file system's limit
	keptOfLong  = 60
	extension   = ".yaml"
)

// fileName returns the file name for a name. Equal keys get equal names,
// different keys different ones, also where the file system folds case or
// normalises Unicode, and none is reserved on Windows.
func fileName(name string) string { return fileOf(Key(name)) }

// oldFileName is the file name that was given while names with accents written
// differently were different names.
func oldFileName(name string) string { return fileOf(foldCase(name)) }

func fileOf(key string) string {
	escaped := escape(key)
	if len(escaped) > maxFileName {
		sum := sha256.Sum256([]byte(key))
		// '~' is escaped elsewhere, so this is never the name of another key.
		escaped = escaped[:keptOfLong] + "~" + hex.EncodeToString(sum[:16])
	}
	return escaped + extension
}

// escape writes every byte that is not plain as %XX. Dots and hyphens are
// plain inside only: hidden files, endings and options begin or end with them.
func escape(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		edge := i == 0 || i == len(key)-1
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' ||
			(c == '-' || c == '.') && !edge {
			b.WriteByte(c)
			continue
		}
		percent(&b, c)
	}
	if s := b.String(); !reserved(s) {
		return s
	}
	b.Reset()
	percent(&b, key[0])
	return b.String() + key[1:]
}

func percent(b *strings.Builder, c byte) {
	const hexDigits = "0123456789ABCDEF"
	b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
}

// reserved: names of devices on Windows, with whatever extension. Source:
// "Naming Files, Paths, and Namespaces", Microsoft.
func reserved(s string) bool {
	base, _, _ := strings.Cut(s, ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return true
	}
	stem := strings.TrimRight(base, "0123456789")
	return (stem == "com" || stem == "lpt") && len(base) == 4
}
