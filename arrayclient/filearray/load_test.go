package filearray

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"copyservices/arrayclient"
)

// hostLoad is writers at work on one volume.
type hostLoad struct {
	writers []*writer
	stop    chan struct{}
	running sync.WaitGroup
}

func startLoad(t *testing.T, v arrayclient.VolumeIO, writers int) *hostLoad {
	l := &hostLoad{stop: make(chan struct{})}
	blocks := v.Size() / writerBlock / int64(writers)
	for i := range writers {
		w := &writer{base: int64(i) * blocks, blocks: blocks}
		l.writers = append(l.writers, w)
		l.running.Go(func() {
			if err := w.run(v, l.stop); err != nil {
				t.Error(err)
			}
		})
	}
	return l
}

func (l *hostLoad) end() {
	close(l.stop)
	l.running.Wait()
}

// during calls f and returns between which writes it ran.
func (l *hostLoad) during(t *testing.T, f func() error) (before, after []uint64) {
	t.Helper()
	for _, w := range l.writers {
		before = append(before, w.done.Load())
	}
	if err := f(); err != nil {
		t.Fatal(err)
	}
	for _, w := range l.writers {
		after = append(after, w.started.Load())
	}
	return before, after
}

// resumed checks a volume whose content was replaced by the image at an
// instant while the writer went on: it has the image's writes, those up to
// number last, and those after a number cut between before and after, but none
// in between.
func (w *writer) resumed(p []byte, last, before, after uint64) error {
	newest := w.done.Load()
	matches := func(cut uint64) bool {
		want := map[int64]uint64{}
		for n := last - min(last, uint64(w.blocks)) + 1; n <= last; n++ {
			want[w.offset(n)] = n
		}
		for n := cut + 1; n <= newest; n++ {
			want[w.offset(n)] = n
		}
		for b := w.base; b < w.base+w.blocks; b++ {
			if binary.LittleEndian.Uint64(p[b*writerBlock:]) != want[b*writerBlock] {
				return false
			}
		}
		return true
	}
	for cut := before; cut <= after; cut++ {
		if matches(cut) {
			return nil
		}
	}
	return fmt.Errorf("image of %d writes, replaced between %d and %d: no instant fits",
		last, before, after)
}

// TestRefreshUnderLoad resyncs a pair while the source is written to, with
// changes on the target that are to go, and then reverses it under load.
func TestRefreshUnderLoad(t *testing.T) {
	a := realArray(t)
	ctx := context.Background()
	for round, opts := range []arrayclient.Options{{Record: true}, {Record: true, NoCopy: true}} {
		s := mustCreate(t, a, 4<<20, 2)
		pairs := []arrayclient.Pair{{Source: s[0], Target: s[1]}}
		source, target := mustOpen(t, a, s[0]), mustOpen(t, a, s[1])
		if err := a.Establish(ctx, pairs, opts); err != nil {
			t.Fatal(err)
		}
		l := startLoad(t, source, 2)
		var last []uint64
		for range 6 {
			junk := bytes.Repeat([]byte{0xee}, 3*trackSize)
			if _, err := target.WriteAt(junk, int64(round+1)*trackSize+512); err != nil {
				t.Fatal(err)
			}
			before, after := l.during(t, func() error { return a.Resync(ctx, pairs) })
			last = nil
			image := readAll(t, target)
			for i, w := range l.writers {
				n, err := w.prefix(image)
				if err != nil || n < before[i] || n > after[i] {
					t.Fatalf("writer %d: image of %d writes, between %d and %d: %v",
						i, n, before[i], after[i], err)
				}
				last = append(last, n)
			}
		}
		if opts.NoCopy {
			if err := a.BackgroundCopy(ctx, pairs); err != nil {
				t.Fatal(err)
			}
		}
		waitComplete(t, a, s[1])
		before, after := l.during(t, func() error { return a.Reverse(ctx, pairs) })
		waitComplete(t, a, s[0])
		l.end()
		p := readAll(t, source)
		for i, w := range l.writers {
			if err := w.resumed(p, last[i], before[i], after[i]); err != nil {
				t.Fatalf("writer %d: %v", i, err)
			}
		}
	}
}
