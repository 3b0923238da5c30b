package filearray

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"copyservices/arrayclient/filearray/bitmap"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

func benchArray(b *testing.B) *Array {
	b.Helper()
	fsys, err := disk.OS(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	if err := Create(fsys, CreateOptions{Serial: "13698"}); err != nil {
		b.Fatal(err)
	}
	a, err := Open(fsys, OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { a.Close() })
	return a
}

func benchVolumes(b *testing.B, a *Array, size int64, count int) []arrayclient.Serial {
	b.Helper()
	list, err := a.CreateVolumes(context.Background(),
		arrayclient.VolumeSpec{Size: size, Count: count})
	if err != nil {
		b.Fatal(err)
	}
	var serials []arrayclient.Serial
	for _, v := range list {
		serials = append(serials, v.Serial)
	}
	return serials
}

// BenchmarkEstablish is one pair, established and withdrawn.
func BenchmarkEstablish(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int64
	}{{"1GiB", 1 << 30}, {"1TiB", 1 << 40}, {"16TiB", 16 << 40}} {
		b.Run(size.name, func(b *testing.B) {
			a := benchArray(b)
			v := benchVolumes(b, a, size.bytes, 2)
			pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
			opts := arrayclient.Options{NoCopy: true}
			for b.Loop() {
				if err := a.Establish(context.Background(), pairs, opts); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if _, err := a.Withdraw(context.Background(), pairs); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkWrite is a write of 4 KiB at random: to a volume without a
// relationship, to a source's track that 1 or 12 targets lack, and to one that
// they have. There are 8,192 tracks to be written for the first time, so give
// -benchtime 8000x.
func BenchmarkWrite(b *testing.B) {
	const size = 512 << 20
	for _, targets := range []int{0, 1, 12} {
		b.Run(fmt.Sprintf("first/targets=%d", targets), func(b *testing.B) {
			benchWrite(b, size, targets, false)
		})
		b.Run(fmt.Sprintf("second/targets=%d", targets), func(b *testing.B) {
			benchWrite(b, size, targets, true)
		})
	}
}

func benchWrite(b *testing.B, size int64, targets int, second bool) {
	a := benchArray(b)
	v := benchVolumes(b, a, size, targets+1)
	fill(b, a, v[0])
	var pairs []arrayclient.Pair
	for _, tgt := range v[1:] {
		pairs = append(pairs, arrayclient.Pair{Source: v[0], Target: tgt})
	}
	if pairs != nil {
		opts := arrayclient.Options{NoCopy: true}
		if err := a.Establish(context.Background(), pairs, opts); err != nil {
			b.Fatal(err)
		}
	}
	vol, err := a.OpenVolume(context.Background(), v[0])
	if err != nil {
		b.Fatal(err)
	}
	defer vol.Close()
	p := []byte(fmt.Sprintf("%4096d", 1))
	tracks := size / trackSize
	if second {
		tracks = 64
	}
	write := func(n int) {
		off := int64(n)*7919%tracks*trackSize + 4096*rand.Int64N(16)
		if _, err := vol.WriteAt(p, off); err != nil {
			b.Fatal(err)
		}
	}
	if second {
		for n := range int(tracks) {
			write(n)
		}
		if err := a.volumes[v[0].VolumeID()].log.Destage(); err != nil {
			b.Fatal(err)
		}
	}
	n := 0
	b.SetBytes(4096)
	for b.Loop() {
		write(n)
		n++
	}
}

// fill writes all of a volume.
func fill(b *testing.B, a *Array, s arrayclient.Serial) {
	b.Helper()
	vol, err := a.OpenVolume(context.Background(), s)
	if err != nil {
		b.Fatal(err)
	}
	defer vol.Close()
	p := bytes.Repeat([]byte("source"), 1<<20)[:4<<20]
	for off := int64(0); off < vol.Size(); off += int64(len(p)) {
		if _, err := vol.WriteAt(p, off); err != nil {
			b.Fatal(err)
		}
	}
	if err := vol.Flush(); err != nil {
		b.Fatal(err)
	}
}

// TestMemory: what a TiB under copy needs in memory, at worst.
func TestMemory(t *testing.T) {
	const tracks = (1 << 40) / trackSize
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	bm := bitmap.New("", 1, tracks)
	for track := int64(0); track < tracks; track += 2 {
		bm.SetRange(track, 1)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d KiB a TiB", used>>10)
	if used > 4<<20 {
		t.Errorf("%d bytes a TiB and relationship", used)
	}
	runtime.KeepAlive(bm)
}
