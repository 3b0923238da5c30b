package filearray

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/writelog"

	"copyservices/arrayclient"
)

// writer writes one block after the other in its own part of a volume, each
// with the number of the write, and begins again at the end.
type writer struct {
	base, blocks int64
	started      atomic.Uint64 // number of the write that was begun last
	done         atomic.Uint64 // number of the one that was acknowledged last
}

const writerBlock = 4096

func (w *writer) run(v arrayclient.VolumeIO, stop <-chan struct{}) error {
	p := make([]byte, writerBlock)
	for n := uint64(1); ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		for at := 0; at < len(p); at += 8 {
			binary.LittleEndian.PutUint64(p[at:], n)
		}
		w.started.Store(n)
		if _, err := v.WriteAt(p, w.offset(n)); err != nil {
			return err
		}
		w.done.Store(n)
	}
}

func (w *writer) offset(n uint64) int64 {
	return (w.base + int64((n-1)*7919%uint64(w.blocks))) * writerBlock
}

// prefix returns the last write that the image has, and an error unless the
// image has all writes up to it and none after it.
func (w *writer) prefix(image []byte) (uint64, error) {
	var last uint64
	for b := w.base; b < w.base+w.blocks; b++ {
		last = max(last, binary.LittleEndian.Uint64(image[b*writerBlock:]))
	}
	want := make(map[int64]uint64)
	for n := last; n > 0 && n+uint64(w.blocks) > last; n-- {
		want[w.offset(n)] = n
	}
	for b := w.base; b < w.base+w.blocks; b++ {
		block := image[b*writerBlock : (b+1)*writerBlock]
		for at := 0; at < writerBlock; at += 8 {
			got := binary.LittleEndian.Uint64(block[at:])
			if got != want[b*writerBlock] {
				return last, fmt.Errorf("block %d has write %d, in a prefix of %d writes it has %d",
					b, got, last, want[b*writerBlock])
			}
		}
	}
	return last, nil
}

// TestInstant copies a volume again and again while writers are at work on
// it. Every image holds a prefix of each writer's writes, the same however
// much has been copied.
func TestInstant(t *testing.T) {
	const size, writers = 24 << 20, 4
	a := realArray(t)
	serials := mustCreate(t, a, size, 4)
	source := mustOpen(t, a, serials[0])
	var ws []*writer
	var running sync.WaitGroup
	stop := make(chan struct{})
	for i := range writers {
		const blocks = size / writerBlock / writers
		w := &writer{base: int64(i * blocks), blocks: blocks}
		ws = append(ws, w)
		running.Go(func() {
			if err := w.run(source, stop); err != nil {
				t.Error(err)
			}
		})
	}
	for round := range 6 {
		pairs := []arrayclient.Pair{}
		for _, tgt := range serials[1:] {
			pairs = append(pairs, arrayclient.Pair{Source: serials[0], Target: tgt})
		}
		checkInstant(t, a, ws, pairs, round%2 == 0)
	}
	close(stop)
	running.Wait()
}

