package rules

import (
	"go/ast"
	"strings"
	"testing"
)

// The bands that keep a package readable: how many files a newcomer has to look
// through, how long one is, in how many of them the methods of a type stand. What is
// above one of them stands in the exceptions, which may shrink and not grow.
const (
	mostFiles      = 20  // of a package, without tests
	mostLines      = 400 // of a file that is no test
	mostMethodHome = 3   // files with methods of one type
)

type exception struct {
	most   int
	reason string
}

const (
	roomReason = "one door to a room with many things: a file for each kind of thing"
	labReason  = "measures many subjects, a file each"
)

var fileExceptions = map[string]exception{
	"rscli/hostdisk": {29, "eleven systems, each with its own way to tell its disks"},
	"lab/bench":      {25, labReason},
}

var lineExceptions = map[string]exception{
	"export/nbd/answer.go": {404, "the answers of one protocol, one after the other"},
}

var methodExceptions = map[string]exception{
	"arrayclient/filearray.Array":  {9, "one door to many acts, a file for each kind; its state is configuration and records.Store"},
	"arrayclient/filearray.volume": {5, "what hosts do, what is saved before that, and where a target differs are looked for apart"},

	"copyserver/core.Core":   {10, roomReason},
	"copyserver/rest.API":    {15, roomReason},
	"copyserver/rest.call":   {9, "what a route reads of a request stands beside the route"},
	"copyserver/api.Client":  {9, roomReason},
	"rscli/esscli.essCLI":    {11, roomReason},
	"rscli/program.Env":      {6, roomReason},
	"rscli/connect.Settings": {4, "where a setting comes from, and what is made of it"},
	"export/nbd.conn":        {4, "a connection reads, answers, and is bounded in both"},
	"export/nbd.request":     {4, "a request on its way through a connection"},

	"copyserver/runner.Runner": {7, "a run is asked for, waits in line, goes on, and is looked at"},

	"lab/bench.lab":       {8, labReason},
	"lab/bench.engine":    {4, labReason},
	"lab/powerloss.drive": {5, "hosts and administrators that work on one server"},
}

func TestBands(t *testing.T) {
	files, methods := map[string]int{}, map[string]map[string]bool{}
	lines := map[string]int{}
	for _, f := range sourceFiles(t) {
		if f.isTest() {
			continue
		}
		files[f.folder()]++
		lines[f.name] = strings.Count(f.text, "\n")
		for _, declaration := range f.syntax.Decls {
			fn, ok := declaration.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			owner := f.folder() + "." + receiver(fn.Recv.List[0].Type)
			if methods[owner] == nil {
				methods[owner] = map[string]bool{}
			}
			methods[owner][f.name] = true
		}
	}
	homes := map[string]int{}
	for owner, in := range methods {
		homes[owner] = len(in)
	}
	checkBand(t, "files", files, mostFiles, fileExceptions)
	checkBand(t, "lines", lines, mostLines, lineExceptions)
	checkBand(t, "files with methods of it", homes, mostMethodHome, methodExceptions)
}

func checkBand(
	t *testing.T, what string, counts map[string]int, most int, exceptions map[string]exception,
) {
	t.Helper()
	for name, n := range counts {
		e, known := exceptions[name]
		switch {
		case !known && n > most:
			t.Errorf("%s has %d %s; a reader takes in at most %d", name, n, what, most)
		case known && n > e.most:
			t.Errorf("%s has %d %s, an exception for %d (%s)", name, n, what, e.most, e.reason)
		}
	}
	for name := range exceptions {
		if counts[name] <= most {
			t.Errorf("%s has %d %s and needs no exception any more", name, counts[name], what)
		}
	}
}

// receiver returns the name of the type of a receiver.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
