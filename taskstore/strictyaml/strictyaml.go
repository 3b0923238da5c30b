// Package strictyaml reads YAML of which every key is known: what a person has
// mistyped must not pass for something left out. Errors name the line, and what may
// stand there, in the words of the file.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// ErrEmpty is the error for a text without a document.
var ErrEmpty = errors.New("empty")

// SyntaxError is the error for a text that is no YAML.
type SyntaxError struct {
	Line   int
	Reason string // in the words of the library
}

// Error names the line.
func (e SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Parse returns the top of data, which is exactly one document. The error is a
// SyntaxError, or ErrEmpty where there is no document.
func Parse(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, ErrEmpty
		}
		return nil, syntaxError(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	return doc.Content[0], nil
}

// syntaxError makes one of an error of the library, which has the line in its text, and
// leaves out the first.
func syntaxError(err error) SyntaxError {
	e := SyntaxError{1, strings.TrimPrefix(err.Error(), "yaml: ")}
	if line, reason, ok := strings.Cut(strings.TrimPrefix(e.Reason, "line "), ": "); ok {
		if n, err := strconv.Atoi(line); err == nil {
			e = SyntaxError{n, reason}
		}
	}
	return e
}

// Word is what messages call a type.
type Word struct {
	Is string // what a value is to be: "a pair with source and target"
	In string // where a key stands: "in a pair"; may be empty
}

// Words are those of the types of a file. Types without one are described by their
// kind.
type Words map[reflect.Type]Word

// Decode reads data, which is exactly one document without unknown keys, into v, a
// pointer. The error is Misplaced for what stands in the wrong place.
func Decode(data []byte, v any) error { return Words(nil).Decode(data, v) }

// Decode is Decode with messages in these words.
func (w Words) Decode(data []byte, v any) error {
	top, err := Parse(data)
	if err != nil {
		return err
	}
	c := checker{words: w, seen: map[visit]bool{}}
	c.check(top, reflect.TypeOf(v).Elem(), "it")
	if c.found.Places == 0 {
		if err = top.Decode(v); err == nil {
			return nil
		}
	}
	// Single values are looked at only now: it takes the library, and time.
	c = checker{words: w, values: true, seen: map[visit]bool{}}
	c.check(top, reflect.TypeOf(v).Elem(), "it")
	if c.found.Places > 0 {
		return c.found
	}
	return syntaxError(err)
}

// mostReasons is how many wrong places an error names.
const mostReasons = 3

// Misplaced is the error for a text in which something stands where it may not.
type Misplaced struct {
	Places  int      // how many there are
	Reasons []string // the first of them, each with its line
}

// Error names the first places, and how many more there are.
func (m Misplaced) Error() string {
	text := strings.Join(m.Reasons, "; ")
	if more := m.Places - len(m.Reasons); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

func (m *Misplaced) add(n *yaml.Node, format string, args ...any) {
	if m.Places++; m.Places <= mostReasons {
		m.Reasons = append(m.Reasons, fmt.Sprintf("line %d: ", n.Line)+fmt.Sprintf(format, args...))
	}
}

// checker compares a text with a type.
type checker struct {
	words  Words
	values bool // look at single values too
	found  Misplaced
	seen   map[visit]bool // what aliases stand for is looked at once
}

type visit struct {
	node *yaml.Node
	as   reflect.Type
}

// check compares the value n, which messages call what, with the type that it is for.
func (c *checker) check(n *yaml.Node, t reflect.Type, what string) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Tag == "!!null" || c.seen[visit{n, t}] {
		return
	}
	c.seen[visit{n, t}] = true
	fields := fieldsOf(t)
	switch {
	case fields != nil && n.Kind == yaml.MappingNode:
		c.checkKeys(n, t, fields)
	case fields == nil && t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			c.check(item, t.Elem(), what)
		}
	case fields != nil || t.Kind() == reflect.Slice,
		n.Kind != yaml.ScalarNode && t.Kind() != reflect.Map && t.Kind() != reflect.Interface,
		c.values && n.Decode(reflect.New(t).Interface()) != nil:
		if n.Kind == yaml.ScalarNode {
			what = "'" + n.Value + "'"
		}
		c.found.add(n, "%s is not %s", what, c.wanted(t))
	}
}

// checkKeys compares the keys of a mapping with the fields of the struct t.
func (c *checker) checkKeys(n *yaml.Node, t reflect.Type, fields map[string]reflect.Type) {
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field, known := fields[key.Value]
		line, twice := lines[key.Value]
		switch {
		case key.Tag == "!!merge":
			c.checkMerged(value, t)
			continue
		case key.Kind != yaml.ScalarNode || !known:
			c.found.add(key, "there is no key %q%s", key.Value, c.in(t))
		case twice:
			c.found.add(key, "mapping key %q already defined at line %d", key.Value, line)
		default:
			c.check(value, field, "the value of "+key.Value)
		}
		lines[key.Value] = key.Line
	}
}

// checkMerged compares what a key << brings in.
func (c *checker) checkMerged(value *yaml.Node, t reflect.Type) {
	from := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		from = value.Content
	}
	for _, n := range from {
		c.check(n, t, "the value of <<")
	}
}

// fieldsOf returns the types of the keys that a struct is read from; nil for any other
// type, and for one that reads itself.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t.Kind() != reflect.Struct || readsItself(t) {
		return nil
	}
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		if f.IsExported() && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}

func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[yaml.Unmarshaler]()) ||
		p.Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]())
}

func (c *checker) in(t reflect.Type) string {
	if in := c.words[t].In; in != "" {
		return " " + in
	}
	return ""
}

// wanted says what a value of the type t is.
func (c *checker) wanted(t reflect.Type) string {
	if word, ok := c.words[t]; ok {
		return word.Is
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "plain text"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		if !readsItself(t) {
			return "a mapping of keys to values"
		}
	}
	return "what belongs there"
}
