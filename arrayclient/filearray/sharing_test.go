package filearray

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

// TestPartnerIsSyncedWithoutGate: while a partner that shares blocks is synced before
// a change, the volume to be changed is free for acts.
func TestPartnerIsSyncedWithoutGate(t *testing.T) {
	fsys := &stallFS{crashFS: newCrashFS(), clones: true}
	a := createTestArray(t, fsys)
	defer a.kill()
	v := mustCreate(t, a, 1<<20, 3)
	writeOnes(t, a, v[0], 1)
	pair := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	if err := a.Establish(t.Context(), pair, arrayclient.Options{}); err != nil {
		t.Fatal(err)
	}
	a.copies.Wait()
	if !volumeOf(t, a, v[0]).data.Shares() {
		t.Fatal("the volumes share nothing")
	}
	// change has one of the volumes changed where the other has changes that are not
	// synced.
	change := func(what string, i int, do func(arrayclient.VolumeIO) error) {
		t.Helper()
		vol, partner, gate := mustOpen(t, a, v[i]), mustOpen(t, a, v[1-i]), &volumeOf(t, a, v[i]).gate
		mustFlush(t, vol)
		mustFlush(t, partner)
		mustWrite(t, partner, 3, 512, 2)
		begun, release := fsys.arm("sync", disk.SegmentName(a.store.VolumeRecord(uint16(1-i)), 0))
		done, locked := make(chan error, 1), make(chan struct{})
		go func() { done <- do(vol) }()
		<-begun
		go func() {
			gate.Lock()
			defer gate.Unlock()
			close(locked)
		}()
		select {
		case <-locked:
		case <-time.After(10 * time.Second):
			t.Errorf("%s of volume %d: its gate is held while its partner is synced", what, i)
		}
		release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	write := func(vol arrayclient.VolumeIO) error {
		_, err := vol.WriteAt([]byte{3}, 3*trackSize)
		return err
	}
	for i := range 2 {
		change("write", i, write)
		change("zero", i, func(vol arrayclient.VolumeIO) error {
			return vol.Zero(3*trackSize, trackSize, true)
		})
	}
	pair[0].Target = v[2]
	if err := a.Establish(t.Context(), pair, arrayclient.Options{NoCopy: true}); err != nil {
		t.Fatal(err)
	}
	change("destaging", 0, func(vol arrayclient.VolumeIO) error {
		return errors.Join(write(vol), volumeOf(t, a, v[0]).log.Destage())
	})
}

// TestSharingOutlivesTheProcess opens an array anew whose volumes share blocks,
// and one in which nothing is noted yet.
func TestSharingOutlivesTheProcess(t *testing.T) {
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	v := mustCreate(t, a, 2<<20, 3)
	source := mustOpen(t, a, v[0])
	if _, err := source.WriteAt(bytes.Repeat([]byte{1}, 2<<20), 0); err != nil {
		t.Fatal(err)
	}
	pair := arrayclient.Pair{Source: v[0], Target: v[1]}
	err := a.Establish(context.Background(), []arrayclient.Pair{pair}, arrayclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a.copies.Wait()
	// inTheWay reports whether a change of y that is not synced is in the way of x.
	inTheWay := func(x, y arrayclient.Serial) bool {
		t.Helper()
		of, by := volumeOf(t, a, x).data, volumeOf(t, a, y).data
		if err := errors.Join(of.Sync(), by.Sync()); err != nil {
			t.Fatal(err)
		}
		if err := by.WriteAt([]byte{1}, 0); err != nil {
			t.Fatal(err)
		}
		blocked := of.Blocked(0, 1)
		if err := by.Sync(); err != nil {
			t.Fatal(err)
		}
		return blocked
	}
	partners := func(x, y int) bool { return inTheWay(v[x], v[y]) }
	expect := func(what string, other bool) {
		t.Helper()
		if !partners(0, 1) || !partners(1, 0) || partners(0, 2) != other || partners(2, 1) != other {
			t.Errorf("%s: not who shares blocks", what)
		}
	}
	expect("after the copy", false)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openTestArray(t, fsys)
	expect("opened again", false)
	a.store.State.SharingSince = 0 // as versions left it that did not know of sharing
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openTestArray(t, fsys)
	expect("of an older version", true)
	late := mustCreate(t, a, 1<<20, 1)
	if inTheWay(v[0], late[0]) {
		t.Error("a new volume counts as an old one")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	fsys.noClone = true
	a = openTestArray(t, fsys)
	defer a.Close()
	if !a.cannotClone.Load() || a.store.State.SharingSince == 0 {
		t.Error("it is not noticed that the file system shares no blocks")
	}
}
