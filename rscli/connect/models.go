package connect

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"copyservices/rscli/hostdisk"
	"copyservices/rscli/program"
)

// Models returns the machine types whose volumes count, nil for the 2105 alone.
// Listing disks needs no server and no password: a configuration file that this
// user may not read is passed over, and nobody minds who else may read it.
func Models(e *program.Env) ([]string, error) {
	return modelsOf(e, func(_ Settings, err error) bool { return errors.Is(err, fs.ErrPermission) })
}

// ModelsForList is models for a command that asks a configuration for nothing else:
// a mistake in it is none of its business, unless the machine types are wrong.
func ModelsForList(e *program.Env) ([]string, error) {
	return modelsOf(e, func(l Settings, _ error) bool {
		_, err := hostdisk.ParseModels(l.models)
		return err == nil
	})
}

// modelsOf warns of the errors of reading a configuration that pass lets go.
func modelsOf(e *program.Env, pass func(Settings, error) bool) ([]string, error) {
	text := e.Getenv("RSCLI_MODELS")
	for _, file := range configFiles(e) {
		if text != "" {
			break
		}
		l, err := readLayer(e, file, func(Settings, *os.File) error { return nil })
		switch {
		case err == nil:
		case !pass(l, err):
			return nil, err
		case l.models == "":
			e.Warn("%v: the machine types that it may name are not known", err)
		default:
			e.Warn("%v", err)
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
