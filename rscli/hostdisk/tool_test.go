package hostdisk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
)

// shellTools makes a toolbox with one tool, a shell script.
func shellTools(t *testing.T, name, script string) toolbox {
	t.Helper()
	if _, err := exec.LookPath("/bin/sh"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755))
	return toolbox{[]string{dir, "/usr/bin", "/bin"}, 20 * time.Second, 1 << 20}
}

func TestToolRuns(t *testing.T) {
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	t.Setenv("KEPT", "yes")
	b := shellTools(t, "lsdev", `echo "$LC_ALL $KEPT $# $2"; cat; echo noise >&2`)
	out, err := b.run(t.Context(), "lsdev", "-Cc", "disk drives")
	check(t, err)
	if got, want := string(out), "C yes 2 disk drives\n"; got != want {
		t.Errorf("it printed %q, want %q", got, want)
	}
}

func TestToolFails(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"with a message": {"echo 'lsdev: 0514-521 not found' >&2; echo more >&2; exit 3",
			"lsdev failed: lsdev: 0514-521 not found"},
		"without":    {"exit 3", "lsdev failed: exit status 3"},
		"to control": {`printf '\033[2Jx\n' >&2; exit 1`, "lsdev failed: ?[2Jx"},
		"by signal":  {"kill -9 $$", "lsdev failed: signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := shellTools(t, "lsdev", c.script).run(t.Context(), "lsdev")
			if fault.KindOf(err) != fault.Failed || !errors.Is(err, errToolFailed) ||
				err.Error() != c.want {
				t.Errorf("%v (%s)", err, fault.KindOf(err))
			}
		})
	}
}

func TestToolMissing(t *testing.T) {
	b := shellTools(t, "lsdev", "")
	check(t, os.WriteFile(filepath.Join(b.dirs[0], "iostat"), nil, 0o644)) // not to be run
	for _, name := range []string{"lscfg", "iostat"} {
		_, err := b.run(t.Context(), name)
		if fault.KindOf(err) != fault.Failed || !errors.Is(err, errNoTool) ||
			!strings.Contains(err.Error(), name+" is not on this host") || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (%s)", name, err, fault.KindOf(err))
		}
	}
}

func TestToolHangs(t *testing.T) {
	for name, script := range map[string]string{
		"itself": "exec sleep 60", "its child": "sleep 3 &", "after output": "echo x; exec sleep 60",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := shellTools(t, "iostat", script)
			b.timeout = 100 * time.Millisecond
			start := time.Now()
			_, err := b.run(t.Context(), "iostat")
			if fault.KindOf(err) != fault.Failed || isOptional(err) {
				t.Errorf("%v (%s)", err, fault.KindOf(err))
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestToolPrintsWithoutEnd(t *testing.T) {
	b := shellTools(t, "ioreg", "while :; do echo 0123456789; done")
	_, err := b.run(t.Context(), "ioreg")
	if fault.KindOf(err) != fault.Failed || !strings.Contains(err.Error(), "more than 1048576") {
		t.Errorf("%v (%s)", err, fault.KindOf(err))
	}
}

func TestToolIsEndedWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := shellTools(t, "iostat", "exec sleep 60")
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := b.run(ctx, "iostat")
	if fault.KindOf(err) != fault.Interrupted || !errors.Is(err, context.Canceled) {
		t.Errorf("%v (%s)", err, fault.KindOf(err))
	}
}

// fakeTools answers for tools by their command lines. An answer is what a tool
// prints; that of a tool with an error is none.
type fakeTools struct {
	t       *testing.T
	answers map[string]string
	errors  map[string]error
	ran     []string
}

// sampleTools answers with files below testdata; a value that begins with "=" is
// the answer itself.
func sampleTools(t *testing.T, answers map[string]string) *fakeTools {
	t.Helper()
	for line, name := range answers {
		if literal, ok := strings.CutPrefix(name, "="); ok {
			answers[line] = literal
			continue
		}
		text, err := os.ReadFile(filepath.Join("testdata", name))
		check(t, err)
		answers[line] = string(text)
	}
	return &fakeTools{t: t, answers: answers, errors: map[string]error{}}
}

func (f *fakeTools) run(_ context.Context, name string, args ...string) ([]byte, error) {
	line := strings.Join(append([]string{name}, args...), " ")
	f.ran = append(f.ran, line)
	if err := f.errors[line]; err != nil {
		return nil, fault.New(fault.Failed, "%s %w", name, err)
	}
	if answer, ok := f.answers[line]; ok {
		return []byte(answer), nil
	}
	return nil, fault.New(fault.Failed, "%s is %w", name, errNoTool)
}

// list lists with the fake tools of a system.
func (f *fakeTools) list(goos string, opts Options) ([]Disk, []string) {
	f.t.Helper()
	disks, warnings, err := listWithTools(f.t.Context(), goos, f.run, opts)
	check(f.t, err)
	return disks, warnings
}

// firstLines are what each system cannot do without.
var firstLines = map[string]string{
	"aix": "lsdev -Cc disk", "darwin": "ioreg -a -r -l -c IOSCSIPeripheralDeviceNub",
	"freebsd": "geom disk list", "solaris": "iostat -En", "illumos": "iostat -En",
}

// TestSystemsWithoutTheirTools: each error of a tool that is needed is the
// listing's own.
func TestSystemsWithoutTheirTools(t *testing.T) {
	hang := errors.New("did not end within 1m0s")
	for goos, line := range firstLines {
		for _, want := range []error{errNoTool, errToolFailed, hang} {
			f := sampleTools(t, map[string]string{})
			f.errors[line] = want
			disks, _, err := listWithTools(t.Context(), goos, f.run, Options{})
			if fault.KindOf(err) != fault.Failed || !errors.Is(err, want) || disks != nil {
				t.Errorf("%s: %+v, %v", goos, disks, err)
			}
		}
	}
	_, _, err := listWithTools(t.Context(), "plan9", nil, Options{})
	if fault.KindOf(err) != fault.Failed || fault.HintOf(err) == "" {
		t.Errorf("an unknown system: %v", err)
	}
}

// TestSystemsWithGarbage: what is not the tool's output is no disk, and no panic.
func TestSystemsWithGarbage(t *testing.T) {
	for goos, line := range firstLines {
		for _, garbage := range []string{"", "\n\n", "command not understood\n",
			"\x00\xff\x1b[2J:\n", strings.Repeat("a", 1<<20), "1. Name: da0\n   descr: IBM 2105800\n",
			"Vendor: IBM Product: 2105800 Serial No: 20313698\n", "<plist></plist>"} {
			f := sampleTools(t, map[string]string{line: "=" + garbage, "lscfg -v": "=" + garbage,
				"geom multipath list": "=" + garbage, "lsvpcfg": "=" + garbage})
			disks, warnings, err := listWithTools(t.Context(), goos, f.run, Options{})
			isXML := goos == "darwin" && strings.TrimSpace(garbage) != ""
			if len(disks)+len(warnings) > 0 || (err != nil) != isXML {
				t.Errorf("%s, %.20q: %+v, %q, %v", goos, garbage, disks, warnings, err)
			}
		}
	}
}

// showAll writes the disks with vendor and model, one in a line.
func showAll(t *testing.T, disks []Disk) string {
	t.Helper()
	var lines []string
	for _, d := range disks {
		lines = append(lines, fmt.Sprintf("%s | %s | %s", showDisks(t, []Disk{d}), d.Vendor, d.Model))
	}
	return strings.Join(lines, "\n")
}
