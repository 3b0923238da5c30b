package filearray

import (
	"os"
	"path/filepath"
	"testing"

	"copyservices/arrayclient/filearray/disk"

	"golang.org/x/sys/unix"
)

// TestFullFileSystem is TestFullDiskGoesOn on the file systems of Linux.
func TestFullFileSystem(t *testing.T) {
	for _, fstype := range []string{"ext4", "xfs", "btrfs"} {
		t.Run(fstype, func(t *testing.T) {
			dir := mountImage(t, fstype, 320<<20)
			fsys, err := disk.OS(dir)
			if err != nil {
				t.Fatal(err)
			}
			leave(t, filepath.Join(dir, "taken"), fsys, 64<<20)
			d := fillUp(t, fsys, 1<<30, func() { fillFile(t, filepath.Join(dir, "other")) })
			d.goesOn(func() disk.FS {
				if err := d.array.closeFiles(); err != nil { // or it cannot be unmounted
					t.Fatal(err)
				}
				return fsys
			})
		})
	}
}

// leave takes all but n bytes of a file system.
func leave(t *testing.T, path string, fsys disk.FS, n int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, free := fsys.Space()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, free-n); err != nil {
		t.Fatal(err)
	}
}

// fillFile writes until the disk is full.
func fillFile(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	for off := int64(0); err == nil; off += 4096 {
		_, err = f.WriteAt(disk.Zeros[:4096], off)
	}
	if !disk.IsFull(err) {
		t.Fatal(err)
	}
	if f != nil { // else there is not even room for its name
		f.Sync()
		f.Close()
	}
}
