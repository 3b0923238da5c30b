package filearray

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/writelog"

	"copyservices/arrayclient"
)

// TestStageUnderLoad has writers share tracks, each with sectors of its own
// that it reads back at once, while images are taken and given up and the
// stage is full again and again. In the end everything is there, also after
// the process was killed.
func TestStageUnderLoad(t *testing.T) {
	const writers, size = 6, 4 << 20
	fsys, err := disk.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	small := writelog.Measures{Areas: 4, Area: 64 << 10, Longest: 32 << 10, After: 2 * time.Millisecond}
	a := createStagingArray(t, fsys, small)
	v := mustCreate(t, a, size, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var running sync.WaitGroup
	want := make([]byte, size) // each writer's sectors are its own
	for w := range writers {
		running.Go(func() { writeOwnSectors(ctx, t, mustOpen(t, a, v[0]), want, w, writers) })
	}
	running.Go(func() {
		flusher := mustOpen(t, a, v[0])
		for ctx.Err() == nil {
			if err := flusher.Flush(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for ctx.Err() == nil {
		pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}, {Source: v[0], Target: v[2]}}
		err := a.Establish(context.Background(), pairs, arrayclient.Options{NoCopy: true})
		if err != nil {
			t.Fatal(err)
		}
		checkStaysSame(t, mustOpen(t, a, v[1]))
		if _, err := a.Withdraw(context.Background(), pairs); err != nil {
			t.Fatal(err)
		}
	}
	running.Wait()
	if !bytes.Equal(readAll(t, mustOpen(t, a, v[0])), want) {
		t.Error("the source lost writes")
	}
	a.kill()
	b := openStagingArray(t, fsys, small)
	defer b.Close()
	if !bytes.Equal(readAll(t, mustOpen(t, b, v[0])), want) {
		t.Error("the source lost writes when the process was killed")
	}
}

// writeOwnSectors writes to sectors of which number i%of is w.
func writeOwnSectors(
	ctx context.Context, t *testing.T, vol arrayclient.VolumeIO, want []byte, w, of int,
) {
	rng := rand.New(rand.NewPCG(uint64(w), 7))
	mine := len(want) / sectorSize / of
	p, got := make([]byte, sectorSize), make([]byte, sectorSize)
	for n := uint64(1); ctx.Err() == nil; n++ {
		off := int64(rng.IntN(mine)*of+w) * sectorSize
		binary.LittleEndian.PutUint64(p, n)
		binary.LittleEndian.PutUint64(p[sectorSize-8:], uint64(w))
		if _, err := vol.WriteAt(p, off); err != nil {
			t.Error(err)
			return
		}
		copy(want[off:], p)
		if _, err := vol.ReadAt(got, off); err != nil || !bytes.Equal(got, p) {
			t.Errorf("writer %d reads something else than it wrote at %d: %v", w, off, err)
			return
		}
	}
}

// checkStaysSame reads an image twice with a pause.
func checkStaysSame(t *testing.T, vol arrayclient.VolumeIO) {
	t.Helper()
	first := readAll(t, vol)
	time.Sleep(20 * time.Millisecond)
	if !bytes.Equal(readAll(t, vol), first) {
		t.Error("the image changed")
	}
}

// TestStagedAndPastTheStage: long writes, zeroing and the extents of a volume
// see what is staged.
func TestStagedAndPastTheStage(t *testing.T) {
	_, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	defer a.Close()
	vol := mustOpen(t, a, v[0])
	want := readAll(t, vol)
	write := func(off int64, n int, b byte) {
		t.Helper()
		p := bytes.Repeat([]byte{b}, n)
		if _, err := vol.WriteAt(p, off); err != nil {
			t.Fatal(err)
		}
		copy(want[off:], p)
	}
	check := func(what string) {
		t.Helper()
		if !bytes.Equal(readAll(t, vol), want) {
			t.Fatalf("%s: the volume is not what was written", what)
		}
	}
	write(100, 1000, 2)
	write(600, 1000, 3)
	write(trackSize-10, 20, 4)
	check("staged")
	if err := vol.Zero(800, 100, true); err != nil {
		t.Fatal(err)
	}
	clear(want[800:900])
	check("zeroed")
	write(300<<10, 10, 5)
	hole := false
	if err := vol.Extents(300<<10, 10, func(_ int64, h bool) bool { hole = h; return true }); err != nil || hole {
		t.Fatalf("staged data is reported as a hole (%t), %v", hole, err)
	}
	a.measures.Longest = 100
	write(299<<10, 2048, 6)
	check("written past the stage")
	mustDestage(t, a, v[0])
	check("destaged")
	if p := readAll(t, mustOpen(t, a, v[1])); !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
		t.Fatal("the image changed")
	}
}

// TestNoStage: where there is no room for a stage, writes go without.
func TestNoStage(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	defer a.Close()
	fsys.setFault(func(op, name string) error {
		if strings.HasPrefix(name, disk.StageDir) {
			return errNoSpace
		}
		return nil
	})
	writeOnes(t, a, v[0], 2)
	if p := readAll(t, mustOpen(t, a, v[1])); !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
		t.Fatal("the image changed")
	}
	if r := relOf(t, a, v[1]); r.OutOfSync != 0 {
		t.Fatalf("the tracks were not saved: %+v", r)
	}
	fsys.setFault(nil)
}

// TestSourceFull: a source that has no room for a staged write keeps it until
// there is some; a flush goes on to work.
func TestSourceFull(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	defer a.Close()
	fsys.setFault(failing("write", "000", errNoSpace))
	writeOnes(t, a, v[0], 2)
	if err := volumeOf(t, a, v[0]).log.Destage(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("destage: %v", err)
	}
	source := mustOpen(t, a, v[0])
	if err := source.Flush(); err != nil {
		t.Fatal(err)
	}
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[2]}}
	err := a.Establish(context.Background(), pairs, arrayclient.Options{NoCopy: true})
	if err == nil || !strings.Contains(err.Error(), string(v[0])) {
		t.Fatalf("an image without the staged writes is taken: %v", err)
	}
	if p := readAll(t, source); !bytes.Equal(p, bytes.Repeat([]byte{2}, len(p))) {
		t.Fatal("the staged write is lost")
	}
	fsys.setFault(nil)
	mustDestage(t, a, v[0])
	if err := a.Establish(context.Background(), pairs, arrayclient.Options{NoCopy: true}); err != nil {
		t.Fatal(err)
	}
	if p := readAll(t, mustOpen(t, a, v[2])); !bytes.Equal(p, bytes.Repeat([]byte{2}, len(p))) {
		t.Fatal("the image lacks the staged write")
	}
}

