package rules

import (
	"go/ast"
	"testing"
)

// TestExportedNamesAreDocumented holds every package and every exported name
// of the code to a comment.
func TestExportedNamesAreDocumented(t *testing.T) {
	files := sourceFiles(t)
	documented := make(map[string]bool)
	for _, f := range files {
		documented[f.folder()] = documented[f.folder()] || f.syntax.Doc != nil
	}
	for _, f := range files {
		if !documented[f.folder()] {
			t.Errorf("%s: package %s has no comment that says what it is for",
				f.name, f.syntax.Name.Name)
			documented[f.folder()] = true
		}
		if f.isTest() {
			continue
		}
		for _, name := range undocumented(f.syntax) {
			t.Errorf("%s: %s has no comment: contract, units, errors, what may be nil",
				f.name, name)
		}
	}
}

// undocumented returns the exported top-level names without a comment. One on a
// group counts for all its names. Methods are left out: many only fulfil an
// interface, which says what they must do.
func undocumented(file *ast.File) []string {
	var names []string
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Doc == nil && d.Name.IsExported() {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			if d.Doc != nil {
				continue
			}
			for _, spec := range d.Specs {
				names = append(names, undocumentedSpec(spec)...)
			}
		}
	}
	return names
}

func undocumentedSpec(spec ast.Spec) []string {
	var names []string
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
			names = append(names, s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if s.Doc == nil && s.Comment == nil && name.IsExported() {
				names = append(names, name.Name)
			}
		}
	}
	return names
}
