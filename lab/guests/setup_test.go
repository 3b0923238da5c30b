package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMissing: without the programs or the binaries, everything that is missing is
// said at once, and the status is 1.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out, messages bytes.Buffer
	code := run([]string{"-bin", t.TempDir(), "-cache", t.TempDir()}, &out, &messages)
	if code != 1 || out.Len() > 0 {
		t.Errorf("status %d, output %q", code, out.String())
	}
	for _, want := range []string{"qemu-system-x86_64 is missing", "package qemu-system-x86",
		"apt-get is missing", "dpkg-deb is missing", "build the binaries first", "rsList2105s"} {
		if !strings.Contains(messages.String(), want) {
			t.Errorf("no %q in %q", want, messages.String())
		}
	}
}

// TestLabThatCannotStart: whatever fails, the folder of the run is removed and the
// error is the one that matters.
func TestLabThatCannotStart(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	bin := t.TempDir()
	for _, script := range []string{"", "#!/bin/sh\necho 'no ports left' >&2\nexec sleep 60\n"} {
		want := "no such file"
		if script != "" {
			want = "no ports left"
			if err := os.WriteFile(filepath.Join(bin, "copyserver"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := newLab(ctx, options{bin: bin}, parts{}, &display{w: io.Discard})
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in the folder for temporary files: %v, %v", left, err)
	}
}

// TestGuestThatDoesNotBoot: it is booted three times, and then given up.
func TestGuestThatDoesNotBoot(t *testing.T) {
	path := t.TempDir()
	t.Setenv("PATH", path+":"+os.Getenv("PATH"))
	script := "#!/bin/sh\necho 'Kernel panic'\nexit 1\n"
	if err := os.WriteFile(filepath.Join(path, qemu), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	out := &display{w: &shown}
	m := machine{name: "one", nbd: "127.0.0.1:1"}
	g, err := m.boot(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	g, err = m.ready(t.Context(), g, out)
	if err == nil || !strings.Contains(err.Error(), `one ended during "booting"`) {
		t.Errorf("the error is %v", err)
	}
	if err := g.kill(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(shown.String(), "Kernel panic\n"); n != 3 {
		t.Errorf("it was booted %d times:\n%s", n, shown.String())
	}
}

func TestUsage(t *testing.T) {
	var out, messages bytes.Buffer
	for want, args := range map[int][]string{2: {"-x"}, 0: {"-h"}} {
		if got := run(args, &out, &messages); got != want {
			t.Errorf("%q: status %d, want %d", args, got, want)
		}
	}
	if got := run([]string{"argument"}, &out, &messages); got != 2 {
		t.Errorf("an argument: status %d", got)
	}
}

// unpack reads a cpio archive as the kernel's documentation describes it.
func unpack(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for at := 0; ; {
		var fields [13]uint32
		if string(archive[at:at+6]) != "070701" {
			t.Fatalf("no entry at %d", at)
		}
		for i := range fields {
			fmt.Sscanf(string(archive[at+6+8*i:at+14+8*i]), "%x", &fields[i])
		}
		mode, size, nameSize := fields[1], int(fields[6]), int(fields[11])
		name := string(archive[at+110 : at+110+nameSize-1])
		at = (at + 110 + nameSize + 3) &^ 3
		if name == "TRAILER!!!" {
			if at != len(archive) {
				t.Errorf("%d bytes are left", len(archive)-at)
			}
			return files
		}
		files[name] = fmt.Sprintf("%o %s", mode, archive[at:at+size])
		at = (at + size + 3) &^ 3
	}
}

func TestArchive(t *testing.T) {
	var a archive
	a.add("init", 0o755, []byte("12345"))
	a.add("etc/rscli/password", 0o600, nil)
	a.add("etc/rscli.yaml", 0o644, []byte("1234"))
	if err := a.addFile("bin/x", filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was added")
	}
	got := unpack(t, a.bytes())
	want := map[string]string{"init": "100755 12345", "etc": "40755 ", "etc/rscli": "40755 ",
		"etc/rscli/password": "100600 ", "etc/rscli.yaml": "100644 1234", "bin": "40755 "}
	delete(want, "bin") // its file was not there
	for name, entry := range want {
		if got[name] != entry {
			t.Errorf("%s is %q, want %q", name, got[name], entry)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the archive has %v", got)
	}
}

func TestFindFiles(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"usr/lib/libx.so.0.1", "usr/share/doc/busybox", "bin/busybox"} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"usr/lib/libx.so.0": "libx.so.0.1",
		"usr/lib/outside": "/etc/passwd", "usr/lib/dangling": "nothing"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := findFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"libx.so.0": "usr/lib/libx.so.0.1",
		"busybox": "bin/busybox", "outside": "", "dangling": ""} {
		text, _ := os.ReadFile(files[name])
		if string(text) != want {
			t.Errorf("%s is %q (%s), want %q", name, text, files[name], want)
		}
	}
	if _, err := files.only("libx.so"); err == nil {
		t.Error("two files are the only one")
	}
	if _, err := files.only("vmlinuz-"); err == nil {
		t.Error("a file that is not there is the only one")
	}
}

func TestParseDepends(t *testing.T) {
	for info, want := range map[string][]string{
		"license=GPL\x00depends=virtio_ring,virtio\x00name=x\x00": {"virtio_ring", "virtio"},
		"depends=\x00name=x": {},
		"name=x":             nil,
	} {
		if got := parseDepends([]byte(info)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", info, got, want)
		}
	}
}
