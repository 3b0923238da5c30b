package filearray

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/writelog"

	"copyservices/arrayclient"
)

// fourAreas have room for one write of oneBlock and one of 4,000 bytes each.
var fourAreas = writelog.Measures{Areas: 4, Area: 4096 + 8400, Longest: 8 << 10, After: -1}

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
	var once sync.Once
	l := volumeOf(t, a, v[0]).log
	fsys.setFault(writingSource(func() (err error) {
		once.Do(func() {
			waitSealed(t, l, 2)
			err = syscall.EIO
		})
		return err
	}))
	mustDestage(t, a, v[0]) // the second time got over the error
	if n := l.Tracks(); n != 0 {
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

// waitSealed waits until so many areas are being destaged.
func waitSealed(t *testing.T, l *writelog.Log, want int) {
	for deadline := time.Now().Add(5 * time.Second); l.Sealed() < want; {
		if time.Now().After(deadline) {
			t.Errorf("%d areas are being destaged, not %d", l.Sealed(), want)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestOrderAfterFull: once all areas were full and emptied, they are used in
// the order in which the next process reads them.
func TestOrderAfterFull(t *testing.T) {
	two := fourAreas
	two.Areas = 2
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, two)
	vol, l := mustOpen(t, a, v[0]), volumeOf(t, a, v[0]).log
	fillAreas(t, vol, 2)
	var once sync.Once
	fsys.setFault(writingSource(func() error {
		once.Do(func() { waitSealed(t, l, 2) })
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

// TestFlushOfApplied: what was brought to the volume and still is in the log
// is synced in the log alone.
func TestFlushOfApplied(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol, source := mustOpen(t, a, v[0]), volumeOf(t, a, v[0])
	mustFlush(t, vol)
	mustWrite(t, vol, 3, oneBlock, 9)
	// Who reads what is logged holds up that the area is emptied.
	reading, applied, flushed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys.setFault(func(op, name string) error {
		ofSource := strings.HasPrefix(name, disk.VolumeDir+"/000")
		switch {
		case ofSource && op == "write":
			once.Do(func() { close(applied) })
		case ofSource && op == "sync":
			t.Error("the volume was synced")
		}
		return nil
	})
	var running sync.WaitGroup
	running.Go(func() {
		source.log.Read(make([]byte, 512), 3*trackSize, func() error {
			close(reading)
			<-flushed
			return nil
		})
	})
	<-reading
	running.Go(func() { mustDestage(t, a, v[0]) })
	<-applied
	time.Sleep(20 * time.Millisecond) // the write itself
	mustFlush(t, vol)
	fsys.setFault(nil)
	mustSurvive(t, fsys, v[0], 3, 9)
	close(flushed)
	running.Wait()
	a.kill()
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
	if how != pastLog || err != nil {
		t.Fatalf("the first write: %d, %v", how, err)
	}
	if _, err := vol.WriteAt(make([]byte, 8192), off); err != nil {
		t.Fatal(err)
	}
	if n := source.log.Tracks(); n != 0 {
		t.Fatalf("the second write is staged in %d tracks", n)
	}
	source.log.Passed(off, 4096)
}

// TestEmptiedLogStaysEmpty: what a volume's log held does not come back after a power cut
// over what was copied to the volume since.
func TestEmptiedLogStaysEmpty(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol, ctx := mustOpen(t, a, v[0]), context.Background()
	mustWrite(t, vol, 3, oneBlock, 9)
	mustFlush(t, vol)
	mustDestage(t, a, v[0])
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	if _, err := a.Withdraw(ctx, pairs); err != nil {
		t.Fatal(err)
	}
	writeOnes(t, a, v[1], 7)
	back := []arrayclient.Pair{{Source: v[1], Target: v[0]}}
	if err := a.Establish(ctx, back, arrayclient.Options{Persistent: true}); err != nil {
		t.Fatal(err)
	}
	waitComplete(t, a, v[0])
	a.kill()
	eachDisk(t, fsys, 20, func(what string, _ *crashFS, b *Array) {
		defer b.kill()
		mustDestage(t, b, v[0])
		if got := readAll(t, mustOpen(t, b, v[0]))[3*trackSize]; got != 7 {
			t.Fatalf("%s: copied 7, found %d", what, got)
		}
	})
}

// TestImageOfAnOpenLog: no image is taken while something is logged.
func TestImageOfAnOpenLog(t *testing.T) {
	_, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	defer a.kill()
	source := []*volume{volumeOf(t, a, v[0])}
	if err := checkEmptied(source); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, mustOpen(t, a, v[0]), 3, oneBlock, 9)
	if err := checkEmptied(source); fault.KindOf(err) != fault.Server {
		t.Fatalf("something is logged: %v", err)
	}
}
