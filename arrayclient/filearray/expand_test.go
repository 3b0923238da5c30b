package filearray

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

const tebibyte = 1 << 40

// TestExpandKeepsUnsynced: a flush after an expansion makes durable what was
// written before it, also where the expansion itself syncs nothing.
func TestExpandKeepsUnsynced(t *testing.T) {
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	s := mustCreate(t, a, tebibyte, 1)[0]
	v := mustOpen(t, a, s)
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte{7}, 4096)
	if _, err := v.WriteAt(want, 0); err != nil {
		t.Fatal(err)
	}
	if err := a.ExpandVolume(context.Background(), s, tebibyte+1<<20); err != nil {
		t.Fatal(err)
	}
	if err := v.Flush(); err != nil {
		t.Fatal(err)
	}
	a.kill()
	for seed := range uint64(8) {
		b := openTestArray(t, fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))))
		p := make([]byte, len(want))
		if _, err := mustOpen(t, b, s).ReadAt(p, 0); err != nil || !bytes.Equal(p, want) {
			t.Fatalf("what was flushed is lost: %v", err)
		}
		b.kill()
	}
}

// TestExpandSyncFails: a sync that fails in an expansion is as fatal to the
// volume as any other.
func TestExpandSyncFails(t *testing.T) {
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	defer a.kill()
	s := mustCreate(t, a, 1<<20, 1)[0]
	writeOnes(t, a, s, 1)
	fsys.setFault(failing("sync", "000", syscall.EIO))
	if err := a.ExpandVolume(context.Background(), s, 2<<20); err == nil {
		t.Fatal("the expansion did not notice")
	}
	fsys.setFault(nil)
	if err := mustOpen(t, a, s).Flush(); err == nil {
		t.Fatal("a flush after the failed sync succeeds")
	}
}

// TestExpandAgain: an expansion that failed leaves nothing in what a later one
// adds.
func TestExpandAgain(t *testing.T) {
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	defer a.kill()
	s := mustCreate(t, a, 1<<20, 1)[0]
	writeOnes(t, a, s, 1)
	fsys.setFault(nth(1, "syncdir", disk.VolumeDir, errNoSpace))
	if err := a.ExpandVolume(context.Background(), s, 2<<20); err == nil {
		t.Fatal("the expansion did not notice")
	}
	fsys.setFault(nil)
	if err := a.ExpandVolume(context.Background(), s, 3<<20); err != nil {
		t.Fatal(err)
	}
	p := readAll(t, mustOpen(t, a, s))
	if !bytes.Equal(p[:1<<20], bytes.Repeat([]byte{1}, 1<<20)) {
		t.Fatal("the data is lost")
	}
	if !bytes.Equal(p[1<<20:], make([]byte, 2<<20)) {
		t.Fatal("what was added does not read as zeros")
	}
}

// TestExpandUnfinished: when the last step of an expansion fails, the next
// opening does it, and does not wipe out what hosts wrote meanwhile.
func TestExpandUnfinished(t *testing.T) {
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	s := mustCreate(t, a, 1<<20, 1)[0]
	writeOnes(t, a, s, 1)
	mustFlush(t, mustOpen(t, a, s)) // that writes a stamp
	fsys.setFault(nth(2, "write", disk.VolumeDir+"/000", errNoSpace))
	if err := a.ExpandVolume(context.Background(), s, 2<<20); err == nil {
		t.Fatal("the expansion did not notice")
	}
	fsys.setFault(nil)
	_, err := mustOpen(t, a, s).WriteAt(bytes.Repeat([]byte{2}, 4096), 1<<20)
	a.kill()
	b := openTestArray(t, fsys.afterKill())
	defer b.kill()
	want := make([]byte, 2<<20)
	copy(want, bytes.Repeat([]byte{1}, 1<<20))
	if err == nil {
		copy(want[1<<20:], bytes.Repeat([]byte{2}, 4096))
	}
	if !bytes.Equal(readAll(t, mustOpen(t, b, s)), want) {
		t.Fatal("a write that was acknowledged is lost")
	}
}

// TestExpandSegments loses the power at every change of an expansion that adds
// files: no file is left over, and the next expansion works.
func TestExpandSegments(t *testing.T) {
	for k := 1; k < 100; k++ {
		fsys := newCrashFS()
		a := createTestArray(t, fsys)
		s := mustCreate(t, a, tebibyte-1<<20, 1)[0]
		fsys.setCrash(k)
		err := a.ExpandVolume(context.Background(), s, 3*tebibyte)
		a.kill()
		for seed := range uint64(3) {
			next := fsys.afterCrash(rand.New(rand.NewPCG(seed, uint64(k))))
			if problems := Check(next); problems != nil {
				t.Fatalf("crash at change %d: %v", k, problems)
			}
			b := openTestArray(t, next)
			if err := b.ExpandVolume(context.Background(), s, 4*tebibyte); err != nil {
				t.Fatalf("crash at change %d: %v", k, err)
			}
			if err := b.DeleteVolume(context.Background(), s); err != nil {
				t.Fatal(err)
			}
			if names, _ := next.List(disk.VolumeDir); len(names) > 0 {
				t.Fatalf("crash at change %d: left over are %v", k, names)
			}
			b.kill()
		}
		if err == nil {
			return
		}
	}
	t.Fatal("there is no end to it")
}

// TestExpandFull: an expansion that finds no room for its second file leaves
// no first one.
func TestExpandFull(t *testing.T) {
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	s := mustCreate(t, a, tebibyte-1<<20, 1)[0]
	fsys.setFault(func(op, name string) error {
		if op == "write" && strings.HasSuffix(name, ".2") {
			return errNoSpace
		}
		return nil
	})
	if err := a.ExpandVolume(context.Background(), s, 3*tebibyte); err == nil {
		t.Fatal("the expansion did not notice")
	}
	fsys.setFault(nil)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if problems := Check(fsys); problems != nil {
		t.Fatal(problems)
	}
	if names, _ := fsys.List(disk.VolumeDir); len(names) != 1 {
		t.Fatalf("files of volumes: %v", names)
	}
}

// TestDeleteCrash loses the power at every change of a deletion: the files of
// the volume come back in no case.
func TestDeleteCrash(t *testing.T) {
	for k := 1; k < 100; k++ {
		fsys := newCrashFS()
		a := createTestArray(t, fsys)
		v := mustCreate(t, a, 1<<20, 2)
		h, err := a.OpenVolume(context.Background(), v[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.WriteAt(bytes.Repeat([]byte{1}, 1<<20), 0); err != nil {
			t.Fatal(err)
		}
		h.Close()
		fsys.setCrash(k)
		err = a.DeleteVolume(context.Background(), v[0])
		if err == nil {
			_, err = a.CreateVolumes(context.Background(), arrayclient.VolumeSpec{Size: 1 << 20})
		}
		a.kill()
		for seed := range uint64(3) {
			next := fsys.afterCrash(rand.New(rand.NewPCG(seed, uint64(k))))
			if problems := Check(next); problems != nil {
				t.Fatalf("crash at change %d: %v", k, problems)
			}
			b := openTestArray(t, next)
			list, _ := b.Volumes(context.Background())
			if names, _ := next.List(disk.VolumeDir); len(names) != len(list) {
				t.Fatalf("crash at change %d: %d volumes, files %v", k, len(list), names)
			}
			b.kill()
		}
		if err == nil {
			return
		}
	}
	t.Fatal("there is no end to it")
}
