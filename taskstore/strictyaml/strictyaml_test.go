package strictyaml_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"copyservices/taskstore/strictyaml"
)

type pair struct {
	From string `yaml:"from"`
	To   string `yaml:"to,omitempty"`
}

type file struct {
	Name    string `yaml:"name"`
	Count   int    `yaml:"count"`
	On      bool
	At      time.Time      `yaml:"at"`
	Times   []time.Time    `yaml:"times"`
	Pairs   []pair         `yaml:"pairs"`
	Inner   *pair          `yaml:"inner"`
	Hidden  string         `yaml:"-"`
	Numbers map[string]int `yaml:"numbers"`
}

var words = strictyaml.Words{reflect.TypeFor[pair](): {Is: "a pair", In: "in a pair"}}

func TestDecode(t *testing.T) {
	const text = `# a comment
name: 5
count: 0x10
on: yes
at: 2026-11-27T10:00:00Z
times: [2026-11-27T10:00:00Z]
pairs:
- &first {from: a, to: b}
- *first
- {<<: *first, to: c}
inner: {<<: [*first], from: d}
numbers: {a: 1}
`
	var got file
	if err := words.Decode([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	want := file{
		Name: "5", Count: 16, On: true, At: at, Times: []time.Time{at},
		Pairs: []pair{{"a", "b"}, {"a", "b"}, {"a", "c"}}, Inner: &pair{"d", "b"},
		Numbers: map[string]int{"a": 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
	kept := file{Name: "before", Inner: &pair{From: "x"}}
	if err := words.Decode([]byte("name:\ninner:\n"), &kept); err != nil || kept.Name != "" && kept.Name != "before" {
		t.Errorf("keys without values make %+v, %v", kept, err)
	}
}

func TestMisplaced(t *testing.T) {
	for text, want := range map[string]string{
		"name: a\nnme: b":                      `line 2: there is no key "nme"`,
		"Name: a":                              `line 1: there is no key "Name"`,
		"hidden: a":                            `line 1: there is no key "hidden"`,
		"pairs:\n- {from: a}\n- {form: b}":     `line 3: there is no key "form" in a pair`,
		"inner: {form: b}":                     `line 1: there is no key "form" in a pair`,
		"inner: {<<: {form: b}}":               `line 1: there is no key "form" in a pair`,
		"[a]: b":                               `line 1: there is no key ""`,
		"name: a\nname: b":                     `line 2: mapping key "name" already defined at line 1`,
		"name: [a]":                            "line 1: the value of name is not plain text",
		"count: many":                          "line 1: 'many' is not a whole number",
		"\non: perhaps":                        "line 2: 'perhaps' is not true or false",
		"on: {a: b}":                           "line 1: the value of on is not true or false",
		"at: noon":                             "line 1: 'noon' is not what belongs there",
		"times: [noon]":                        "line 1: 'noon' is not what belongs there",
		"pairs: a":                             "line 1: 'a' is not a list",
		"pairs: {from: a}":                     "line 1: the value of pairs is not a list",
		"pairs: [[a]]":                         "line 1: the value of pairs is not a pair",
		"pairs:\n- from: a\n- b":               "line 3: 'b' is not a pair",
		"inner: a":                             "line 1: 'a' is not a pair",
		"- a":                                  "line 1: it is not a mapping of keys to values",
		"numbers: {a: b}":                      "line 1: the value of numbers is not what belongs there",
		"a: 1\nb: 1\ncount: x\nd: 1\ne: 1":     `line 1: there is no key "a"; line 2: there is no key "b"; line 3: 'x' is not a whole number; and 2 more`,
		"pairs: [&a {form: b}, *a, *a, *a]":    `line 1: there is no key "form" in a pair`,
		"inner: &a {from: *a}":                 "line 1: the value of from is not plain text",
		"inner: {<<: [{from: a}, {form: b}] }": `line 1: there is no key "form" in a pair`,
	} {
		var got file
		err := words.Decode([]byte(text), &got)
		if err == nil || err.Error() != want || !errors.As(err, new(strictyaml.Misplaced)) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for text, line := range map[string]int{
		"{{{]] not: yaml":      1,
		"name: \"a\nuser: b\n": 3,
		"\x00":                 1,
		"name: *none":          1,
		"name: a\n\tcount: 1":  2,
	} {
		var syntax strictyaml.SyntaxError
		err := strictyaml.Decode([]byte(text), new(file))
		if !errors.As(err, &syntax) || syntax.Line != line || strings.Contains(err.Error(), "yaml:") {
			t.Errorf("%q: %v, want an error in line %d", text, err, line)
		}
	}
}

func TestDocuments(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		err := strictyaml.Decode([]byte(text), new(file))
		if text != "---\n" && !errors.Is(err, strictyaml.ErrEmpty) || text == "---\n" && err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"name: a\n---\nname: b\n", "name: a\n---\n{{{"} {
		if err := strictyaml.Decode([]byte(text), new(file)); err == nil ||
			err.Error() != "more than one YAML document" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestAliasesOfAliases: a short text that stands for a very long one is refused soon.
func TestAliasesOfAliases(t *testing.T) {
	text := "pairs: &a [{from: x}]\n"
	for c := 'b'; c < 'z'; c++ {
		text += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "*" + string(c-1) + "]\n"
	}
	begin := time.Now()
	if err := strictyaml.Decode([]byte(text), new(file)); err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}
