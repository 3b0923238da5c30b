package testscripts

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestShellsOfOldScripts fails in CI where the scripts for a Korn shell or Perl
// would be skipped for want of one.
func TestShellsOfOldScripts(t *testing.T) {
	if os.Getenv("CI") != "true" || runtime.GOOS == "windows" {
		t.Skip("a missing shell skips its scripts here")
	}
	for program, debian := range map[string]string{
		"ksh": "ksh", "mksh": "mksh", "perl": "perl-base",
	} {
		if _, err := exec.LookPath(program); err != nil {
			t.Errorf("%s is missing (Debian: %s): %v", program, debian, err)
		}
	}
}

var (
	// batchCommand finds a command of the suite where a batch file can have one,
	// with its arguments.
	batchCommand = regexp.MustCompile(
		`(?i)(?:^|[@('&|\s])(rs[a-z]\w*|setdevice|setuser|esscli)\b([^<>|&)'\r]*)`)
	batchSilent = regexp.MustCompile(`(?i)^\s*(@?echo|rem|:)`)
)

// batchValues are what a batch file's variables stand for here: a port on which
// nothing listens, and anything.
var batchValues = strings.NewReplacer("%SERVER%", "127.0.0.1:1", "%U%", "superuser",
	"%P%", "passw0rd", "%TASK%", "NIGHTLY", "%1", "10.0.0.5", "%%b", "20313698")

// TestBatchFiles runs every command of the old batch files. There is no server
// for them: they must come as far as finding that out.
func TestBatchFiles(t *testing.T) {
	files, err := filepath.Glob("old/*.bat")
	if err != nil || len(files) == 0 {
		t.Fatalf("no batch files: %v", err)
	}
	used := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(text, []byte("\n")) != bytes.Count(text, []byte("\r\n")) {
			t.Errorf("%s: its lines do not all end as on Windows", file)
		}
		for _, c := range batchCommands(string(text)) {
			used[c[0]] = true
			runBatchCommand(t, file, c)
		}
	}
	for _, name := range []string{"rsList2105s", "rsExecuteTask", "rsPrimeServer", "setuser"} {
		if !used[name] {
			t.Errorf("no batch file uses %s: is there a mistake in the pattern?", name)
		}
	}
}

// batchCommands returns the command lines, cut into words.
func batchCommands(text string) [][]string {
	var commands [][]string
	for line := range strings.Lines(text) {
		if batchSilent.MatchString(line) {
			continue
		}
		for _, m := range batchCommand.FindAllStringSubmatch(line, -1) {
			arguments, _, _ := strings.Cut(batchValues.Replace(m[2]), " 2>")
			commands = append(commands, append(m[1:2], strings.Fields(arguments)...))
		}
	}
	return commands
}

func runBatchCommand(t *testing.T, file string, words []string) {
	t.Helper()
	known := func(name string) bool { return mains[name] != nil }
	if !known(words[0]) || slices.ContainsFunc(words, isVariable) {
		t.Errorf("%s: %q is not understood here", file, words)
		return
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	cmd.Stdin = strings.NewReader("lsuser\r\n")
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && (!errors.As(err, &ended) || ended.ExitCode() == 2) {
		t.Errorf("%s: %q: %v\n%s", file, words, err, out)
	}
}

func isVariable(word string) bool { return strings.Contains(word, "%") }
