package filearray

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

// shortOf makes op on the file or folder of that name fail for want of file
// descriptors, and counts how often.
func shortOf(op, name string, count *int) func(string, string) error {
	return func(o, n string) error {
		if o != op || n != name {
			return nil
		}
		*count++
		return fmt.Errorf("%w: %w", disk.ErrUntried, syscall.EMFILE)
	}
}

// TestFlushShortOfDescriptors: a flush for which the folder cannot be opened
// fails, and the next one works. The volume takes I/O all the while.
func TestFlushShortOfDescriptors(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol, failed := mustOpen(t, a, v[0]), 0
	mustWrite(t, vol, 0, oneBlock, 2)
	fsys.setFault(shortOf("syncdir", disk.StageDir, &failed))
	if err := vol.Flush(); !errors.Is(err, syscall.EMFILE) || failed == 0 {
		t.Fatalf("flush: %v, after %d failures", err, failed)
	}
	mustWrite(t, vol, 2, oneBlock, 3)
	if p := readAll(t, vol); p[0] != 2 || p[2*trackSize] != 3 {
		t.Fatal("what was written cannot be read")
	}
	fsys.setFault(nil)
	mustFlush(t, vol)
	a.kill()
	eachDisk(t, fsys, 30, func(what string, _ *crashFS, b *Array) {
		defer b.kill()
		if p := readAll(t, mustOpen(t, b, v[0])); p[0] != 2 || p[2*trackSize] != 3 {
			t.Fatalf("%s: what was flushed is lost", what)
		}
	})
}

// TestStageFolderUnsynced: a sync of the stages' folder that was tried and failed
// is as fatal as that of a file.
func TestStageFolderUnsynced(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	defer a.kill()
	vol := mustOpen(t, a, v[0])
	mustWrite(t, vol, 0, oneBlock, 2)
	fsys.setFault(func(op, name string) error {
		if op == "syncdir" && name == disk.StageDir {
			return syscall.EIO
		}
		return nil
	})
	if err := vol.Flush(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("flush: %v", err)
	}
	fsys.setFault(nil)
	if err := vol.Flush(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the flush after the failed sync: %v", err)
	}
}

// TestStageShortOfDescriptors: a stage that cannot be made at one time is made at
// another.
func TestStageShortOfDescriptors(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	defer a.kill()
	vol, failed := mustOpen(t, a, v[0]), 0
	source := volumeOf(t, a, v[0])
	fsys.setFault(shortOf("create", disk.StageName(source.id, source.uid), &failed))
	mustWrite(t, vol, 0, 512, 2)
	mustWrite(t, vol, 1, 512, 2)
	if failed != 1 {
		t.Fatalf("the stage was tried %d times within a second", failed)
	}
	fsys.setFault(nil)
	time.Sleep(1100 * time.Millisecond) // a while later
	mustWrite(t, vol, 2, 512, 2)
	if source.log.Tracks() != 1 {
		t.Fatal("writes are not logged any more")
	}
}

// TestExpandShort: an expansion whose last step fails leaves the volume as large
// as it was, and is done by the next one.
func TestExpandShort(t *testing.T) {
	ctx := context.Background()
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	defer a.kill()
	v := mustCreate(t, a, 1<<20, 2)
	writeOnes(t, a, v[0], 1)
	mustFlush(t, mustOpen(t, a, v[0])) // that writes a stamp
	fsys.setFault(nth(2, "write", disk.VolumeDir+"/000", errNoSpace))
	if err := a.ExpandVolume(ctx, v[0], 2<<20); err == nil {
		t.Fatal("the expansion did not notice")
	}
	fsys.setFault(nil)
	vol := mustOpen(t, a, v[0])
	if p := readAll(t, vol); !bytes.Equal(p, bytes.Repeat([]byte{1}, 1<<20)) {
		t.Fatalf("the volume has %d bytes, or other ones", len(p))
	}
	pair := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	if err := a.Establish(ctx, pair, arrayclient.Options{}); err == nil {
		t.Fatal("a volume between two sizes is copied")
	}
	if err := a.ExpandVolume(ctx, v[0], 2<<20); err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Repeat([]byte{1}, 1<<20), make([]byte, 1<<20)...)
	if !bytes.Equal(readAll(t, vol), want) {
		t.Fatal("the expanded volume is wrong")
	}
}
