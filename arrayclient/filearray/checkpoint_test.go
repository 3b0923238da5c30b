package filearray

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/disk"
)

// TestCheckpointNotNoted: when the end of a checkpoint cannot be noted, no
// write fails, and the journal has no gap.
func TestCheckpointNotNoted(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	source := mustOpen(t, a, v[0])
	a.commitCheckpoint()
	<-a.store.Current.Done
	fsys.setFault(once("write", disk.JournalName(a.store.Journal.Gen), syscall.EIO))
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
	<-a.store.Current.Done
	a.store.Commit(nil, nil, func() { a.store.Journal.Off = disk.JournalSize - 200 })
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
	var changes []disk.RelationshipChange // of BackgroundCopy, which would be refused now
	for uid := range a.store.State.Relationships {
		changes = append(changes, disk.RelationshipChange{UID: uid, Copy: true})
	}
	a.store.Apply(disk.JSONRecord(disk.RecChanged, changes))
	for _, r := range a.rels {
		resume(r)
	}
	time.Sleep(100 * time.Millisecond)
	if r := relOf(t, a, v[1]); r.State != arrayclient.StateCopying {
		t.Fatalf("the relationship is %+v", r)
	}
	fsys.setFault(nil)
	waitComplete(t, a, v[1])
}
