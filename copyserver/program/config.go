package program

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"

	"copyservices/copyserver"

	"gopkg.in/yaml.v3"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/strictyaml"
	"copyservices/taskstore/userfile"
)

// maxConfig is the largest configuration file in bytes.
const maxConfig = 1 << 20

// readConfig sets in o what the YAML file at path sets. Its keys are the
// names of the flags; an unknown one is an error.
func readConfig(o *copyserver.Options, path string) error {
	data, err := userfile.ReadFile(path, maxConfig)
	if err != nil {
		return fault.New(fault.Usage, "cannot read the configuration: %w", err)
	}
	if err := noEmptyValues(data); err != nil {
		return fault.New(fault.Usage, "configuration %s: %w", path, err).
			WithHint("give it a value, or leave it out")
	}
	if err := strictyaml.Decode(data, o); err != nil && !errors.Is(err, strictyaml.ErrEmpty) {
		return fault.New(fault.Usage, "configuration %s: %s", path, configReason(err)).
			WithHint("its keys are the names of the flags, see copyserver --help")
	}
	return nil
}

// noEmptyValues refuses a key with an empty value in quotes, which may come from a
// variable that was not set. It leaves every other complaint to the decoder.
func noEmptyValues(data []byte) error {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	keys := doc.Content[0].Content
	for i := 0; i+1 < len(keys); i += 2 {
		if value := keys[i+1]; value.Kind == yaml.ScalarNode && value.Tag == "!!str" && value.Value == "" {
			return fmt.Errorf("line %d: the value of %s is empty", value.Line, keys[i].Value)
		}
	}
	return nil
}

// unknownKey and wrongType are how the library puts it: in words of Go.
var (
	unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)
	wrongType  = regexp.MustCompile("cannot unmarshal \\S+(?: `(.*)`)? into (\\S+)")
)

// configReason says in the words of the file what is wrong with it.
func configReason(err error) string {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		// Of an error in the first line the library leaves the line out.
		text := strings.Replace(err.Error(), "yaml: line ", "line ", 1)
		return strings.Replace(text, "yaml: ", "line 1: ", 1)
	}
	text := typed.Errors[0]
	text = unknownKey.ReplaceAllString(text, `there is no key "$1"`)
	if m := wrongType.FindStringSubmatch(text); m != nil {
		what := "it"
		if m[1] != "" {
			what = "'" + m[1] + "'"
		}
		want := map[string]string{"bool": "true or false", "string": "plain text"}[m[2]]
		text = wrongType.ReplaceAllLiteralString(text,
			what+" is not "+cmp.Or(want, "a mapping of keys to values"))
	}
	return text
}

// logger returns what LogFormat and LogLevel ask for, writing to w. It is for
// Main alone: a program that embeds the server has its own.
func logger(o copyserver.Options, w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return nil, fault.New(fault.Usage, "%q is no log level", o.LogLevel).
			WithHint("the levels are debug, info, warn and error")
	}
	opts := &slog.HandlerOptions{Level: level}
	switch o.LogFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fault.New(fault.Usage, "%q is no log format", o.LogFormat).
		WithHint("the formats are text and json")
}
