package program_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
)

var (
	manItem = regexp.MustCompile(`(?m)^\.It Fl .*`)
	manFlag = regexp.MustCompile(`Fl (\\-)?([a-z?][a-z-]*)`)
)

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "man", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sectionOf returns a section of a page, "" where it has none.
func sectionOf(page, name string) string {
	_, section, _ := strings.Cut(page, "\n.Sh "+name+"\n")
	section, _, _ = strings.Cut(section, "\n.Sh ")
	return section
}

// flagsOfPage returns the flags that have an entry under OPTIONS.
func flagsOfPage(page string) map[string]bool {
	flags := map[string]bool{}
	for _, item := range manItem.FindAllString(sectionOf(page, "OPTIONS"), -1) {
		for _, m := range manFlag.FindAllStringSubmatch(item, -1) {
			flags[m[2]] = true
		}
	}
	return flags
}

// TestManPagesAgainstFlags holds the options of each page against the flags
// of its command, both ways.
func TestManPagesAgainstFlags(t *testing.T) {
	for _, build := range everyCommand {
		root := build(&program.Env{})
		want := map[string]bool{"h": true, "help": true, "version": true}
		walkFlags(root, func(_ *program.Command, f cli.Flag) {
			for _, name := range f.Names() {
				want[name] = true
			}
		})
		got := flagsOfPage(readPage(t, root.Name+".1"))
		if !maps.Equal(got, want) {
			t.Errorf("%s.1 has the options %q, the command the flags %q", root.Name,
				slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

// TestManPagesAgainstSubcommands: every branch of a command is on its page.
func TestManPagesAgainstSubcommands(t *testing.T) {
	for _, build := range everyCommand {
		root := build(&program.Env{})
		page := readPage(t, root.Name+".1")
		for _, branch := range root.VisibleSub() {
			for _, leaf := range branch.Sub {
				if !regexp.MustCompile(`\bCm [a-z |]*\b` + leaf.Name + `\b`).MatchString(page) {
					t.Errorf("%s.1 says nothing of %s %s", root.Name, branch.Name, leaf.Name)
				}
			}
			if !strings.Contains(page, ".Cm "+branch.Name) && !strings.Contains(page, "| "+branch.Name) {
				t.Errorf("%s.1 says nothing of %s", root.Name, branch.Name)
			}
		}
	}
}

// TestSynopsisOfESSCLI: every verb with every object that the synopsis has for it
// is a command.
func TestSynopsisOfESSCLI(t *testing.T) {
	known := map[string]bool{}
	rsclitest.EveryPath(everyCommand, func(_ program.Builder, path []*program.Command) {
		known[(&program.CommandLine{Path: path}).Words()] = true
	})
	words := regexp.MustCompile(`(?m)^\.Cm ([a-z |]+)$`)
	seen := 0
	for _, form := range strings.Split(sectionOf(readPage(t, "esscli.1"), "SYNOPSIS"), ".Nm\n")[1:] {
		parts := words.FindAllStringSubmatch(form, -1)
		for _, verb := range strings.Split(parts[0][1], " | ") {
			if len(parts) == 1 || verb == "completion" {
				parts = append(parts[:1], []string{"", ""})
			}
			for _, object := range strings.Split(parts[1][1], " | ") {
				seen++
				if name := strings.TrimSpace("esscli " + verb + " " + object); !known[name] {
					t.Errorf("the synopsis has %q, the program has not", name)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d commands were looked at", seen)
	}
}

// TestManPagesAgainstExitCodes: the overview has the whole table, and every other
// page some lines of it, word for word. Which, the exit codes of the scripts hold
// against the programs. Nothing quiesces yet.
func TestManPagesAgainstExitCodes(t *testing.T) {
	want := []string{"0"}
	for _, kind := range fault.Kinds() {
		if kind != fault.Hook {
			want = append(want, strconv.Itoa(kind.ExitCode()))
		}
	}
	slices.Sort(want)
	whole := codesOf(readPage(t, "copyservices.7"))
	if got := slices.Sorted(maps.Keys(whole)); !slices.Equal(got, want) {
		t.Errorf("copyservices.7 has the codes %q, the program %q", got, want)
	}
	pages, err := filepath.Glob("../../man/*.[18]")
	if err != nil || len(pages) < len(everyCommand) {
		t.Fatalf("pages %q, %v", pages, err)
	}
	for _, path := range pages {
		for code, text := range codesOf(readPage(t, filepath.Base(path))) {
			if text != whole[code] {
				t.Errorf("%s says of the code %s %q, copyservices.7 %q", path, code, text, whole[code])
			}
		}
	}
}

// codesOf returns what a page says of each exit code.
func codesOf(page string) map[string]string {
	codes := map[string]string{}
	table, _, _ := strings.Cut(sectionOf(page, "EXIT STATUS"), "\n.El\n")
	for _, item := range strings.Split(table, "\n.It ")[1:] {
		code, text, _ := strings.Cut(item, "\n")
		codes[code] = text
	}
	return codes
}
