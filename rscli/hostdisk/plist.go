package hostdisk

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A property list in XML (plist(5) of macOS) is read into map[string]any, []any,
// string, []byte, int64 and bool; dates and reals stay the text that they are.

var errPlist = errors.New("not a property list")

// plistDepth bounds the nesting; the registry of a Mac is some 20 levels deep,
// two elements for each.
const plistDepth = 200

// parsePlist returns the value of a property list, nil for an empty text, which
// is how ioreg prints that it found nothing.
func parsePlist(text []byte) (any, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	p := plist{xml.NewDecoder(bytes.NewReader(hideStrays(text)))}
	p.dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	root, err := p.next()
	if err != nil || root == nil || root.Name.Local != "plist" {
		return nil, errPlist
	}
	first, err := p.next()
	if err != nil || first == nil {
		return nil, errPlist
	}
	return p.value(*first, plistDepth)
}

type plist struct{ dec *xml.Decoder }

// next returns the next element to start, nil at the end of the one around it.
func (p plist) next() (*xml.StartElement, error) {
	for {
		token, err := p.dec.Token()
		if err != nil {
			return nil, errPlist
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		}
	}
}

// value reads the element that has started.
func (p plist) value(start xml.StartElement, depth int) (any, error) {
	if depth == 0 {
		return nil, errPlist
	}
	switch start.Name.Local {
	case "dict":
		return p.dict(depth - 1)
	case "array":
		return p.array(depth - 1)
	case "true", "false":
		return start.Name.Local == "true", p.dec.Skip()
	}
	text, err := p.text(start)
	if err != nil {
		return nil, err
	}
	switch start.Name.Local {
	case "data":
		return decodeData(text), nil
	case "integer":
	default:
		return text, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 0, 64)
	if err != nil {
		return text, nil // a number that is no size
	}
	return n, nil
}

// text reads the text in the element that has started.
func (p plist) text(start xml.StartElement) (string, error) {
	var text string
	if err := p.dec.DecodeElement(&text, &start); err != nil {
		return "", errPlist
	}
	return showStrays(text), nil
}

// decodeData returns the bytes that a data element holds in base64, nil where it
// holds something else.
func decodeData(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil
	}
	return data
}

func (p plist) dict(depth int) (any, error) {
	dict := make(map[string]any)
	for {
		key, err := p.next()
		if err != nil || key == nil {
			return dict, err
		}
		if key.Name.Local != "key" {
			return nil, errPlist
		}
		name, err := p.text(*key)
		if err != nil {
			return nil, err
		}
		start, err := p.next()
		if err != nil || start == nil {
			return nil, errPlist
		}
		if dict[name], err = p.value(*start, depth); err != nil {
			return nil, err
		}
	}
}

func (p plist) array(depth int) (any, error) {
	var array []any
	for {
		start, err := p.next()
		if err != nil || start == nil {
			return array, err
		}
		value, err := p.value(*start, depth)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
}

// The system's tools copy texts into a list as drivers gave them: with control
// characters and broken UTF-8, which XML cannot hold. One such byte anywhere would
// hide all that the list tells. They pass the parser as characters of a private
// area, where a control character keeps its code.
const (
	strays  = '\uf700'
	notText = strays + 0xff // what is no character at all
)

// charReference is a character that stands as its number.
var charReference = regexp.MustCompile(`&#(?:x([0-9A-Fa-f]+)|([0-9]+));`)

// hideStrays replaces what XML cannot hold.
func hideStrays(list []byte) []byte {
	list = charReference.ReplaceAllFunc(list, func(ref []byte) []byte {
		digits := charReference.FindSubmatch(ref)
		n, err := strconv.ParseInt(string(digits[1]), 16, 32)
		if digits[2] != nil {
			n, err = strconv.ParseInt(string(digits[2]), 10, 32)
		}
		if r := hideStray(rune(n)); err != nil || r != rune(n) {
			return utf8.AppendRune(nil, r)
		}
		return ref
	})
	return bytes.Map(hideStray, list)
}

func hideStray(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return r
	case r < ' ':
		return strays + r
	case r == utf8.RuneError || r == '\ufffe' || r == '\uffff' || !utf8.ValidRune(r):
		return notText
	}
	return r
}

// showStrays is the way back.
func showStrays(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= strays && r <= notText {
			return r - strays
		}
		return r
	}, text)
}
