package rsclitest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"copyservices/rscli/program"
)

// Bench is a command's world in a test.
type Bench struct {
	*program.Env
	T        *testing.T
	Home     string
	Vars     map[string]string
	Terminal bool
	Width    int // of the terminal, in columns
	Out      bytes.Buffer
	Err      bytes.Buffer
}

// NewBench returns a world with an empty home, no terminal and a user with a
// password file.
func NewBench(t *testing.T) *Bench {
	t.Helper()
	b := &Bench{T: t, Home: t.TempDir()}
	b.Vars = map[string]string{
		"HOME":                b.Home,
		"RSCLI_CONFIG":        b.Write("config.yaml", 0o600, "user: "+User+"\npassword: "+Password+"\n"),
		"RSCLI_PASSWORD_FILE": "",
	}
	b.Env = &program.Env{
		Stdin: strings.NewReader(""), Stdout: &b.Out, Stderr: &b.Err, GOOS: "linux",
		Getenv:     func(key string) string { return b.Vars[key] },
		IsTerminal: func(any) bool { return b.Terminal },
		Columns:    func(any) int { return b.Width },
		ReadSecret: func(context.Context) (string, error) { return "", io.EOF },
		// Nothing listens there: a test may have to do with its own servers only.
		LocalServer: "127.0.0.1:1",
		Log:         slog.New(slog.DiscardHandler),
	}
	return b
}

// Write makes a file in the home and returns its name.
func (b *Bench) Write(name string, mode os.FileMode, text string) string {
	b.T.Helper()
	path := filepath.Join(b.Home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		b.T.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		b.T.Fatal(err)
	}
	return path
}

// Run runs a command and returns its exit code; the output of an earlier run
// is gone.
func (b *Bench) Run(build program.Builder, args ...string) int {
	return b.RunContext(b.T.Context(), build, args...)
}

// RunContext is Run with a context that the test may end.
func (b *Bench) RunContext(ctx context.Context, build program.Builder, args ...string) int {
	b.Out.Reset()
	b.Err.Reset()
	b.Args = args
	return program.Run(ctx, b.Env, build)
}

// Expect fails the test unless the last run ended with code and wrote these
// texts to stderr.
func (b *Bench) Expect(got, want int, texts ...string) {
	b.T.Helper()
	if got != want {
		b.T.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", got, want, &b.Out, &b.Err)
	}
	for _, text := range texts {
		if !strings.Contains(b.Err.String(), text) {
			b.T.Errorf("stderr lacks %q:\n%s", text, &b.Err)
		}
	}
}

// Document decodes what the last run wrote to stdout.
func (b *Bench) Document(doc any) {
	b.T.Helper()
	dec := json.NewDecoder(&b.Out)
	if err := dec.Decode(doc); err != nil {
		b.T.Fatalf("stdout is no JSON document: %v", err)
	}
	if rest, _ := io.ReadAll(dec.Buffered()); strings.TrimSpace(string(rest)) != "" {
		b.T.Errorf("stdout holds more than one document: %s", rest)
	}
}

// Must ends the test on an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// CheckTable holds a table against its words, and its columns against each
// other.
func CheckTable(t *testing.T, text string, want [][]string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), text)
	}
	for i, line := range lines {
		if got := strings.Join(strings.Fields(line), " "); got != strings.Join(want[i], " ") {
			t.Errorf("line %d is %q, want %q", i, got, want[i])
		}
		if line != strings.TrimRight(line, " ") || strings.HasPrefix(line, " ") {
			t.Errorf("blanks around %q", line)
		}
		column := strings.Index(lines[0], want[0][2])
		if !strings.HasPrefix(line[column:], want[i][2]) {
			t.Errorf("the third column does not line up:\n%s", text)
		}
	}
}

// ReadFile returns the text of a file, which must be there.
func ReadFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// LogLines returns the lines of a log file without time and process id, both of
// which must be there.
func LogLines(t *testing.T, path string) []string {
	t.Helper()
	line := regexp.MustCompile(
		`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d) (\w+)\[\d+\]: (.*)$`)
	var lines []string
	for text := range strings.Lines(ReadFile(t, path)) {
		m := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if m == nil {
			t.Fatalf("the log has the line %q", text)
		}
		lines = append(lines, m[2]+": "+m[3])
	}
	return lines
}

// NewStranger returns a world in which nothing is configured.
func NewStranger(t *testing.T) *Bench {
	t.Helper()
	b := NewBench(t)
	b.Vars["RSCLI_CONFIG"] = ""
	return b
}

// NewWindowsBench is a world with the folders of a Windows user. Their names are
// those of this system: what is held here is which variables count.
func NewWindowsBench(t *testing.T) *Bench {
	t.Helper()
	b := NewBench(t)
	b.GOOS = "windows"
	b.Vars = map[string]string{
		"APPDATA":      filepath.Join(b.Home, "me", "AppData"),
		"LOCALAPPDATA": filepath.Join(b.Home, "me", "Local"),
		"USERPROFILE":  filepath.Join(b.Home, "me"),
		"ProgramData":  filepath.Join(b.Home, "ProgramData"),
		"HOME":         filepath.Join(b.Home, "wrong"),
	}
	return b
}

// EveryPath calls visit for each of the commands and each branch and leaf of its
// tree, with the words that lead there.
func EveryPath(commands []program.Builder, visit func(build program.Builder, path []*program.Command)) {
	for _, build := range commands {
		walkPaths([]*program.Command{build(&program.Env{})}, func(path []*program.Command) { visit(build, path) })
	}
}

func walkPaths(path []*program.Command, visit func([]*program.Command)) {
	visit(path)
	for _, sub := range path[len(path)-1].VisibleSub() {
		walkPaths(append(path[:len(path):len(path)], sub), visit)
	}
}
