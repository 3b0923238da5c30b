package testscripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// The command lines of an OpenAPI file stand in its descriptions, which are
// CommonMark: indented by four columns.

// describedLines returns the command lines of all descriptions in their order. One
// that goes on in the next line, behind a backslash or within quotes, is one.
func describedLines(text string) []string {
	var lines []string
	open := ""
	for _, line := range strings.Split(strings.Join(scalars(text), "\n"), "\n") {
		code, isCode := strings.CutPrefix(line, "    ")
		if !isCode {
			continue
		}
		if open += code; strings.HasSuffix(open, `\`) || strings.Count(open, "'")%2 == 1 {
			open += "\n"
			continue
		}
		lines = append(lines, strings.TrimSpace(open))
		open = ""
	}
	return lines
}

// scalars returns all texts of a YAML file in their order.
func scalars(text string) []string {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		panic(err)
	}
	var all []string
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			all = append(all, n.Value)
		}
		for _, child := range n.Content {
			walk(child)
		}
	}
	walk(&root)
	return all
}

// needCurl fails where CI would go without running the lines for curl.
func needCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("curl is required (Debian: curl): %v", err)
		}
		t.Skip("curl is not installed")
	}
}

// commandInProse finds what a reader would type.
var commandInProse = regexp.MustCompile(
	`\b(?:curl|copyserver|set(?:device|user)|rs[A-Z]\w+) -|\b(?:setdevice|setuser|esscli) [a-z]+ [a-z]+ [A-Z0-9-]`)

// TestDescribedCommandsAreSetApart: a command line in the middle of a sentence would
// not be run.
func TestDescribedCommandsAreSetApart(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", openAPI))
	if err != nil {
		t.Fatal(err)
	}
	for _, scalar := range scalars(string(text)) {
		for line := range strings.Lines(scalar) {
			if !strings.HasPrefix(line, "    ") && commandInProse.MatchString(line) {
				t.Errorf("to be set apart: %s", line)
			}
		}
	}
	for line, want := range map[string]bool{
		"see esscli export volume 20413698 x": true, "use curl -K rest.curl": true, "rsQuery -s x": true,
		"what esscli export uses": false, "a file that tells curl who asks": false,
	} {
		if commandInProse.MatchString(line) != want {
			t.Errorf("%q is a command line: %t", line, !want)
		}
	}
	lines := describedLines(string(text))
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, " -C - ") }) {
		t.Errorf("the lines that are set apart are %q", lines)
	}
}