func checkInstant(
	t *testing.T, a *Array, ws []*writer, pairs []arrayclient.Pair, nocopy bool,
) {
	t.Helper()
	before := make([]uint64, len(ws))
	for i, w := range ws {
		before[i] = w.done.Load()
	}
	ctx := context.Background()
	if err := a.Establish(ctx, pairs, arrayclient.Options{NoCopy: nocopy}); err != nil {
		t.Fatal(err)
	}
	after := make([]uint64, len(ws))
	for i, w := range ws {
		after[i] = w.started.Load()
	}
	first := readAll(t, mustOpen(t, a, pairs[0].Target))
	for i, w := range ws {
		n, err := w.prefix(first)
		if err != nil {
			t.Fatalf("writer %d: %v", i, err)
		}
		if n < before[i] || n > after[i] {
			t.Fatalf("writer %d: the image ends at write %d, it was taken between %d and %d",
				i, n, before[i], after[i])
		}
	}
	time.Sleep(50 * time.Millisecond)
	if nocopy {
		if err := a.BackgroundCopy(ctx, pairs[:1]); err != nil {
			t.Fatal(err)
		}
		waitComplete(t, a, pairs[0].Target)
	}
	for _, p := range pairs {
		if !nocopy {
			waitComplete(t, a, p.Target)
		}
		if !bytes.Equal(first, readAll(t, mustOpen(t, a, p.Target))) {
			t.Fatalf("%s is not what it was when it was established", p)
		}
	}
	if nocopy {
		if _, err := a.Withdraw(ctx, pairs[1:]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestImagesUnderLoad resyncs, establishes and withdraws while hosts write, in
// short writes and long ones, and a background copy is under way: each image
// has what was acknowledged before it, nothing from after it, and stays.
func TestImagesUnderLoad(t *testing.T) {
	const writers, size = 3, 4 << 20
	fsys, err := disk.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	small := writelog.Measures{Areas: 4, Area: 64 << 10, Longest: 32 << 10, After: 2 * time.Millisecond}
	a := createStagingArray(t, fsys, small)
	defer a.Close()
	v := mustCreate(t, a, size, 3)
	recorded := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	other := []arrayclient.Pair{{Source: v[0], Target: v[2]}}
	if err := a.Establish(t.Context(), recorded, arrayclient.Options{Record: true}); err != nil {
		t.Fatal(err)
	}
	h := &stampingHosts{begun: make([]uint64, size/sectorSize), acked: make([]uint64, size/sectorSize)}
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() { h.write(ctx, t, mustOpen(t, a, v[0]), w, writers) })
	}
	for n := 0; ctx.Err() == nil && !t.Failed(); n++ {
		before := h.snapshot(h.acked)
		if err := a.Resync(context.Background(), recorded); err != nil {
			t.Fatal(err)
		}
		h.checkImage(t, mustOpen(t, a, v[1]), "resynced", before)
		before = h.snapshot(h.acked)
		opts := arrayclient.Options{NoCopy: n%2 == 0, Persistent: true}
		if err := a.Establish(context.Background(), other, opts); err != nil {
			t.Fatal(err)
		}
		h.checkImage(t, mustOpen(t, a, v[2]), "established", before)
		if _, err := a.Withdraw(context.Background(), other); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	running.Wait()
}

// stampingHosts note of each sector the newest stamp that was being written,
// and the newest that was.
type stampingHosts struct {
	mu           sync.Mutex
	begun, acked []uint64
}

func (h *stampingHosts) snapshot(list []uint64) []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(list)
}

func (h *stampingHosts) note(list []uint64, first, n int, stamp uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := first; i < first+n; i++ {
		list[i] = stamp
	}
}

// write writes to the w-th of equal parts.
func (h *stampingHosts) write(
	ctx context.Context, t *testing.T, vol arrayclient.VolumeIO, w, parts int,
) {
	rng := rand.New(rand.NewPCG(uint64(w), 3))
	part := len(h.begun) / parts
	for stamp := uint64(1); ctx.Err() == nil; stamp++ {
		n := 1 + rng.IntN(8)
		if rng.IntN(20) == 0 {
			n = 100 // too long to be staged
		}
		first := w*part + rng.IntN(part-n)
		h.note(h.begun, first, n, stamp)
		if _, err := vol.WriteAt(stampSectors(int64(n), stamp), int64(first)*sectorSize); err != nil {
			t.Error(err)
			return
		}
		h.note(h.acked, first, n, stamp)
		if rng.IntN(50) == 0 {
			if err := vol.Flush(); err != nil {
				t.Error(err)
			}
		}
	}
}

// checkImage holds a new image against what was acknowledged before it was
// taken and what had begun after.
func (h *stampingHosts) checkImage(
	t *testing.T, vol arrayclient.VolumeIO, what string, acked []uint64,
) {
	t.Helper()
	begun := h.snapshot(h.begun)
	p := readAll(t, vol)
	for i := range acked {
		stamp := binary.LittleEndian.Uint64(p[i*sectorSize:])
		if stamp < acked[i] || stamp > begun[i] {
			t.Errorf("%s: sector %d has %d, not %d to %d", what, i, stamp, acked[i], begun[i])
			return
		}
	}
	time.Sleep(8 * time.Millisecond)
	if !bytes.Equal(readAll(t, vol), p) {
		t.Errorf("%s: the image changed", what)
	}
}
