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
	return e.modelsOf(func(_ layer, err error) bool { return errors.Is(err, fs.ErrPermission) })
}

// modelsForList is models for a command that asks a configuration for nothing else:
// a mistake in it is none of its business, unless the machine types are wrong.
func (e *Env) modelsForList() ([]string, error) {
	return e.modelsOf(func(l layer, _ error) bool {
		_, err := hostdisk.ParseModels(l.models)
		return err == nil
	})
}

// modelsOf warns of the errors of reading a configuration that pass lets go.
func (e *Env) modelsOf(pass func(layer, error) bool) ([]string, error) {
	text := e.Getenv("RSCLI_MODELS")
	for _, file := range e.configFiles() {
		if text != "" {
			break
		}
		l, err := readLayer(e, file, func(layer, *os.File) error { return nil })
		switch {
		case err == nil:
		case !pass(l, err):
			return nil, err
		case l.models == "":
			e.warn("%v: the machine types that it may name are not known", err)
		default:
			e.warn("%v", err)
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
