package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/atomicfile"
)

func TestWriteReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"first, longer", "second"} {
		if err := atomicfile.Write(atomicfile.OS(), path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, text)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o640 {
		t.Errorf("mode %v, want 0640", info.Mode())
	}
	wantFiles(t, filepath.Dir(path), 1)
}

func TestAbortLeavesOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := atomicfile.Write(atomicfile.OS(), path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := atomicfile.Create(atomicfile.OS(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	p.Abort()
	p.Abort()
	wantFile(t, path, "old")
	wantFiles(t, filepath.Dir(path), 1)
}

// TestEveryStepFails fails each step of a replacement in turn.
func TestEveryStepFails(t *testing.T) {
	for _, step := range []string{"create", "chmod", "write", "sync", "opendir", "close", "rename", "syncdir"} {
		t.Run(step, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := atomicfile.Write(failing{step, syscall.EIO}, path, []byte("new"), 0o600)
			if !errors.Is(err, syscall.EIO) || fault.KindOf(err) != fault.Failed {
				t.Fatalf("error %v of kind %q", err, fault.KindOf(err))
			}
			unsure := step == "syncdir"
			if errors.Is(err, atomicfile.ErrUnsure) != unsure {
				t.Errorf("ErrUnsure in %v: want %v", err, unsure)
			}
			wantFile(t, path, map[bool]string{false: "old", true: "new"}[unsure])
			wantFiles(t, filepath.Dir(path), 1)
		})
	}
}

func TestFullDiskNamesFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	err := atomicfile.Write(failing{"write", syscall.ENOSPC}, path, []byte("new"), 0o600)
	if err == nil || !strings.Contains(err.Error(), "no space left in folder "+filepath.Dir(path)) {
		t.Errorf("error %v does not name the folder", err)
	}
	if fault.HintOf(err) == "" {
		t.Error("no hint")
	}
}

func TestCleanRemovesOnlyTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".tmp-123", "kept.yaml", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := atomicfile.Clean(dir); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, 2)
	if !atomicfile.IsTemp(filepath.Join(dir, ".tmp-1")) || atomicfile.IsTemp("kept.yaml") {
		t.Error("IsTemp does not tell them apart")
	}
}

func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Remove(atomicfile.OS(), path); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Remove(atomicfile.OS(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("second removal: %v", err)
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", path, got, err, want)
	}
}

func wantFiles(t *testing.T, dir string, want int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != want {
		t.Errorf("%d files in %s (%v), want %d: %v", len(entries), dir, err, want, entries)
	}
}

// failing is the file system of the machine with one step that fails.
type failing struct {
	step string
	err  error
}

func (f failing) fail(step string) error {
	if f.step == step {
		return f.err
	}
	return nil
}

func (f failing) CreateTemp(dir, pattern string) (atomicfile.File, error) {
	if err := f.fail("create"); err != nil {
		return nil, err
	}
	file, err := atomicfile.OS().CreateTemp(dir, pattern)
	return &failingFile{file, f}, err
}

func (f failing) Rename(from, to string) error {
	return errors.Join(f.fail("rename"), f.unless("rename", func() error {
		return atomicfile.OS().Rename(from, to)
	}))
}

func (f failing) Remove(name string) error { return atomicfile.OS().Remove(name) }

func (f failing) OpenDir(dir string) (atomicfile.Folder, error) {
	if err := f.fail("opendir"); err != nil {
		return nil, err
	}
	folder, err := atomicfile.OS().OpenDir(dir)
	return failingFolder{folder, f}, err
}

type failingFolder struct {
	atomicfile.Folder
	failing failing
}

func (f failingFolder) Sync() error { return f.failing.fail("syncdir") }

func (f failing) unless(step string, do func() error) error {
	if f.step == step {
		return nil
	}
	return do()
}

type failingFile struct {
	atomicfile.File
	failing failing
}

func (f *failingFile) Chmod(mode fs.FileMode) error {
	return errors.Join(f.failing.fail("chmod"), f.File.Chmod(mode))
}

func (f *failingFile) Write(p []byte) (int, error) {
	if err := f.failing.fail("write"); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *failingFile) Sync() error { return errors.Join(f.failing.fail("sync"), f.File.Sync()) }

func (f *failingFile) Close() error { return errors.Join(f.failing.fail("close"), f.File.Close()) }