// TestStageSyncFails: nothing is known any more about what a flush promised.
func TestStageSyncFails(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	defer a.kill()
	writeOnes(t, a, v[0], 2)
	fsys.setFault(func(op, name string) error {
		if op == "sync" && strings.HasPrefix(name, disk.StageDir) {
			return syscall.EIO
		}
		return nil
	})
	source := mustOpen(t, a, v[0])
	if err := source.Flush(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("flush: %v", err)
	}
	fsys.setFault(nil)
	if _, err := source.WriteAt([]byte{3}, 0); !errors.Is(err, syscall.EIO) {
		t.Fatalf("write: %v", err)
	}
}

// TestDamagedStage: what a flush made durable and is not there any more is
// noticed, and the file is named.
func TestDamagedStage(t *testing.T) {
	build := func() (*crashFS, string) {
		fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, stay)
		source := mustOpen(t, a, v[0])
		for i := range int64(2) {
			if _, err := source.WriteAt(bytes.Repeat([]byte{2}, 5000), i*trackSize); err != nil {
				t.Fatal(err)
			}
			if err := source.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		vol := volumeOf(t, a, v[0])
		name := disk.StageName(vol.id, vol.uid)
		a.kill()
		return fsys, name
	}
	for title, f := range map[string]func(*inode){
		"header":    flip(20),
		"magic":     flip(0),
		"size":      flip(32),
		"record":    flip(4096 + 4),
		"data":      flip(4096 + 3000),
		"cut":       func(ino *inode) { ino.size -= 512 },
		"cut short": func(ino *inode) { ino.size = 100 },
	} {
		t.Run(title, func(t *testing.T) {
			fsys, name := build()
			damage(fsys, name, f)
			mustFail(t, fsys, name)
		})
	}
	fsys, _ := build()
	if problems := Check(fsys); problems != nil {
		t.Fatal(problems)
	}
}

