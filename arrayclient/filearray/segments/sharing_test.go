package segments

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
)

// counted returns a volume of f, and how often others had it synced.
func counted(f *Folder, uid uint64, partners ...uint64) (*sharer, *atomic.Int64) {
	syncs := new(atomic.Int64)
	s := f.NewData(&disk.VolumeRecord{UID: uid, Shares: partners}, 1, nil).share
	s.synced()
	s.sync = func() error {
		syncs.Add(1)
		s.beginSync(bitmap.Range{First: 0, N: 1 << 20})()
		return nil
	}
	return s, syncs
}

// touch changes one track.
func (s *sharer) touch(track int64) { s.release(s.claim(track*trackSize, 1)) }

func TestPartnersAreSyncedBeforeAChange(t *testing.T) {
	f := NewFolder(nil, "13698", nil)
	a, aSyncs := counted(f, 1, 2)
	b, bSyncs := counted(f, 2, 1)
	stranger, _ := counted(f, 3, 4)
	expect := func(what string, ofA, ofB int64) {
		t.Helper()
		if aSyncs.Load() != ofA || bSyncs.Load() != ofB {
			t.Fatalf("%s: a was synced %d times, b %d times, not %d and %d",
				what, aSyncs.Load(), bSyncs.Load(), ofA, ofB)
		}
	}
	a.touch(5)
	a.touch(5)
	stranger.touch(5)
	b.touch(6)
	expect("nothing is in the way of anything", 0, 0)
	b.touch(5)
	expect("b after a", 1, 0)
	b.touch(5)
	expect("b again", 1, 0)
	a.touch(5)
	expect("a after b", 1, 1)
	a.sync()
	b.release(b.claim(4*trackSize+1, 3*trackSize))
	expect("a was synced by itself", 2, 1)
}

// TestChangeDuringSync: what is changed while a sync runs stays claimed.
func TestChangeDuringSync(t *testing.T) {
	f := NewFolder(nil, "13698", nil)
	a, _ := counted(f, 1, 2)
	b, _ := counted(f, 2, 1)
	a.touch(1)
	under := a.claim(2*trackSize, 1)
	end := a.beginSync(bitmap.Range{First: 0, N: 10})
	a.release(under)
	a.touch(3)
	if !end() {
		t.Error("the sync says that nothing is left to sync")
	}
	for track, want := range map[int64]bool{1: false, 2: true, 3: true} {
		rival, busy := f.sharing.rival(&claimant{b, bitmap.Range{First: track, N: 1}})
		if rival != nil != want || busy {
			t.Errorf("track %d: claimed %t, being changed %t", track, rival != nil, busy)
		}
	}
	if end := a.beginSync(bitmap.Range{First: 0, N: 10}); end() {
		t.Error("the next sync left claims")
	}
}

// TestClaimantsTakeTurns: who waits for a track that a partner changes all the
// time gets it.
func TestClaimantsTakeTurns(t *testing.T) {
	f := NewFolder(nil, "13698", nil)
	a, _ := counted(f, 1, 2)
	b, _ := counted(f, 2, 1)
	var stop atomic.Bool
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for !stop.Load() {
				a.touch(7)
			}
		})
	}
	served := make(chan struct{})
	go func() {
		for range 100 {
			b.touch(7)
		}
		close(served)
	}()
	select {
	case <-served:
	case <-time.After(30 * time.Second):
		t.Error("100 changes are not done in 30 s")
	}
	stop.Store(true)
	running.Wait()
}

// TestFailedPartner: a volume that cannot be synced keeps nobody waiting.
func TestFailedPartner(t *testing.T) {
	f := NewFolder(nil, "13698", nil)
	a, _ := counted(f, 1, 2)
	b, _ := counted(f, 2, 1)
	a.touch(0)
	a.sync = func() error {
		a.leave()
		return errors.New("the disk is gone")
	}
	b.touch(0)
	a.touch(0)
	b.touch(0)
}

// TestUnsureUntilSynced: nobody knows what the process before left unsynced.
func TestUnsureUntilSynced(t *testing.T) {
	f := NewFolder(nil, "13698", nil)
	a, aSyncs := counted(f, 1, 2)
	b, _ := counted(f, 2, 1)
	f.sharing.unsure[a] = true
	a.sure.Store(false)
	count := a.sync
	a.sync = func() error { a.synced(); return count() }
	b.touch(0)
	b.touch(1)
	if n := aSyncs.Load(); n != 1 {
		t.Errorf("a was synced %d times", n)
	}
}
