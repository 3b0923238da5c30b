package filearray

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

// cannotMount skips a test that needs a file system of its own. Where CI is set, and
// root, there has to be one.
func cannotMount(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
		t.Fatalf(format, args...)
	}
	t.Skipf("not tested on a file system of its own: "+format, args...)
}

// mountImage makes a file system of the given type and size in a file and mounts it
// for the time of the test. It takes root, and a kernel that knows the type.
func mountImage(t *testing.T, fstype string, size int64) string {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs." + fstype)
	if err != nil || os.Geteuid() != 0 {
		cannotMount(t, "needs root and mkfs.%s: %v", fstype, err)
	}
	if known, _ := os.ReadFile("/proc/filesystems"); !strings.Contains(string(known), "\t"+fstype+"\n") {
		cannotMount(t, "the kernel does not know %s", fstype)
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs, "-q", image).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", mkfs, err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		cannotMount(t, "mounting is not allowed here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// TestClone copies in the background where blocks can be shared: that takes no
// space, and the image is one all the same.
func TestClone(t *testing.T) {
	const size = 100<<20 + 512
	for _, fstype := range []string{"xfs", "btrfs"} {
		t.Run(fstype, func(t *testing.T) {
			fsys, err := disk.OS(mountImage(t, fstype, 1<<30))
			if err != nil {
				t.Fatal(err)
			}
			a := createTestArray(t, fsys)
			defer a.Close()
			v := mustCreate(t, a, size, 2)
			old := bytes.Repeat([]byte("old content "), size/12+1)[:size]
			source := mustOpen(t, a, v[0])
			if _, err := source.WriteAt(old, 0); err != nil {
				t.Fatal(err)
			}
			if err := source.Flush(); err != nil {
				t.Fatal(err)
			}
			_, before := fsys.Space()
			err = a.Establish(context.Background(),
				[]arrayclient.Pair{{Source: v[0], Target: v[1]}}, arrayclient.Options{})
			if err != nil {
				t.Fatal(err)
			}
			a.copies.Wait()
			_, after := fsys.Space()
			if used := before - after; used > size/4 {
				t.Errorf("copying %d bytes took %d bytes of space", int64(size), used)
			}
			if rels, err := a.Relationships(context.Background()); err != nil || len(rels) != 0 {
				t.Fatalf("relationships are left: %v, %v", rels, err)
			}
			if _, err := source.WriteAt(bytes.Repeat([]byte("new"), 1<<20), 5000); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(readAll(t, mustOpen(t, a, v[1])), old) {
				t.Error("the target is not the image of the source")
			}
		})
	}
}
