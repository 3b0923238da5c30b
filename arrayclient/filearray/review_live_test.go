package filearray

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// hookFS calls hook before a search for data in the files of one volume.
type hookFS struct {
	*crashFS
	volume string
	hook   atomic.Pointer[func()]
}

type hookFile struct {
	disk.File
	fs *hookFS
}

func (h *hookFS) Open(name string) (disk.File, error) {
	f, err := h.crashFS.Open(name)
	if err == nil && strings.HasPrefix(name, disk.VolumeDir+"/"+h.volume) {
		f = &hookFile{f, h}
	}
	return f, err
}

func (f *hookFile) NextData(off, end int64) (int64, int64, error) {
	if hook := f.fs.hook.Swap(nil); hook != nil {
		(*hook)()
	}
	return f.File.NextData(off, end)
}

// TestExtentsOfImage: what becomes a hole in the source while the extents of
// the target are read is none in the target.
func TestExtentsOfImage(t *testing.T) {
	fsys := &hookFS{crashFS: newCrashFS(), volume: "000"}
	a := createTestArray(t, fsys)
	defer a.Close()
	v := mustCreate(t, a, 1<<20, 2)
	writeOnes(t, a, v[0], 1)
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	err := a.Establish(context.Background(), pairs, arrayclient.Options{NoCopy: true})
	if err != nil {
		t.Fatal(err)
	}
	source, target := mustOpen(t, a, v[0]), mustOpen(t, a, v[1])
	punch := func() {
		if err := source.Zero(0, 8*trackSize, true); err != nil {
			t.Error(err)
		}
	}
	fsys.hook.Store(&punch)
	var sum int64
	err = target.Extents(0, 1<<20, func(n int64, hole bool) bool {
		if hole {
			t.Errorf("%d bytes at %d are reported a hole", n, sum)
		}
		sum += n
		return true
	})
	if err != nil || sum != 1<<20 {
		t.Fatalf("the extents end at %d: %v", sum, err)
	}
}

// TestFreezeOutlivesCopy: a copy that is complete does not release the writes
// that a consistency group holds.
func TestFreezeOutlivesCopy(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		a := createTestArray(t, newCrashFS())
		v := mustCreate(t, a, 1<<20, 2)
		pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
		opts := arrayclient.Options{Freeze: true, Persistent: persistent}
		if err := a.Establish(context.Background(), pairs, opts); err != nil {
			t.Fatal(err)
		}
		waitComplete(t, a, v[1])
		time.Sleep(20 * time.Millisecond)
		if r := relOf(t, a, v[1]); r.State != arrayclient.StateFrozen {
			t.Fatalf("the relationship is %+v", r)
		}
		written := make(chan struct{})
		go func() {
			defer close(written)
			writeOnes(t, a, v[0], 1)
		}()
		select {
		case <-written:
			t.Fatal("the write does not wait")
		case <-time.After(50 * time.Millisecond):
		}
		if err := a.ConsistencyCreated(context.Background(), pairs); err != nil {
			t.Fatal(err)
		}
		<-written
		a.copies.Wait()
		if rels, _ := a.Relationships(context.Background()); len(rels) == 1 != persistent {
			t.Fatalf("after the release there is %v", rels)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// once makes one op on a file fail, the first that is called.
func once(op, name string, err error) func(string, string) error {
	done := false
	return func(o, n string) error {
		if done || o != op || n != name {
			return nil
		}
		done = true
		return err
	}
}

// TestCheckpointNotNoted: when the end of a checkpoint cannot be noted, no
// write fails, and the journal has no gap.
func TestCheckpointNotNoted(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	source := mustOpen(t, a, v[0])
	a.commitCheckpoint()
	<-a.current.done
	fsys.setFault(once("write", disk.JournalName(a.committer.journal.Gen), syscall.EIO))
	for i := range int64(4) {
		if _, err := source.WriteAt(make([]byte, 512), i*trackSize); err != nil {
			t.Fatal(err)
		}
		mustDestage(t, a, v[0])
	}
	a.kill()
	b := openTestArray(t, fsys.afterKill())
	defer b.kill()
	p := readAll(t, mustOpen(t, b, v[1]))
	if !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
		t.Fatal("the image changed")
	}
}

// fillJournal makes a checkpoint that does not succeed and leaves no room for
// more than that.
func fillJournal(a *Array, fsys *crashFS) {
	fsys.setFault(func(op, name string) error {
		if op == "write" && strings.HasPrefix(name, "meta.") {
			return errNoSpace
		}
		return nil
	})
	a.commitCheckpoint()
	<-a.current.done
	a.committer.commit(nil, nil, func() { a.committer.journal.Off = disk.JournalSize - 200 })
}

// TestStateFull: while there is no room for a checkpoint, nothing is lost, and
// when there is some again all goes on.
func TestStateFull(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	defer a.kill()
	fillJournal(a, fsys)
	source := mustOpen(t, a, v[0])
	if _, err := source.WriteAt(make([]byte, 512), 0); err != nil {
		t.Fatal(err)
	}
	if err := volumeOf(t, a, v[0]).log.Destage(); fault.KindOf(err) != fault.Server {
		t.Fatalf("destage: %v", err)
	}
	spec := arrayclient.VolumeSpec{Size: 1 << 20}
	if _, err := a.CreateVolumes(context.Background(), spec); err == nil {
		t.Fatal("a volume is created")
	}
	if names, _ := fsys.List(disk.VolumeDir); len(names) != 3 {
		t.Fatalf("left over: %v", names)
	}
	fsys.setFault(nil)
	mustDestage(t, a, v[0])
	if p := readAll(t, source); p[0] != 0 {
		t.Fatal("the staged write is lost")
	}
	mustCreate(t, a, 1<<20, 1)
	p := readAll(t, mustOpen(t, a, v[1]))
	if !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
		t.Fatal("the image changed")
	}
}

