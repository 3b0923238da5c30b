package filearray

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
)

// TestTargetFails has the target of a copy fail in every way: the source does
// not notice, the relationship says so, also after a restart.
func TestTargetFails(t *testing.T) {
	for _, c := range []struct {
		name, op string
		err      error
	}{
		{"full", "write", errNoSpace},
		{"broken", "write", syscall.EIO},
		{"unsynced", "sync", syscall.EIO},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
			fsys.setFault(failing(c.op, "001", c.err))
			writeOnes(t, a, v[0], 2)
			mustDestage(t, a, v[0])
			if r := relOf(t, a, v[1]); r.State != arrayclient.StateFailed ||
				!strings.Contains(r.Reason, c.err.Error()) {
				t.Fatalf("the relationship is %+v", r)
			}
			if _, err := mustOpen(t, a, v[1]).ReadAt(make([]byte, 1), 0); err == nil {
				t.Fatal("the failed target can be read")
			}
			a.kill()
			b := openTestArray(t, fsys.afterKill())
			defer b.Close()
			if r := relOf(t, b, v[1]); r.State != arrayclient.StateFailed {
				t.Fatalf("after the restart the relationship is %+v", r)
			}
			if p := readAll(t, mustOpen(t, b, v[0])); !bytes.Equal(p, bytes.Repeat([]byte{2}, len(p))) {
				t.Fatal("the source lost what was written to it")
			}
			undefined, err := b.Withdraw(context.Background(),
				[]arrayclient.Pair{{Source: v[0], Target: v[1]}})
			if err != nil || len(undefined) != 1 {
				t.Fatalf("withdraw: %v, %v", undefined, err)
			}
		})
	}
}

// TestBackgroundTargetFails is the same in the background copy.
func TestBackgroundTargetFails(t *testing.T) {
	fsys := newCrashFS()
	fsys.noClone = true
	a := createTestArray(t, fsys)
	defer a.Close()
	v := mustCreate(t, a, 1<<20, 2)
	writeOnes(t, a, v[0], 1)
	fsys.setFault(failing("write", "001", errNoSpace))
	err := a.Establish(context.Background(),
		[]arrayclient.Pair{{Source: v[0], Target: v[1]}}, arrayclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a.copies.Wait()
	if r := relOf(t, a, v[1]); r.State != arrayclient.StateFailed {
		t.Fatalf("the relationship is %+v", r)
	}
	all, err := a.Volumes(context.Background())
	if err != nil || all[1].LastCopy.Outcome != arrayclient.OutcomeUndefined {
		t.Errorf("the outcome is %+v, %v", all[1].LastCopy, err)
	}
	writeOnes(t, a, v[0], 2)
	fsys.setFault(nil)
}

// TestUnreadableSource: what cannot be read cannot be saved, but it can be
// written over.
func TestUnreadableSource(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	defer a.Close()
	fsys.setFault(failing("read", "000", syscall.EIO))
	writeOnes(t, a, v[0], 2)
	mustDestage(t, a, v[0])
	fsys.setFault(nil)
	if r := relOf(t, a, v[1]); r.State != arrayclient.StateFailed {
		t.Fatalf("the relationship is %+v", r)
	}
}

// TestSyncFails: a volume whose sync failed takes no more I/O.
func TestSyncFails(t *testing.T) {
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	v := mustCreate(t, a, 1<<20, 1)
	writeOnes(t, a, v[0], 1)
	fsys.setFault(failing("sync", "000", syscall.EIO))
	vol := mustOpen(t, a, v[0])
	if err := vol.Flush(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("flush: %v", err)
	}
	fsys.setFault(nil)
	if err := vol.Flush(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the second flush: %v", err)
	}
	if _, err := vol.WriteAt([]byte{1}, 0); !errors.Is(err, syscall.EIO) {
		t.Fatalf("write: %v", err)
	}
	list, err := a.Volumes(context.Background())
	if err != nil || list[0].Failed == "" {
		t.Fatalf("the volume is listed as %+v, %v", list, err)
	}
}

// TestJournalFails: when nothing can be made durable any more, writes that
// would change an image fail and leave the image as it was. What was staged
// before that is there after a restart.
func TestJournalFails(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	fsys.setFault(func(op, name string) error {
		if op == "sync" && strings.HasPrefix(name, "journal") {
			return syscall.EIO
		}
		return nil
	})
	source := mustOpen(t, a, v[0])
	if _, err := source.WriteAt([]byte{2}, 0); err != nil {
		t.Fatal(err)
	}
	if err := volumeOf(t, a, v[0]).log.Destage(); fault.KindOf(err) != fault.Server {
		t.Fatalf("destage: %v", err)
	}
	if _, err := source.WriteAt([]byte{3}, 0); fault.KindOf(err) != fault.Server {
		t.Fatalf("write: %v", err)
	}
	if _, err := mustOpen(t, a, v[2]).WriteAt([]byte{2}, 0); err != nil {
		t.Fatalf("write to a volume without relationships: %v", err)
	}
	if p := readAll(t, mustOpen(t, a, v[1])); !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
		t.Fatal("the image changed")
	}
	a.kill()
	b := openTestArray(t, fsys.afterKill())
	defer b.Close()
	if p := readAll(t, mustOpen(t, b, v[0])); p[0] != 2 {
		t.Fatalf("of the staged write there is %d", p[0])
	}
}

