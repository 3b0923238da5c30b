package filearray

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/writelog"

	"copyservices/arrayclient"
)

// counting counts op on files whose name begins with prefix.
func counting(op, prefix string) (*atomic.Int64, func(string, string) error) {
	n := new(atomic.Int64)
	return n, func(o, name string) error {
		if o == op && strings.HasPrefix(name, prefix) {
			n.Add(1)
		}
		return nil
	}
}

// TestDurableImages: what establish and its like have synced, no process syncs
// again that opens the array after a kill, and a loss of power after that does
// not change the images.
func TestDurableImages(t *testing.T) {
	for _, c := range []struct {
		name string
		act  func(*Array, []arrayclient.Pair) error
	}{
		{"establish", func(*Array, []arrayclient.Pair) error { return nil }},
		{"resync", func(a *Array, pairs []arrayclient.Pair) error {
			return a.Resync(context.Background(), pairs)
		}},
		{"checkpoint", func(a *Array, _ []arrayclient.Pair) error {
			a.commitCheckpoint()
			return a.store.Commit(nil, nil, func() { a.store.EndCheckpoint() })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true, Record: true})
			writeOnes(t, a, v[0], 2)
			if err := c.act(a, []arrayclient.Pair{{Source: v[0], Target: v[1]}}); err != nil {
				t.Fatal(err)
			}
			image := readAll(t, mustOpen(t, a, v[1]))
			a.kill()
			syncs, count := counting("sync", disk.VolumeDir+"/000")
			fsys.afterKill().setFault(count)
			b := openStagingArray(t, fsys, writelog.Measures{Areas: 2, Area: 1 << 20, Longest: 1 << 19, After: -1})
			if n := syncs.Load(); n != 0 {
				t.Errorf("the source was synced %d times", n)
			}
			b.kill()
			for seed := range uint64(8) {
				c := openTestArray(t, fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))))
				if !bytes.Equal(readAll(t, mustOpen(t, c, v[1])), image) {
					t.Fatalf("seed %d: the image changed", seed)
				}
				c.kill()
			}
		})
	}
}

// TestNewBitmapsListed: that the folder of the bitmaps could not be synced when
// their files were made is made up for when the checkpoint is tried again.
func TestNewBitmapsListed(t *testing.T) {
	fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	writeOnes(t, a, v[0], 2)
	mustDestage(t, a, v[0])
	fsys.setFault(func(op, name string) error {
		if op == "syncdir" && name == bitmap.Dir {
			return syscall.EIO
		}
		return nil
	})
	a.commitCheckpoint()
	for !a.store.Current.Finished() {
		time.Sleep(time.Millisecond)
	}
	if a.store.Current.Err == nil {
		t.Fatal("the checkpoint did not need the folder")
	}
	fsys.setFault(nil)
	if err := a.store.Commit(nil, nil, func() {
		if err := a.store.EndCheckpoint(); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	a.kill()
	for seed := range uint64(8) {
		b := openTestArray(t, fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))))
		if p := readAll(t, mustOpen(t, b, v[1])); !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
			t.Fatalf("seed %d: the image changed", seed)
		}
		b.kill()
	}
}

// TestSparseStage: a staged write may end in zeros, of which a file system, or
// whoever copies the array, makes a hole.
func TestSparseStage(t *testing.T) {
	keep := writelog.Measures{Areas: 2, Area: 1 << 20, Longest: 1 << 19, After: -1}
	for _, n := range []int{1, 4000, 100 << 10} { // bytes that are not zero
		fsys, a, v := pairUpStaging(t, arrayclient.Options{NoCopy: true}, keep)
		p := bytes.Repeat([]byte{7}, n)
		p = append(p, make([]byte, 200<<10-n)...)
		if _, err := mustOpen(t, a, v[0]).WriteAt(p, 0); err != nil {
			t.Fatal(err)
		}
		a.kill()
		fsys.afterKill()
		damage(fsys, "stages/000.00000001", func(ino *inode) {
			for at := range ino.blocks {
				if bytes.Equal(ino.newest(at), disk.Zeros[:blockSize]) {
					delete(ino.blocks, at)
				}
			}
		})
		b := openStagingArray(t, fsys, keep)
		got := make([]byte, len(p))
		if _, err := mustOpen(t, b, v[0]).ReadAt(got, 0); err != nil || !bytes.Equal(got, p) {
			t.Errorf("%d bytes and zeros behind them are not there again: %v", n, err)
		}
		b.kill()
	}
}
