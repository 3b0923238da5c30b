package rscli

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"copyservices/rscli/hostdisk"
)

// models returns the machine types whose volumes count, nil for the 2105 alone.
// Listing disks needs no server and no password: a configuration file that this
// user may not read is passed over, and nobody minds who else may read it.
func (e *Env) models() ([]string, error) {
	text := e.Getenv("RSCLI_MODELS")
	for _, file := range e.configFiles() {
		if text != "" {
			break
		}
		l, err := readLayer(e, file, func(layer, *os.File) error { return nil })
		if errors.Is(err, fs.ErrPermission) {
			e.warn("%v: the machine types that it may name are not known", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		text = l.models
	}
	return hostdisk.ParseModels(text)
}

// joinScalars writes a list of plain values as one, parted by commas. What is not
// plain becomes a value that no key takes.
func joinScalars(list *yaml.Node) string {
	values := make([]string, len(list.Content))
	for i, node := range list.Content {
		values[i] = node.Value
		if node.Kind != yaml.ScalarNode {
			values[i] = "?"
		}
	}
	return strings.Join(values, ",")
}
