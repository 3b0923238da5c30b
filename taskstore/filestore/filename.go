package filestore

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"copyservices/taskstore"
)

const (
	maxFileName = 100 // bytes, far below any file system's limit
	keptOfLong  = 60
	extension   = ".yaml"
)

// fileName returns the file name for a name. Equal keys get equal names,
// different keys different ones, also where the file system folds case or
// normalises Unicode, and none is reserved on Windows.
func fileName(name string) string { return fileOf(taskstore.Key(name)) }

// oldFileName is the file name that was given while names with accents written
// differently were different names.
func oldFileName(name string) string { return fileOf(taskstore.FoldCase(name)) }

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
