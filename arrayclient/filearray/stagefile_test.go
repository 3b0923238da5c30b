package filearray

import (
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/writelog"
)

// TestAreaReused: an area that was emptied, and written to again, leaves
// nothing of what was flushed in it to a power cut, neither half of it nor
// what looks like damage.
func TestAreaReused(t *testing.T) {
	for name, flushBetween := range map[string]bool{"one flush": false, "two flushes": true} {
		t.Run(name, func(t *testing.T) {
			fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
			vol := mustOpen(t, a, v[0])
			mustWrite(t, vol, 0, oneBlock, 2)
			if flushBetween {
				mustFlush(t, vol)
			}
			mustWrite(t, vol, 0, oneBlock-8, 3) // does not cover the first
			mustFlush(t, vol)
			mustDestage(t, a, v[0])
			mustWrite(t, vol, 2, oneBlock, 4)
			mustDestage(t, a, v[0])
			mustWrite(t, vol, 4, oneBlock, 5)
			mustWrite(t, vol, 5, oneBlock, 6)
			a.kill()
			eachDisk(t, fsys, 60, func(what string, _ *crashFS, b *Array) {
				defer b.kill()
				if p := readAll(t, mustOpen(t, b, v[0])); p[0] != 3 {
					t.Fatalf("%s: flushed 3, found %d", what, p[0])
				}
			})
		})
	}
}

// TestUndoneStaysUndone: of two writes a power cut undoes the first, whose
// record stood before the other's. The other does not come back when the place
// of the first is filled again.
func TestUndoneStaysUndone(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol := mustOpen(t, a, v[0])
	mustWrite(t, vol, 0, oneBlock, 1)
	mustFlush(t, vol) // else the file itself is not there
	mustDestage(t, a, v[0])
	mustWrite(t, vol, 2, oneBlock, 2)
	mustWrite(t, vol, 3, oneBlock, 3)
	a.kill()
	eachDisk(t, fsys, 60, func(what string, disk *crashFS, b *Array) {
		vol := mustOpen(t, b, v[0])
		before := readAll(t, vol)
		for track := int64(7); track < 9; track++ { // one in each area
			mustWrite(t, vol, track, oneBlock, 9)
			if track == 7 {
				mustDestage(t, b, v[0])
			}
		}
		b.kill()
		c := openStagingArray(t, disk.afterKill(), stay)
		defer c.kill()
		after := readAll(t, mustOpen(t, c, v[0]))
		if x, y := before[3*trackSize], after[3*trackSize]; x != y {
			t.Fatalf("%s: track 3 had %d and has %d now", what, x, y)
		}
	})
}

// TestForgedRecords: what hosts write may look like records of a stage, and
// passes for none.
func TestForgedRecords(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol := mustOpen(t, a, v[0])
	var p []byte
	for gen := uint64(1); len(p) < 60<<10; gen++ {
		p = disk.AppendRecord(p, gen%64, 1<<30, disk.RecStaged)
	}
	for i := range int64(12) {
		if _, err := vol.WriteAt(p, i*trackSize); err != nil {
			t.Fatal(err)
		}
	}
	mustDestage(t, a, v[0])
	for track := int64(13); track < 15; track++ {
		mustWrite(t, vol, track, 512, 1)
		mustDestage(t, a, v[0])
	}
	a.kill()
	openStagingArray(t, fsys.afterKill(), stay).kill()
}

// TestMissingStage: a stage file that a flush has counted on is missed.
func TestMissingStage(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol := mustOpen(t, a, v[0])
	mustWrite(t, vol, 0, 512, 2)
	mustFlush(t, vol)
	name := disk.StageName(volumeOf(t, a, v[0]).id, volumeOf(t, a, v[0]).uid)
	a.kill()
	if err := fsys.Remove(name); err != nil {
		t.Fatal(err)
	}
	mustFail(t, fsys, name)
}

// TestSmallAreas: a write that fits into no area of the file that is there
// goes past it.
func TestSmallAreas(t *testing.T) {
	small := writelog.Measures{Areas: 2, Area: 80 << 10, Longest: 48 << 10, After: -1}
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, small)
	mustWrite(t, mustOpen(t, a, v[0]), 0, 512, 2)
	a.kill()
	b := openTestArray(t, fsys.afterKill())
	defer b.kill()
	done := make(chan bool)
	go func() {
		mustOpen(t, b, v[0]).WriteAt(make([]byte, 256<<10), 4*trackSize)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the write never returns")
	}
}

// TestClosedStageGoes: after a clean end nothing of a stage is left, and nobody
// misses it.
func TestClosedStageGoes(t *testing.T) {
	fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
	vol := mustOpen(t, a, v[0])
	mustWrite(t, vol, 0, 512, 2)
	mustFlush(t, vol)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if names, err := fsys.List(disk.StageDir); err != nil || len(names) > 0 {
		t.Fatalf("left over: %v, %v", names, err)
	}
	b := openStagingArray(t, fsys, stay)
	defer b.kill()
	if p := readAll(t, mustOpen(t, b, v[0])); p[0] != 2 {
		t.Fatal("the staged write is lost")
	}
}