// TestFullDisk: creating volumes where there is no room leaves nothing behind.
func TestFullDisk(t *testing.T) {
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	mustCreate(t, a, 1<<20, 1)
	fsys.setFault(failing("write", "002", errNoSpace))
	_, err := a.CreateVolumes(context.Background(), arrayclient.VolumeSpec{Size: 1 << 20, Count: 2})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("create: %v", err)
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

// closedArray returns an array that was closed with a relationship half done.
func closedArray(t *testing.T) *crashFS {
	t.Helper()
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	if _, err := mustOpen(t, a, v[0]).WriteAt(make([]byte, 300<<10), 0); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return fsys
}

// newestMeta returns the name and the length of the meta file that counts.
func newestMeta(t *testing.T, fsys *crashFS) (string, int64) {
	t.Helper()
	meta, _, err := disk.ReadMeta(fsys)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Open(disk.MetaName(meta.Gen))
	if err != nil {
		t.Fatal(err)
	}
	size, _ := f.Size()
	return disk.MetaName(meta.Gen), size
}

// mustRefuse holds that the file of that name keeps the array from opening, and
// that check finds something.
func mustRefuse(t *testing.T, fsys *crashFS, name string) {
	t.Helper()
	a, err := Open(fsys, OpenOptions{})
	if err == nil {
		a.kill()
		t.Fatal("the damaged array opens")
	}
	if !strings.Contains(err.Error(), name) {
		t.Fatalf("the error does not name %s: %v", name, err)
	}
	if problems := Check(fsys); len(problems) == 0 {
		t.Fatal("check finds nothing")
	}
}

// TestFailedVolumeComesBack: a volume whose file was away is as before when the
// file is there again, and so is its image.
func TestFailedVolumeComesBack(t *testing.T) {
	const name = "volumes/000.00000001.0"
	fsys := closedArray(t)
	file := fsys.live[name]
	if err := fsys.Remove(name); err != nil {
		t.Fatal(err)
	}
	a := openTestArray(t, fsys)
	v := mustList(t, a)
	ctx, pair := context.Background(), []arrayclient.Pair{{Source: v[0].Serial, Target: v[1].Serial}}
	if _, err := a.OpenVolume(ctx, v[0].Serial); err == nil || fault.HintOf(err) == "" {
		t.Fatalf("attaching the failed volume: %v", err)
	}
	if err := a.BackgroundCopy(ctx, pair); fault.KindOf(err) != fault.Refused {
		t.Fatalf("copying from it: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	fsys.live[name] = file
	a = openTestArray(t, fsys)
	defer a.Close()
	want := bytes.Repeat([]byte{1}, 1<<20)
	if !bytes.Equal(readAll(t, mustOpen(t, a, v[1].Serial)), want) {
		t.Fatal("the image is not what it was")
	}
	clear(want[:300<<10])
	if !bytes.Equal(readAll(t, mustOpen(t, a, v[0].Serial)), want) {
		t.Fatal("the source is not what it was")
	}
}

// TestFailedVolumeGoes: a volume whose file is missing can be given up, and nothing
// is left of it.
func TestFailedVolumeGoes(t *testing.T) {
	for id, name := range map[int]string{0: "volumes/000.00000001.0", 1: "volumes/001.00000002.0"} {
		fsys := closedArray(t)
		if err := fsys.Remove(name); err != nil {
			t.Fatal(err)
		}
		a := openTestArray(t, fsys)
		v, ctx := mustList(t, a), context.Background()
		// The source goes on when its target is missing.
		if vol, err := a.OpenVolume(ctx, v[0].Serial); err == nil {
			mustWrite(t, vol, 10, 512, 5)
			mustFlush(t, vol)
			vol.Close()
		} else if id != 0 {
			t.Fatal(err)
		}
		if _, err := a.Withdraw(ctx, []arrayclient.Pair{{Source: v[0].Serial, Target: v[1].Serial}}); err != nil {
			t.Fatal(err)
		}
		if err := a.DeleteVolume(ctx, v[id].Serial); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if problems := Check(fsys); problems != nil {
			t.Fatal(problems)
		}
		if names, _ := fsys.List(disk.VolumeDir); len(names) != 2 {
			t.Fatalf("left over: %v", names)
		}
	}
}

// TestOpenShortOfDescriptors: a file that cannot be opened for want of descriptors
// is not damaged.
func TestOpenShortOfDescriptors(t *testing.T) {
	fsys := closedArray(t)
	fsys.setFault(failing("open", "001", syscall.EMFILE))
	if a, err := Open(fsys, OpenOptions{}); !errors.Is(err, syscall.EMFILE) {
		a.kill()
		t.Fatalf("open: %v", err)
	}
	fsys.setFault(failing("open", "000", syscall.EIO))
	mustFail(t, fsys, "input/output error")
}

// TestDamage flips bits and cuts files short: each is refused by name, but for
// those of volumes, which fail.
func TestDamage(t *testing.T) {
	name, _ := newestMeta(t, closedArray(t))
	for i := range int64(97) {
		t.Run(fmt.Sprintf("%s part %d", name, i), func(t *testing.T) {
			fsys := closedArray(t)
			_, size := newestMeta(t, fsys)
			damage(fsys, name, flip(size*i/97))
			mustRefuse(t, fsys, name)
		})
	}
	const vol, copied = "volumes/000.00000001.0", "bitmaps/00000004.copied"
	for _, c := range []struct {
		title, name string
		f           func(*inode)
	}{
		{"meta cut", name, func(ino *inode) { ino.size /= 2 }},
		{"meta empty", name, func(ino *inode) { ino.size = 0 }},
		{"journal cut", "journal.0", func(ino *inode) { ino.size -= 5 }},
		{"journal header", "journal.1", flip(17)},
		{"bitmap header", copied, flip(20)},
		{"bitmap page", copied, flip(bitmap.Start + 100)},
		{"bitmap cut", copied, func(ino *inode) { ino.size = bitmap.Start }},
	} {
		t.Run(c.title, func(t *testing.T) {
			fsys := closedArray(t)
			damage(fsys, c.name, c.f)
			mustRefuse(t, fsys, c.name)
		})
	}
	for _, name := range []string{copied, "journal.0", name} {
		t.Run("missing "+name, func(t *testing.T) {
			fsys := closedArray(t)
			if err := fsys.Remove(name); err != nil {
				t.Fatal(err)
			}
			mustRefuse(t, fsys, name)
		})
	}
	for title, f := range map[string]func(*inode){
		"cut":    func(ino *inode) { ino.size = 1 << 20 },
		"header": flip(1<<20 + 20),
		"empty":  func(ino *inode) { ino.size = 0 },
	} {
		t.Run("volume "+title, func(t *testing.T) {
			fsys := closedArray(t)
			damage(fsys, vol, f)
			mustFail(t, fsys, vol)
		})
	}
	t.Run("missing "+vol, func(t *testing.T) {
		fsys := closedArray(t)
		if err := fsys.Remove(vol); err != nil {
			t.Fatal(err)
		}
		mustFail(t, fsys, vol)
	})
}

// TestDamagedJournal flips bits in what the journal of a killed array holds:
// the record is refused by name, unless nothing tells that it was durable.
func TestDamagedJournal(t *testing.T) {
	build := func() (*crashFS, string, int64) {
		fsys, a, _ := pairUp(t, arrayclient.Options{NoCopy: true})
		a.kill()
		j := a.store.Journal
		return fsys, disk.JournalName(j.Gen), j.Durable
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		fsys, name, end := build()
		off := disk.HeaderSize + rng.Int64N(end-disk.HeaderSize)
		damage(fsys, name, flip(off))
		a, err := Open(fsys, OpenOptions{})
		if err == nil {
			a.kill()
			t.Fatalf("the journal damaged at %d is read", off)
		}
		if !strings.Contains(err.Error(), name) {
			t.Fatalf("damaged at %d: %v", off, err)
		}
	}
}

// TestNewerVersion: a file of a newer format is refused by name.
func TestNewerVersion(t *testing.T) {
	fsys := closedArray(t)
	name, _ := newestMeta(t, fsys)
	for slot := range uint64(2) {
		damage(fsys, disk.MetaName(slot), func(ino *inode) {
			b := bytes.Clone(ino.newest(0))
			b[8]++
			ino.blocks[0] = []*diskBlock{{versions: [][]byte{b}, owners: 1}}
		})
	}
	_, err := Open(fsys, OpenOptions{})
	if err == nil || !strings.Contains(err.Error(), "format version 2") ||
		!strings.Contains(err.Error(), "meta.") {
		t.Fatalf("open %s of a newer version: %v", name, err)
	}
}
