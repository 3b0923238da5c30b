package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const stamp = 1700000000

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree makes a folder "suite" with modes and times that must not matter.
func tree(t *testing.T, mode os.FileMode, when time.Time) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "suite")
	must(t, os.MkdirAll(filepath.Join(folder, "bin"), 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "bin", "tool"), []byte("tool"), 0o700|mode))
	must(t, os.WriteFile(filepath.Join(folder, "README"), []byte("read me"), 0o600|mode))
	for _, name := range []string{"README", "bin/tool", "bin", "."} {
		must(t, os.Chtimes(filepath.Join(folder, name), when, when))
	}
	return folder
}

func packed(t *testing.T, ending, folder string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "out"+ending)
	var stderr bytes.Buffer
	if code := run([]string{"-time", fmt.Sprint(stamp), file, folder}, &stderr); code != 0 {
		t.Fatalf("%d: %s", code, &stderr)
	}
	text, err := os.ReadFile(file)
	must(t, err)
	return text
}

func TestSameBytesEverywhere(t *testing.T) {
	for _, ending := range []string{".zip", ".tar.gz"} {
		one := packed(t, ending, tree(t, 0, time.Unix(1, 0)))
		two := packed(t, ending, tree(t, 0o044, time.Now()))
		if !bytes.Equal(one, two) {
			t.Errorf("%s: modes or times of the folder are in the archive", ending)
		}
	}
}

func TestTar(t *testing.T) {
	folder := tree(t, 0, time.Now())
	must(t, os.Symlink("tool", filepath.Join(folder, "bin", "tool.sh")))
	unzipped, err := gzip.NewReader(bytes.NewReader(packed(t, ".tar.gz", folder)))
	must(t, err)
	r := tar.NewReader(unzipped)
	var got []string
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		if h.ModTime.Unix() != stamp || h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%+v", h)
		}
		got = append(got, fmt.Sprintf("%s %o %s%s", h.Name, h.Mode, h.Linkname, text))
	}
	want := []string{"suite/ 755 ", "suite/README 644 read me", "suite/bin/ 755 ",
		"suite/bin/tool 755 tool", "suite/bin/tool.sh 777 tool"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestZip(t *testing.T) {
	text := packed(t, ".zip", tree(t, 0, time.Now()))
	r, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	must(t, err)
	var got []string
	for _, f := range r.File {
		content, err := f.Open()
		must(t, err)
		text, err := io.ReadAll(content)
		must(t, err)
		if f.Modified.Unix() != stamp {
			t.Errorf("%s has the time %v", f.Name, f.Modified)
		}
		got = append(got, fmt.Sprintf("%s %v %s", f.Name, f.Mode(), text))
	}
	want := []string{"suite/ drwxr-xr-x ", "suite/README -rw-r--r-- read me",
		"suite/bin/ drwxr-xr-x ", "suite/bin/tool -rwxr-xr-x tool"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestRefused(t *testing.T) {
	folder := tree(t, 0, time.Now())
	linked := tree(t, 0, time.Now())
	must(t, os.Symlink("README", filepath.Join(linked, "LINK")))
	out := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"x.zip"}, 2, "usage: "},
		{[]string{"-nope"}, 2, "-nope"},
		{[]string{filepath.Join(out, "x.rar"), folder}, 1, "neither .zip nor .tar.gz"},
		{[]string{filepath.Join(out, "x.zip"), filepath.Join(out, "none")}, 1, "none"},
		{[]string{filepath.Join(out, "x.zip"), linked}, 1, "LINK is a link"},
		{[]string{filepath.Join(out, "no/x.zip"), folder}, 1, "no/x.zip"},
	} {
		var stderr bytes.Buffer
		if code := run(tt.args, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%q: %d, %s", tt.args, code, &stderr)
		}
	}
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
