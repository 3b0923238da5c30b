package wine

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("u", false, "write what the batch files print into the .want files")

var (
	real     = []string{commandFolder}
	recorded = []string{recordedFolder, commandFolder}
)

// runs are the batch files in the order in which they are run: the first makes the
// volumes and tasks of the others. Each prints what NAME.want has.
var runs = []struct {
	name, batch string
	args        []string
	path        []string
	code        int
}{
	{name: "prepare", batch: "prepare.bat", path: recorded},
	{name: "nightly", batch: "nightly.bat", path: recorded},
	{name: "codes", batch: "codes.bat", path: real},
	{name: "levels", batch: "levels.bat", args: []string{"SNAPSHOT"}, path: real},
	{name: "levels-6", batch: "levels.bat", args: []string{"SNAPSHOT"}, path: real, code: 6},
	{name: "levels-10", batch: "levels.bat", args: []string{"NONE"}, path: real, code: 10},
	{name: "levels-3", batch: "levels.bat", args: []string{"SNAPSHOT", "127.0.0.1:1"},
		path: real, code: 3},
	{name: "andor", batch: "andor.bat", path: real, code: 10},
	{name: "disks", batch: "disks.bat", path: recorded},
	{name: "disks-wine", batch: "disks.bat", path: real},
	{name: "users", batch: "users.bat", path: real},
	{name: "blanks", batch: "blanks.bat", path: real},
	{name: "config", batch: "config.bat", path: real},
	{name: "login", batch: "login.bat", path: real},
}

func TestWindows(t *testing.T) {
	w := newWindows(t)
	t.Run("batch files", w.batchFiles)
	t.Run("old batch files", w.oldBatchFiles)
	t.Run("tests of packages", w.packageTests)
}

func (w *windows) batchFiles(t *testing.T) {
	w.install(t, "batch")
	w.install(t, "../../testscripts/old") // users.txt, for users.bat too
	w.put(t, scriptFolder+"/my password.txt", "passw0rd\r\n")
	image := bytes.Repeat([]byte("not a file system "), 1000)
	w.put(t, scriptFolder+"/disk image.img", string(image))
	for _, r := range runs {
		out, code := w.cmd(t, r.path, r.batch, r.args...)
		if code != r.code {
			t.Errorf("%s ended with %d, want %d", r.name, code, r.code)
		}
		compare(t, filepath.Join("batch", r.name+".want"), out)
	}
	copied, err := os.ReadFile(w.drive(scriptFolder + "/the copy.img"))
	if err != nil || len(copied) != 1<<20 || !bytes.HasPrefix(copied, image) {
		t.Errorf("the exported copy has %d bytes: %v", len(copied), err)
	}
}

// moment is how the commands write one.
var moment = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// compare holds an output, but for the moments in it, against a file.
func compare(t *testing.T, file, got string) {
	t.Helper()
	got = moment.ReplaceAllString(got, "YYYY-MM-DDThh:mm:ssZ")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	if got != string(want) {
		t.Errorf("%s: it printed\n%s\nwant\n%s", file, got, want)
	}
}

// oldBatchFiles runs the batch files of testscripts/old as they are.
func (w *windows) oldBatchFiles(t *testing.T) {
	for _, c := range []struct {
		batch string
		args  []string
		code  int
		want  string // in what it prints
	}{
		{"agent.bat", []string{"10.0.0.9"}, 0, "An essserver entry for IP 10.0.0.9 successfully added"},
		{"prime.bat", nil, 0, "prime: ok"},
		{"backup.bat", []string{"NIGHTLY"}, 0, "backup: NIGHTLY copied"},
		{"backup.bat", []string{"NONE"}, 10, "backup: there is no task NONE"},
		{"backup.bat", nil, 1, "usage: backup TASK"},
		{"luns.bat", nil, 0, "Disk2 is 20413698"},
	} {
		out, code := w.cmd(t, recorded, c.batch, c.args...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s %q ended with %d, want %d, and %q in\n%s", c.batch, c.args, code, c.code,
				c.want, out)
		}
	}
}

// packageTests runs the tests of packages that have code of their own for Windows.
func (w *windows) packageTests(t *testing.T) {
	for _, folder := range []string{"rscli/hostdisk", "copyserver/api"} {
		to := "tests/" + folder
		if err := os.CopyFS(w.drive(to), os.DirFS("../../"+folder)); err != nil {
			t.Fatal(err)
		}
		build(t, "test", "-c", "-o", filepath.Join(w.drive(to), "tests.exe"), "./"+folder)
		w.put(t, scriptFolder+"/tests.bat", "@cd /d "+dos(to)+"\r\n@tests -test.timeout 100s\r\n")
		if out, code := w.cmd(t, nil, "tests.bat"); code != 0 || !strings.Contains(out, "PASS") {
			t.Errorf("the tests of %s ended with %d:\n%s", folder, code, out)
		}
	}
}

// TestCorpus: the batch files are as Windows has them, and use every command.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("batch/*.[bt][ax]t")
	if err != nil || len(files) == 0 {
		t.Fatalf("no batch files: %v", err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(text, []byte("\n")) != bytes.Count(text, []byte("\r\n")) {
			t.Errorf("%s: its lines do not all end as on Windows", file)
		}
		all.Write(text)
	}
	for _, want := range append([]string{"%ERRORLEVEL%", "if errorlevel", "&&", "||", "for /f",
		"%ProgramData%", "%APPDATA%", "setuser %ESS% <"}, windowsCommands...) {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no batch file has %s", want)
		}
	}
	for _, r := range runs {
		if _, err := os.Stat(filepath.Join("batch", r.batch)); err != nil {
			t.Error(err)
		}
	}
}

// TestSetUpRefuses: a folder that is not from setup.sh stays as it is, whoever
// names it.
func TestSetUpRefuses(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "precious")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {folder}, {folder, folder}} {
		out, err := exec.CommandContext(t.Context(), "./setup.sh", args...).CombinedOutput()
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != 1 ||
			!bytes.HasPrefix(out, []byte("lab/wine: error: ")) {
			t.Errorf("setup.sh %q: %v\n%s", args, err, out)
		}
	}
	if text, err := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("the file in it is %q, %v", text, err)
	}
}
