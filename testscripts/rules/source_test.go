// Package rules holds the rules that the source itself must keep, each with its reason.
package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// module is the path that the imports of our own packages begin with.
const module = "copyservices/"

// sourceFile is one Go file of the module, whatever system it is built for.
type sourceFile struct {
	name   string // slash-separated, from the top of the module
	text   string
	syntax *ast.File
	set    *token.FileSet
}

func (f sourceFile) folder() string { return path.Dir(f.name) }
func (f sourceFile) isTest() bool   { return strings.HasSuffix(f.name, "_test.go") }

// imports returns the paths that f imports.
func (f sourceFile) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, imported)
		}
	}
	return paths
}

// sourceFiles parses every Go file of the module. It reads files, not what one
// build takes, so that a rule holds on every system.
func sourceFiles(t *testing.T) []sourceFile {
	t.Helper()
	top := "../.."
	var files []sourceFile
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != top && isIgnored(entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		file, err := parse(top, name)
		files = append(files, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("only %d Go files found: the rules would hold for nothing", len(files))
	}
	return files
}

// isIgnored tells the folders that the go command ignores too, and the binaries.
func isIgnored(folder string) bool {
	return folder[0] == '.' || folder[0] == '_' || folder == "testdata" || folder == "bin"
}

func parse(top, name string) (sourceFile, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return sourceFile{}, err
	}
	relative, err := filepath.Rel(top, name)
	if err != nil {
		return sourceFile{}, err
	}
	f := sourceFile{name: filepath.ToSlash(relative), text: string(text), set: token.NewFileSet()}
	f.syntax, err = parser.ParseFile(f.set, f.name, text, parser.ParseComments)
	return f, err
}
