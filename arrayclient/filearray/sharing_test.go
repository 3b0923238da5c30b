package filearray

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/bitmap"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

// countedVolume returns a volume of h, and how often others had it synced.
func countedVolume(h *sharing, uid uint64, partners ...uint64) (*sharer, *atomic.Int64) {
	v, syncs := &volume{uid: uid}, new(atomic.Int64)
	v.join(h, &disk.VolumeRecord{UID: uid, Shares: partners}, 1)
	v.share.synced()
	v.share.sync = func() error {
		syncs.Add(1)
		v.share.beginSync(bitmap.Range{First: 0, N: 1 << 20})()
		return nil
	}
	return v.share, syncs
}

// touch changes one track.
func (s *sharer) touch(track int64) { s.release(s.claim(track*trackSize, 1)) }

func TestPartnersAreSyncedBeforeAChange(t *testing.T) {
	h := newSharing()
	a, aSyncs := countedVolume(h, 1, 2)
	b, bSyncs := countedVolume(h, 2, 1)
	stranger, _ := countedVolume(h, 3, 4)
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

// TestPartnerIsSyncedWithoutGate: while a partner that shares blocks is synced before
// a change, the volume to be changed is free for acts.
func TestPartnerIsSyncedWithoutGate(t *testing.T) {
	fsys := &stallFS{crashFS: newCrashFS(), clones: true}
	a := createTestArray(t, fsys)
	defer a.kill()
	v := mustCreate(t, a, 1<<20, 2)
	writeOnes(t, a, v[0], 1)
	pair := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	if err := a.Establish(t.Context(), pair, arrayclient.Options{}); err != nil {
		t.Fatal(err)
	}
	a.copies.Wait()
	if volumeOf(t, a, v[0]).share.alone() {
		t.Fatal("the volumes share nothing")
	}
	for _, what := range []struct {
		name string
		do   func(arrayclient.VolumeIO) error
	}{
		{"write", func(vol arrayclient.VolumeIO) error {
			_, err := vol.WriteAt([]byte{3}, 3*trackSize)
			return err
		}},
		{"zero", func(vol arrayclient.VolumeIO) error { return vol.Zero(3*trackSize, trackSize, true) }},
	} {
		for i := range 2 {
			vol, partner, gate := mustOpen(t, a, v[i]), mustOpen(t, a, v[1-i]), &volumeOf(t, a, v[i]).gate
			mustFlush(t, vol)
			mustFlush(t, partner)
			mustWrite(t, partner, 3, 512, 2)
			begun, release := fsys.arm("sync", disk.SegmentName(a.volumeRecord(uint16(1-i)), 0))
			done, locked := make(chan error, 1), make(chan struct{})
			go func() { done <- what.do(vol) }()
			<-begun
			go func() {
				gate.Lock()
				defer gate.Unlock()
				close(locked)
			}()
			select {
			case <-locked:
			case <-time.After(10 * time.Second):
				t.Errorf("%s of volume %d: its gate is held while its partner is synced", what.name, i)
			}
			release()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestChangeDuringSync: what is changed while a sync runs stays claimed.
func TestChangeDuringSync(t *testing.T) {
	h := newSharing()
	a, _ := countedVolume(h, 1, 2)
	b, _ := countedVolume(h, 2, 1)
	a.touch(1)
	under := a.claim(2*trackSize, 1)
	end := a.beginSync(bitmap.Range{First: 0, N: 10})
	a.release(under)
	a.touch(3)
	if !end() {
		t.Error("the sync says that nothing is left to sync")
	}
	for track, want := range map[int64]bool{1: false, 2: true, 3: true} {
		rival, busy := h.rival(&claimant{b, bitmap.Range{First: track, N: 1}})
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
	h := newSharing()
	a, _ := countedVolume(h, 1, 2)
	b, _ := countedVolume(h, 2, 1)
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
	h := newSharing()
	a, _ := countedVolume(h, 1, 2)
	b, _ := countedVolume(h, 2, 1)
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
	h := newSharing()
	a, aSyncs := countedVolume(h, 1, 2)
	b, _ := countedVolume(h, 2, 1)
	h.unsure[a] = true
	a.sure.Store(false)
	count := a.sync
	a.sync = func() error { a.synced(); return count() }
	b.touch(0)
	b.touch(1)
	if n := aSyncs.Load(); n != 1 {
		t.Errorf("a was synced %d times", n)
	}
}

// shares returns whose blocks volumes may share, by volume id.
func shares(s *disk.State) map[uint16][]uint64 {
	m := map[uint16][]uint64{}
	for id, v := range s.Volumes {
		if len(v.Shares) > 0 {
			m[id] = v.Shares
		}
	}
	return m
}

func TestWhoSharesIsNoted(t *testing.T) {
	s := disk.NewState()
	apply := func(kind disk.RecordType, v any) {
		t.Helper()
		if err := s.Apply(disk.JSONRecord(kind, v)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want map[uint16][]uint64) {
		t.Helper()
		got := shares(s)
		if len(got) != len(want) {
			t.Fatalf("%s: %v, not %v", what, got, want)
		}
		for id, list := range want {
			if !slices.Equal(got[id], list) {
				t.Fatalf("%s: %v, not %v", what, got, want)
			}
		}
	}
	for id := range uint16(5) { // the uid is one more
		apply(disk.RecVolumesCreated, []disk.VolumeRecord{{ID: id, UID: uint64(id) + 1, Size: 1 << 20}})
	}
	establish := func(uid uint64, source, target uint16, share bool) {
		t.Helper()
		apply(disk.RecEstablished, []disk.RelationshipRecord{{UID: uid, Source: source, Target: target}})
		if share {
			apply(disk.RecSharing, uid)
		}
	}
	end := func(uid uint64, outcome arrayclient.Outcome) {
		t.Helper()
		apply(disk.RecEnded, []disk.End{{UID: uid, Outcome: outcome}})
	}
	establish(10, 0, 1, true)
	expect("one pair", map[uint16][]uint64{0: {2}, 1: {1}})
	end(10, arrayclient.OutcomeComplete)
	expect("sharing outlives the pair", map[uint16][]uint64{0: {2}, 1: {1}})
	establish(11, 1, 2, true)
	expect("the copy of a copy", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2}})
	end(11, arrayclient.OutcomeUndefined)
	establish(12, 3, 2, false)
	expect("not shared yet", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2}})
	apply(disk.RecSharing, 12)
	expect("two sources", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2, 4}, 3: {3}})
	label := *s.Volumes[2]
	label.Label, label.Shares = "label", nil
	apply(disk.RecVolumeChanged, label)
	expect("a label", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2, 4}, 3: {3}})
	apply(disk.RecReplaced, []disk.Replacement{{Old: 12, New: &disk.RelationshipRecord{UID: 13, Source: 3, Target: 2}}})
	end(13, arrayclient.OutcomeComplete)
	expect("a refresh copies in part", map[uint16][]uint64{0: {2, 3}, 1: {1, 3}, 2: {1, 2, 4}, 3: {3}})
	establish(14, 3, 2, false)
	end(14, arrayclient.OutcomeComplete)
	expect("copied all over", map[uint16][]uint64{0: {2}, 1: {1}, 2: {4}, 3: {3}})
	apply(disk.RecVolumeDeleted, s.Volumes[0])
	expect("deleted", map[uint16][]uint64{2: {4}, 3: {3}})
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
	partners := func(x, y int) bool {
		at := func(i int) *sharer { return a.volumes[v[i].VolumeID()].share }
		return at(x).partnerOf(at(y))
	}
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
	a.state.SharingSince = 0 // as versions left it that did not know of sharing
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openTestArray(t, fsys)
	expect("of an older version", true)
	late := mustCreate(t, a, 1<<20, 1)
	if partnerOf := a.volumes[late[0].VolumeID()].share.partnerOf; partnerOf(a.volumes[v[0].VolumeID()].share) {
		t.Error("a new volume counts as an old one")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	fsys.noClone = true
	a = openTestArray(t, fsys)
	defer a.Close()
	if !a.cannotClone.Load() || a.state.SharingSince == 0 {
		t.Error("it is not noticed that the file system shares no blocks")
	}
}
