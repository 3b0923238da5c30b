package program

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

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
		return fault.New(fault.Usage, "configuration %s: %w", path, err).
			WithHint("its keys are the names of the flags, see copyserver --help")
	}
	return nil
}

// noEmptyValues refuses a key with an empty value in quotes, which may come from a
// variable that was not set. It leaves every other complaint to the decoder.
func noEmptyValues(data []byte) error {
	top, err := strictyaml.Parse(data)
	if err != nil {
		return nil
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		value := top.Content[i+1]
		if value.Kind == yaml.ScalarNode && value.Tag == "!!str" && value.Value == "" {
			return fmt.Errorf("line %d: the value of %s is empty", value.Line, top.Content[i].Value)
		}
	}
	return nil
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