// TestCopyGoesOn: the background copy that met a full disk of checkpoints goes
// on when there is room.
func TestCopyGoesOn(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	defer a.kill()
	fillJournal(a, fsys)
	a.stateMu.Lock() // as BackgroundCopy does, which would be refused now
	for uid, rec := range a.state.Relationships {
		changed := *rec
		changed.Options.NoCopy = false
		a.state.Relationships[uid] = &changed
	}
	a.stateMu.Unlock()
	for _, r := range a.rels {
		a.resume(r)
	}
	time.Sleep(100 * time.Millisecond)
	if r := relOf(t, a, v[1]); r.State != arrayclient.StateCopying {
		t.Fatalf("the relationship is %+v", r)
	}
	fsys.setFault(nil)
	waitComplete(t, a, v[1])
}

// recorded makes two relationships with change recording, whose sources were
// written to since.
func recorded(t *testing.T) (*stallFS, *Array, []arrayclient.Serial, []arrayclient.Pair) {
	t.Helper()
	fsys := &stallFS{crashFS: newCrashFS()}
	a := createTestArray(t, fsys)
	v := mustCreate(t, a, 1<<20, 4)
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}, {Source: v[2], Target: v[3]}}
	err := a.Establish(context.Background(), pairs, arrayclient.Options{Record: true})
	if err != nil {
		t.Fatal(err)
	}
	a.copies.Wait()
	for range 2 { // the first time the writes are staged
		writeOnes(t, a, v[0], 2)
		writeOnes(t, a, v[2], 2)
		mustDestage(t, a, v[0])
		mustDestage(t, a, v[2])
	}
	return fsys, a, v, pairs
}

// TestResyncSourceFails: a source that cannot be made durable after the images
// were taken fails its own relationship, the others go on.
func TestResyncSourceFails(t *testing.T) {
	fsys, a, v, pairs := recorded(t)
	defer a.kill()
	syncs := 0
	fsys.setFault(func(op, name string) error {
		if op != "sync" || !strings.HasPrefix(name, disk.VolumeDir+"/000") {
			return nil
		}
		if syncs++; syncs > 1 {
			return syscall.EIO
		}
		return nil
	})
	begun, release := fsys.arm("sync", disk.VolumeDir+"/000")
	resynced := make(chan error, 1)
	go func() { resynced <- a.Resync(context.Background(), pairs) }()
	<-begun
	mustWrite(t, mustOpen(t, a, v[0]), 0, 512, 3) // a host writes before the instant
	release()
	if err := <-resynced; err == nil {
		t.Fatal("the resync did not notice")
	}
	a.copies.Wait()
	if r := relOf(t, a, v[1]); r.State != arrayclient.StateFailed {
		t.Fatalf("the first relationship is %+v", r)
	}
	if r := relOf(t, a, v[3]); r.State != arrayclient.StateComplete {
		t.Fatalf("the second relationship is %+v", r)
	}
}

// TestResyncRefused: a source that cannot be made durable before that has
// nothing refreshed: the images are what they were.
func TestResyncRefused(t *testing.T) {
	fsys, a, v, pairs := recorded(t)
	defer a.kill()
	fsys.setFault(failing("sync", "000", syscall.EIO))
	if err := a.Resync(context.Background(), pairs); fault.KindOf(err) != fault.Refused {
		t.Fatalf("the resync: %v", err)
	}
	fsys.setFault(nil)
	for _, target := range []arrayclient.Serial{v[1], v[3]} {
		if r := relOf(t, a, target); r.State != arrayclient.StateComplete || r.Changed == 0 {
			t.Fatalf("the relationship is %+v", r)
		}
		if p := readAll(t, mustOpen(t, a, target)); !bytes.Equal(p, make([]byte, len(p))) {
			t.Fatalf("the image on %s changed", target)
		}
	}
}
