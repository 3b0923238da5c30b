package rules

import (
	"cmp"
	"go/ast"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The band that the project keeps to. Single exceptions are fine, so the limits
// are shares of the whole.
const (
	longFunction       = 60 // lines
	longFunctionShare  = 0.05
	longLine           = 100 // columns, a tab counts as one
	longLineShare      = 0.01
	longestMain        = 20 // lines
	fewestForAJudgment = 20 // functions: fewer have no meaningful share
)

type function struct {
	name  string // file:name
	lines int
}

// TestShape fails where the code leaves the band, and names the longest.
func TestShape(t *testing.T) {
	files := sourceFiles(t)
	checkFunctions(t, files)
	checkLines(t, files)
}

func checkFunctions(t *testing.T, files []sourceFile) {
	t.Helper()
	for kind, isTest := range map[string]bool{"code": false, "tests": true} {
		functions := functionsOf(files, isTest)
		if len(functions) < fewestForAJudgment {
			continue
		}
		slices.SortFunc(functions, func(a, b function) int { return cmp.Compare(b.lines, a.lines) })
		long := slices.IndexFunc(functions, func(f function) bool { return f.lines <= longFunction })
		t.Logf("%s: %d functions, median %d lines, 90 %% have at most %d, %d over %d", kind,
			len(functions), functions[len(functions)/2].lines, functions[len(functions)/10].lines,
			long, longFunction)
		for _, f := range functions[:long] {
			t.Logf("%s: %d lines", f.name, f.lines)
		}
		if float64(long) > longFunctionShare*float64(len(functions)) {
			t.Errorf("%s: %d of %d functions have more than %d lines: a reader must hold one in "+
				"the head; at most %.0f %% may be longer", kind, long, len(functions),
				longFunction, longFunctionShare*100)
		}
	}
}

// functionsOf measures the functions of tests or of other code; it stops at the
// outermost, so that a function literal counts with what is around it.
func functionsOf(files []sourceFile, isTest bool) []function {
	var functions []function
	for _, f := range files {
		if f.isTest() != isTest {
			continue
		}
		for _, declaration := range f.syntax.Decls {
			if fn, ok := declaration.(*ast.FuncDecl); ok {
				first, last := f.set.Position(fn.Pos()).Line, f.set.Position(fn.End()).Line
				functions = append(functions, function{f.name + ":" + fn.Name.Name, last - first + 1})
			}
		}
	}
	return functions
}

func checkLines(t *testing.T, files []sourceFile) {
	t.Helper()
	lines, long := 0, 0
	for _, f := range files {
		n := 0
		for line := range strings.Lines(f.text) {
			n++
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > longLine {
				long++
				t.Logf("%s:%d has more than %d columns", f.name, n, longLine)
			}
		}
		lines += n
	}
	if float64(long) > longLineShare*float64(lines) {
		t.Errorf("%d of %d lines have more than %d columns: two files must fit side by side; "+
			"at most %.0f %% may be longer", long, lines, longLine, longLineShare*100)
	}
}

func TestMainsAreShort(t *testing.T) {
	for _, f := range functionsOf(sourceFiles(t), false) {
		if strings.HasSuffix(f.name, ":main") && f.lines > longestMain {
			t.Errorf("%s has %d lines; a main hands over to what can be tested", f.name, f.lines)
		}
	}
}
