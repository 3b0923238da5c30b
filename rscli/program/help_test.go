package program_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"copyservices/rscli"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
)

func TestEveryHelp(t *testing.T) {
	seen := 0
	rsclitest.EveryPath(everyCommand, func(build program.Builder, path []*program.Command) {
		seen++
		words := strings.Fields((&program.CommandLine{Path: path}).Words())
		b := rsclitest.NewBench(t)
		b.Expect(b.Run(build, append(words[1:], "--help")...), 0)
		help := b.Out.String()
		if n := strings.Count(help, "\n"); n > 23 {
			t.Errorf("%q has a help of %d lines:\n%s", words, n, help)
		}
		for line := range strings.Lines(help) {
			if utf8.RuneCountInString(line) > 80+1 {
				t.Errorf("%q: wider than 80 columns: %q", words, line)
			}
		}
		page := filepath.Join("..", "..", "man", words[0]+".1")
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
func checkExamples(t *testing.T, build program.Builder, words []string, help string) {
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
		p, err := program.ParseArgs(build(&program.Env{}), wordsOf(command)[1:])
		leaf := p.Path[len(p.Path)-1]
		if err != nil || !strings.HasPrefix(p.Words(), strings.Join(words, " ")) ||
			leaf.CheckCount(p.Words(), p.Rest) != nil {
			t.Errorf("%q has the example %q: %v", words, line, err)
		}
	}
}

// wordsOf splits a line as a shell does that knows quotes only.
func wordsOf(line string) []string {
	var quote rune
	words := strings.FieldsFunc(line, func(r rune) bool {
		switch {
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case r == quote:
			quote = 0
		}
		return quote == 0 && r == ' '
	})
	for i, word := range words {
		words[i] = strings.NewReplacer("'", "", `"`, "").Replace(word)
	}
	return words
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
	rsclitest.EveryPath(everyCommand, func(_ program.Builder, path []*program.Command) {
		help := program.HelpText(path, rsclitest.NewBench(t).Env, true)
		for _, f := range path[len(path)-1].AllFlags(&program.Env{}) {
			short, long, _ := program.FlagParts(f)
			if !strings.Contains(help, strings.TrimSpace(short+" "+long)) {
				t.Errorf("%s: %s is missing in\n%s", path[len(path)-1].Name, long, help)
			}
		}
	})
	if names := rscli.NewQuery(&program.Env{}).SharedFlagNames(); !slices.Contains(names, "server") || !slices.Contains(names, "log") {
		t.Errorf("shared flags are %q", names)
	}
}
