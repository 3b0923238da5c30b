// Package strictyaml reads YAML of which every key is known: what a person has
// mistyped must not pass for something left out.
package strictyaml

import (
	"bytes"
	"errors"
	"io"

	"gopkg.in/yaml.v3"
)

// ErrEmpty is the error for a text without a document.
var ErrEmpty = errors.New("empty")

// Decode reads data, which is exactly one document without unknown keys, into v, a
// pointer.
func Decode(data []byte, v any) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return ErrEmpty
		}
		return err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document")
	}
	return nil
}
