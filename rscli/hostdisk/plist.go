package hostdisk

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

// A property list in XML (plist(5) of macOS) is read into map[string]any, []any,
// string, int64 and bool; data, dates and reals stay the text that they are.

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
	p := plist{xml.NewDecoder(bytes.NewReader(text))}
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
	var text string
	if err := p.dec.DecodeElement(&text, &start); err != nil {
		return nil, errPlist
	}
	if start.Name.Local != "integer" {
		return text, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 0, 64)
	if err != nil {
		return text, nil // a number that is no size
	}
	return n, nil
}

func (p plist) dict(depth int) (any, error) {
	dict := make(map[string]any)
	for {
		key, err := p.next()
		if err != nil || key == nil {
			return dict, err
		}
		var name string
		if key.Name.Local != "key" || p.dec.DecodeElement(&name, key) != nil {
			return nil, errPlist
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
