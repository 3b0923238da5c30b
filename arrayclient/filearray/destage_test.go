package filearray

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

// fourAreas have room for one write of oneBlock and one of 4,000 bytes each.
var fourAreas = staging{areas: 4, area: stageStart + 8400, longest: 8 << 10, after: -1}

// fillAreas writes one byte after the other into track 0, each into an area of
// its own, and returns the last.
func fillAreas(t *testing.T, vol arrayclient.VolumeIO, count int) (last byte) {
	t.Helper()
	for i := range count {
		last = byte(10 + i)
		mustWrite(t, vol, 0, oneBlock, last)
		mustWrite(t, vol, int64(1+i), 4000, last)
	}
	return last
}

// TestAreasStayInOrder: while one area cannot be brought to the volume, those
// after it, which are on their way, wait for it.
func TestAreasStayInOrder(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, fourAreas)
	defer a.kill()
	vol := mustOpen(t, a, v[0])
	want := fillAreas(t, vol, 2)
	s := &volumeOf(t, a, v[0]).stage
	var once sync.Once
	fsys.setFault(writingSource(func() (err error) {
		once.Do(func() {
			waitTaken(t, s, 2)
			err = syscall.EIO
		})
		return err
	}))
	mustDestage(t, a, v[0]) // the second time got over the error
	if n := s.pending.Load(); n != 0 {
		t.Fatalf("%d tracks are still staged", n)
	}
	if p := readAll(t, vol); p[0] != want {
		t.Fatalf("track 0 has %d, not %d, which was written last", p[0], want)
	}
	if p := readAll(t, mustOpen(t, a, v[1])); !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
		t.Fatal("the image changed")
	}
}

// writingSource calls f before a write to the files of the first volume.
func writingSource(f func() error) func(op, name string) error {
	return func(op, name string) error {
		if op == "write" && strings.HasPrefix(name, disk.VolumeDir+"/000") {
			return f()
		}
		return nil
	}
}

// waitTaken waits until so many areas are being destaged.
func waitTaken(t *testing.T, s *stage, want int) {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		n := 0
		s.mu.Lock()
		for _, a := range s.areas {
			if a.state >= areaSealed {
				n++
			}
		}
		s.mu.Unlock()
		switch {
		case n >= want:
			return
		case time.Now().After(deadline):
			t.Errorf("%d areas are being destaged, not %d", n, want)
			return
		}
	}
}

// TestOrderAfterFull: once all areas were full and emptied, they are used in
// the order in which the next process reads them.
func TestOrderAfterFull(t *testing.T) {
	two := fourAreas
	two.areas = 2
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, two)
	vol, s := mustOpen(t, a, v[0]), &volumeOf(t, a, v[0]).stage
	fillAreas(t, vol, 2)
	var once sync.Once
	fsys.setFault(writingSource(func() error {
		once.Do(func() { waitTaken(t, s, 2) })
		return nil
	}))
	mustDestage(t, a, v[0])
	for i, b := range []byte{7, 8} {
		mustWrite(t, vol, 10, 4080-i, b)
		mustWrite(t, vol, 11, 4000, b)
	}
	a.kill()
	b := openStagingArray(t, fsys.afterKill(), two)
	defer b.kill()
	if p := readAll(t, mustOpen(t, b, v[0])); p[10*trackSize] != 8 {
		t.Fatalf("track 10 has %d, not 8, which was written last", p[10*trackSize])
	}
}

// TestHeldBack: while somebody waits for the stage to be empty, two areas are
// all that writes get.
func TestHeldBack(t *testing.T) {
	_, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, fourAreas)
	defer a.kill()
	vol, s := mustOpen(t, a, v[0]), &volumeOf(t, a, v[0]).stage
	used := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.usedAreas()
	}
	fillAreas(t, vol, 4)
	if n := used(); n != 4 {
		t.Fatalf("%d areas are used, not 4", n)
	}
	release := settleAll([]*volume{volumeOf(t, a, v[0])})
	if n := used(); n != 0 {
		t.Fatalf("%d areas are used after settling", n)
	}
	fillTracks := func(first int64) {
		for track := first; track < first+4; track++ {
			mustWrite(t, vol, track, oneBlock, 7)
			mustWrite(t, vol, track, 4000, 7)
		}
	}
	fillTracks(5)
	if n := used(); n != 2 {
		t.Fatalf("%d areas are used while held back, not 2", n)
	}
	mustDestage(t, a, v[0])
	for track := range int64(2) {
		mustWrite(t, vol, 9+track, 512, 7)
		s.mu.Lock()
		s.seal(func(a *area) bool { return a.state == areaOpen })
		s.mu.Unlock()
	}
	if hasRoom(volumeOf(t, a, v[0]), 512) {
		t.Fatal("a third area takes writes while held back")
	}
	release()
	mustDestage(t, a, v[0])
	fillTracks(12)
	if n := used(); n != 4 {
		t.Fatalf("%d areas are used after that, not 4", n)
	}
}

