// Package userfile reads and changes the small files of text that people write
// or look after: configuration, passwords, pins, logins, certificates, tasks.
// Editors and shells save them with byte order marks and in UTF-16, they are
// symbolic links into other places, and commands that run at the same time
// change them. Files that only programs write are no business of this package.
package userfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf16"
	"unicode/utf8"
)

var errNotText = errors.New("it has NUL bytes, as text in UTF-16 without a byte order mark has: " +
	"save it as UTF-8")

// Read returns the text that r has, of at most limit bytes: UTF-8 without a byte
// order mark. UTF-16 with one is converted; without one it is refused. Line ends
// stay as they are.
func Read(r io.Reader, limit int64) ([]byte, error) {
	raw := &io.LimitedReader{R: r, N: limit + 1}
	text, err := io.ReadAll(NewReader(raw))
	switch {
	case raw.N <= 0:
		return nil, tooLong(limit)
	case err == nil && bytes.IndexByte(text, 0) >= 0:
		err = errNotText
	}
	return text, err
}

// ReadFile is Read of the file at path.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := Read(f, limit)
	if err != nil {
		err = &os.PathError{Op: "read", Path: path, Err: err}
	}
	return text, err
}

func tooLong(limit int64) error {
	if limit >= 1<<20 {
		return fmt.Errorf("it is longer than %d MiB", limit>>20)
	}
	return fmt.Errorf("it is longer than %d KiB", limit>>10)
}

// NewReader returns a reader of the text that r has, as Read does, while it
// comes: it waits for no more than the text that is asked for.
func NewReader(r io.Reader) io.Reader { return &reader{in: bufio.NewReader(r)} }

type reader struct {
	in    *bufio.Reader
	begun bool
	order binary.ByteOrder // of UTF-16; nil for UTF-8
	rest  []byte           // converted and not yet read
}

// The byte order marks of UTF-8 and of UTF-16 with the low or the high byte first.
const (
	markUTF8   = "\xEF\xBB\xBF"
	markLittle = "\xFF\xFE"
	markBig    = "\xFE\xFF"
)

// Read implements io.Reader.
func (t *reader) Read(p []byte) (int, error) {
	if !t.begun {
		t.begun = true
		t.begin()
	}
	if t.order == nil {
		return t.in.Read(p)
	}
	if len(t.rest) == 0 {
		if err := t.convert(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// begin takes the byte order mark away. It looks at a further byte only where
// those before begin a mark: more may never come.
func (t *reader) begin() {
	switch {
	case t.takes(markUTF8):
	case t.takes(markLittle):
		t.order = binary.LittleEndian
	case t.takes(markBig):
		t.order = binary.BigEndian
	}
}

func (t *reader) takes(mark string) bool {
	for n := 1; n <= len(mark); n++ {
		if begun, err := t.in.Peek(n); err != nil || begun[n-1] != mark[n-1] {
			return false
		}
	}
	_, _ = t.in.Discard(len(mark)) // which is there
	return true
}

var errBadUTF16 = errors.New("it begins as UTF-16 and is not")

// convert reads one character of UTF-16.
func (t *reader) convert() error {
	first, err := t.unit()
	if err != nil {
		return err
	}
	r := rune(first)
	if utf16.IsSurrogate(r) {
		second, err := t.unit()
		if r = utf16.DecodeRune(r, rune(second)); err != nil || r == utf8.RuneError {
			return errBadUTF16
		}
	}
	t.rest = utf8.AppendRune(t.rest[:0], r)
	return nil
}

func (t *reader) unit() (uint16, error) {
	var b [2]byte
	_, err := io.ReadFull(t.in, b[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errBadUTF16
	}
	return t.order.Uint16(b[:]), err
}
