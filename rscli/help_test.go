package rscli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// everyPath calls visit for each command of the suite and each branch and leaf of
// its tree, with the words that lead there.
func everyPath(visit func(build builder, path []*command)) {
	for _, build := range everyCommand {
		walkPaths([]*command{build(&Env{})}, func(path []*command) { visit(build, path) })
	}
}

func walkPaths(path []*command, visit func([]*command)) {
	visit(path)
	for _, sub := range path[len(path)-1].visibleSub() {
		walkPaths(append(path[:len(path):len(path)], sub), visit)
	}
}

func TestEveryHelp(t *testing.T) {
	seen := 0
	everyPath(func(build builder, path []*command) {
		seen++
		words := strings.Fields((&parsed{path: path}).words())
		b := newBench(t)
		b.expect(b.run(build, append(words[1:], "--help")...), 0)
		help := b.stdout.String()
		if n := strings.Count(help, "\n"); n > helpLines {
			t.Errorf("%q has a help of %d lines:\n%s", words, n, help)
		}
		for line := range strings.Lines(help) {
			if utf8.RuneCountInString(line) > helpColumns+1 {
				t.Errorf("%q: wider than %d columns: %q", words, helpColumns, line)
			}
		}
		page := filepath.Join("..", "man", words[0]+".1")
		if _, err := os.Stat(page); err != nil || !strings.HasSuffix(help, "see also: man "+words[0]+"\n") {
			t.Errorf("%q: no man page is named, or it is not there: %v\n%s", words, err, help)
		}
		checkExamples(t, build, words, help)
	})
	if seen < 40 {
		t.Errorf("only %d commands were looked at", seen)
	}
}

// checkExamples holds a help to two examples at least, of this command and such
// as the command understands.
func checkExamples(t *testing.T, build builder, words []string, help string) {
	t.Helper()
	_, text, _ := strings.Cut(help, "\nexamples: ")
	text, _, _ = strings.Cut(text, "see also:")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) < 2 {
		t.Errorf("%q: %d examples:\n%s", words, len(lines), help)
	}
	for _, line := range lines {
		_, line = splitAt(line, strings.Join(words, " "))
		command, _ := splitAt(line, " | ")
		command, _ = splitAt(command, " < ")
		command, _ = splitAt(command, " > ")
		command, _ = splitAt(command, " || ")
		split, err := splitWords([]rune(command))
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		p, err := parseArgs(build(&Env{}), texts(split)[1:])
		leaf := p.path[len(p.path)-1]
		if err != nil || !strings.HasPrefix(p.words(), strings.Join(words, " ")) ||
			leaf.checkCount(p.words(), p.rest) != nil {
			t.Errorf("%q has the example %q: %v", words, line, err)
		}
	}
}

// splitAt cuts text before sep, which stays with the second part.
func splitAt(text, sep string) (before, after string) {
	if i := strings.Index(text, sep); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// A help that names flags only still names every one.
func TestBriefHelpNamesEveryFlag(t *testing.T) {
	everyPath(func(_ builder, path []*command) {
		help := helpText(path, newBench(t).Env, true)
		for _, f := range path[len(path)-1].allFlags(&Env{}) {
			short, long, _ := flagParts(f)
			if !strings.Contains(help, strings.TrimSpace(short+" "+long)) {
				t.Errorf("%s: %s is missing in\n%s", path[len(path)-1].name, long, help)
			}
		}
	})
	if names := sharedFlagNames(); !slices.Contains(names, "server") || !slices.Contains(names, "log") {
		t.Errorf("shared flags are %q", names)
	}
}