// mustSurvive looks at a track on what may be left when the power goes.
func mustSurvive(t *testing.T, fsys *crashFS, serial arrayclient.Serial, track int64, want byte) {
	t.Helper()
	eachDisk(t, fsys, 20, func(what string, _ *crashFS, b *Array) {
		defer b.kill()
		if got := readAll(t, mustOpen(t, b, serial))[track*trackSize]; got != want {
			t.Fatalf("%s: flushed %d, found %d", what, want, got)
		}
	})
}

// TestFlushOfDestaged: what no flush has promised is emptied from the stage
// without a sync; the next flush makes up for it.
func TestFlushOfDestaged(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol := mustOpen(t, a, v[0])
	mustWrite(t, vol, 3, oneBlock, 9)
	mustDestage(t, a, v[0])
	mustFlush(t, vol)
	a.kill()
	mustSurvive(t, fsys, v[0], 3, 9)
}

// TestFlushOfApplied: what was brought to the volume and still is in the stage
// is synced in the stage alone.
func TestFlushOfApplied(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol, source := mustOpen(t, a, v[0]), volumeOf(t, a, v[0])
	mustFlush(t, vol)
	mustWrite(t, vol, 3, oneBlock, 9)
	source.stage.wantAll()
	j := source.nextJob(0)
	err := source.saveArea(j)
	if err == nil {
		err = source.markArea(j)
	}
	if err == nil {
		err = source.applyTracks(j.i, j.tracks)
	}
	if err != nil {
		t.Fatal(err)
	}
	fsys.setFault(func(op, name string) error {
		if op == "sync" && strings.HasPrefix(name, disk.VolumeDir+"/000") {
			t.Error("the volume was synced")
		}
		return nil
	})
	mustFlush(t, vol)
	a.kill()
	fsys.setFault(nil)
	mustSurvive(t, fsys, v[0], 3, 9)
}

// TestTrimSparesHeaders: as long as it is not durable that an area is empty,
// nothing of what is in it is given back: it may come back.
func TestTrimSparesHeaders(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	defer a.kill()
	vol, source := mustOpen(t, a, v[0]), volumeOf(t, a, v[0])
	mustWrite(t, vol, 0, oneBlock, 2)
	mustFlush(t, vol)
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	if _, err := a.Withdraw(context.Background(), pairs); err != nil {
		t.Fatal(err)
	}
	fsys.setFault(func(op, name string) error {
		switch {
		case !strings.HasPrefix(name, disk.StageDir):
		case op == "sync":
			return syscall.EIO
		case op == "punch":
			t.Error("the stage was trimmed")
		}
		return nil
	})
	if err := source.destage(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("destage: %v", err)
	}
	if err := source.trimStage(); err != nil {
		t.Fatal(err)
	}
}

// TestStagedAfterDirect: while a write that needs no saving is on its way, one
// that overlaps it is not staged: which of them is the last would change when
// the staged one is applied.
func TestStagedAfterDirect(t *testing.T) {
	_, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	defer a.kill()
	vol, source := mustOpen(t, a, v[0]), volumeOf(t, a, v[0])
	mustWrite(t, vol, 0, 512, 2)
	mustDestage(t, a, v[0]) // track 0 is saved
	const off = trackSize - 4096
	source.gate.RLock()
	how, err := source.put(make([]byte, 4096), off)
	source.gate.RUnlock()
	if how != pastStage || err != nil {
		t.Fatalf("the first write: %d, %v", how, err)
	}
	if _, err := vol.WriteAt(make([]byte, 8192), off); err != nil {
		t.Fatal(err)
	}
	if n := source.stage.pending.Load(); n != 0 {
		t.Fatalf("the second write is staged in %d tracks", n)
	}
	source.passed(off, 4096)
}

// TestHeadersFirst: as long as the new header of an emptied area is not
// durable, the area takes no writes and no other one is emptied.
func TestHeadersFirst(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol := mustOpen(t, a, v[0])
	mustWrite(t, vol, 0, oneBlock, 2)
	mustFlush(t, vol)
	a.kill()
	b := openStagingArray(t, fsys.afterKill(), stay) // gives the other area a new header
	defer b.kill()
	source := volumeOf(t, b, v[0])
	s := &source.stage
	if hasRoom(source, 512) {
		t.Error("an area takes writes whose header is not durable")
	}
	s.wantAll()
	if next, err := source.recycle(source.nextJob(0).i, true); next != syncStageFirst || err != nil {
		t.Errorf("an area is emptied before that: %d, %v", next, err)
	}
	if err := source.syncStaged(); err != nil {
		t.Fatal(err)
	}
	if !hasRoom(source, 512) {
		t.Error("there is no room when it is durable")
	}
}

func hasRoom(v *volume, n int) bool {
	v.stage.mu.Lock()
	defer v.stage.mu.Unlock()
	return v.stage.room(n)
}