// TestDeleteWithStage: a volume that is deleted takes its stage with it.
func TestDeleteWithStage(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	writeOnes(t, a, v[0], 2)
	if _, err := a.Withdraw(context.Background(), []arrayclient.Pair{{Source: v[0], Target: v[1]}}); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteVolume(context.Background(), v[0]); err != nil {
		t.Fatal(err)
	}
	names, err := fsys.List(disk.StageDir)
	if err != nil || len(names) != 0 {
		t.Fatalf("left over: %v, %v", names, err)
	}
	a.kill()
	b := openTestArray(t, fsys.afterKill())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStageRestarts kills the process again and again between few writes, so
// that areas are found in every state and order.
func TestStageRestarts(t *testing.T) {
	rng, fsys := newRand(t), newCrashFS()
	small := writelog.Measures{Areas: 3, Area: 20 << 10, Longest: 8 << 10, After: -1}
	a := createStagingArray(t, fsys, small)
	v := mustCreate(t, a, 1<<20, 2)
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	want := make([]byte, 1<<20)
	establish := func() []byte {
		if err := a.Establish(context.Background(), pairs, arrayclient.Options{NoCopy: true}); err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(want)
	}
	image := establish()
	for round := range 150 {
		source := mustOpen(t, a, v[0])
		for range rng.IntN(9) {
			p := bytes.Repeat([]byte{byte(round), byte(rng.IntN(256))}, 1+rng.IntN(4<<10))
			off := rng.IntN(4*trackSize - len(p))
			if _, err := source.WriteAt(p, int64(off)); err != nil {
				t.Fatal(err)
			}
			copy(want[off:], p)
		}
		switch rng.IntN(8) {
		case 0:
			mustDestage(t, a, v[0])
		case 1:
			if _, err := a.Withdraw(context.Background(), pairs); err != nil {
				t.Fatal(err)
			}
			image = establish()
		}
		a.kill()
		a = openStagingArray(t, fsys, small)
		if !bytes.Equal(readAll(t, mustOpen(t, a, v[0])), want) {
			t.Fatalf("round %d: the source is not what was written", round)
		}
		if !bytes.Equal(readAll(t, mustOpen(t, a, v[1])), image) {
			t.Fatalf("round %d: the image changed", round)
		}
	}
	a.kill()
}

// TestFlushWaitsForFlush: a flush that finds nothing left to sync because
// another one is at it waits for that one.
func TestFlushWaitsForFlush(t *testing.T) {
	for name, staged := range map[string]bool{"stages": true, "volumes": false} {
		t.Run(name, func(t *testing.T) {
			fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: staged})
			defer a.kill()
			vol := mustOpen(t, a, v[2])
			if staged {
				vol = mustOpen(t, a, v[0])
			}
			if _, err := vol.WriteAt([]byte{2}, 0); err != nil {
				t.Fatal(err)
			}
			begun, release := make(chan bool), make(chan bool)
			var once sync.Once
			fsys.setFault(func(op, file string) error {
				if op == "sync" && strings.HasPrefix(file, name) {
					once.Do(func() { close(begun); <-release })
				}
				return nil
			})
			var first, second sync.WaitGroup
			first.Go(func() { vol.Flush() })
			<-begun
			done := make(chan bool)
			second.Go(func() { vol.Flush(); close(done) })
			select {
			case <-done:
				t.Error("the second flush returned before the first")
			case <-time.After(50 * time.Millisecond):
			}
			close(release)
			first.Wait()
			second.Wait()
		})
	}
}
