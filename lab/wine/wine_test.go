// Package wine runs the Windows binaries under Wine: from batch files as they
// were written from 2001 to 2006, in the cmd.exe of Wine 10, against a copyserver
// on this machine. `make wine` makes the folder with Wine and runs it.
package wine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var wineFolder = flag.String("wine", "",
	"the `folder` that setup.sh has made; without it only the corpus itself is tested")

// Folders on Wine's drive C:, all of them with blanks in their names.
const (
	commandFolder  = "Program Files/IBM ESS CLI"
	recordedFolder = "Program Files/IBM ESS CLI recorded"
	scriptFolder   = "ESS Scripts"
	logFolder      = "ESS Logs"
)

// windowsCommands are all commands of the suite but the server.
var windowsCommands = []string{"rsList2105s", "rsPrimeServer", "rsExecuteTask", "rsQuery",
	"rsQueryComplete", "rsFlashCopyQuery", "rsTestConnection", "setdevice", "setuser", "esscli"}

// windows is a Wine with the commands, and a server that they reach.
type windows struct {
	root    string // folder of setup.sh
	address string // of the server
}

// newWindows builds everything and starts the server. What it puts on drive C: is
// removed at the end.
func newWindows(t *testing.T) *windows {
	t.Helper()
	if *wineFolder == "" {
		t.Skip("make wine runs this, with the folder of Wine that it makes")
	}
	root, err := filepath.Abs(*wineFolder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "wine-is-ready")); err != nil {
		t.Fatalf("setup.sh has not made Wine: %v", err)
	}
	w := &windows{root: root}
	for _, folder := range []string{commandFolder, recordedFolder, scriptFolder, logFolder,
		"ProgramData/rscli", "users/root/AppData/Roaming/rscli", "tests",
		"users/root/AppData/Local/Temp/Log Files"} {
		w.remove(t, folder)
		t.Cleanup(func() { w.remove(t, folder) })
	}
	w.buildCommands(t)
	w.address = startServer(t)
	return w
}

// drive is where a folder of drive C: is on this machine.
func (w *windows) drive(folder string) string {
	return filepath.Join(w.root, "root/.wine/drive_c", folder)
}

func (w *windows) remove(t *testing.T, folder string) {
	t.Helper()
	if err := os.RemoveAll(w.drive(folder)); err != nil {
		t.Fatal(err)
	}
}

// dos is what Windows calls a folder of drive C:.
func dos(folder string) string { return `C:\` + strings.ReplaceAll(folder, "/", `\`) }

// buildCommands builds the commands as they are, and those that look at disks once
// more over recorded drives, because Wine's have no serials.
func (w *windows) buildCommands(t *testing.T) {
	t.Helper()
	var packages []string
	for _, name := range windowsCommands {
		packages = append(packages, "./cmd/"+name)
	}
	build(t, append([]string{"build", "-o", w.drive(commandFolder) + "/"}, packages...)...)

	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(top, "rscli/hostdisk/disks_windows.go"): filepath.Join(top,
			"lab/wine/testdata/recorded_windows.go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build(t, "build", "-overlay", file, "-o", w.drive(recordedFolder)+"/",
		"./cmd/rsList2105s", "./cmd/rsPrimeServer")
}

// build runs the go command for Windows.
func build(t *testing.T, args ...string) {
	t.Helper()
	goTool(t, []string{"GOOS=windows", "GOARCH=amd64"}, args...)
}

func goTool(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = "../.."
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
}

// startServer starts a copyserver until the test ends, and returns its address.
func startServer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program, ready := filepath.Join(dir, "copyserver"), filepath.Join(dir, "ready")
	goTool(t, nil, "build", "-o", program, "./cmd/copyserver")
	var log bytes.Buffer
	cmd := exec.Command(program, "--state", filepath.Join(dir, "state"), "--array-serial", "13698",
		"--listen", "127.0.0.1:0", "--nbd-listen", "none", "--ready-file", ready)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("copyserver: %v\n%s", err, log.String())
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(ready)
		if err == nil {
			var server struct{ Address string }
			if err := json.Unmarshal(text, &server); err != nil {
				t.Fatal(err)
			}
			return server.Address
		}
		if time.Now().After(end) {
			t.Fatalf("the server is not ready: %v", err)
		}
	}
}

// put writes a file on drive C:, with the line ends that it has.
func (w *windows) put(t *testing.T, name, text string) {
	t.Helper()
	file := w.drive(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// install copies the batch files and what they read from a folder of this
// repository, byte by byte, and puts ess.bat with the site's values beside them.
func (w *windows) install(t *testing.T, from string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", from, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w.put(t, scriptFolder+"/"+filepath.Base(file), string(text))
	}
	w.put(t, logFolder+"/readme.txt", "the logs of the batch files\r\n")
	w.put(t, scriptFolder+"/ess.bat", strings.Join([]string{"set SERVER=" + w.address,
		"set U=superuser", "set P=passw0rd", "set ESSLOG=" + dos(logFolder),
		"set ESS=-s %SERVER% -u %U% -p %P%", ""}, "\r\n"))
}

// wineMessage is what a process of Wine itself says when it ends at the same time as
// one of its threads, as happens on a busy machine: "wine client error:140: sendmsg".
var wineMessage = regexp.MustCompile(`(?m)^wine client error:.*\n`)

// cmd runs a batch file in cmd.exe, with the commands of these folders of drive C:
// in PATH. It returns what came on both streams, with the line ends of this
// machine.
func (w *windows) cmd(
	t *testing.T, path []string, batch string, args ...string,
) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	enter := append([]string{w.root, "/usr/lib/wine/wine64", "cmd", "/c",
		dos(scriptFolder + "/" + batch)}, args...)
	cmd := exec.CommandContext(ctx, "./enter.sh", enter...)
	var folders []string
	for _, folder := range path {
		folders = append(folders, dos(folder))
	}
	cmd.Env = append(os.Environ(), "WINEPATH="+strings.Join(folders, ";"))
	cmd.WaitDelay = 5 * time.Second
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) || ctx.Err() != nil {
		t.Fatalf("%s: %v, %v\n%s", batch, err, ctx.Err(), text.String())
	}
	out = strings.ReplaceAll(text.String(), "\r\n", "\n")
	return wineMessage.ReplaceAllString(out, ""), cmd.ProcessState.ExitCode()
}
