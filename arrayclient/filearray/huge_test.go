package filearray

import (
	"bytes"
	"context"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

// TestHuge copies volumes of 16 TiB with data at their ends and where their
// files meet.
func TestHuge(t *testing.T) {
	a := realArray(t)
	v := mustCreate(t, a, MaxVolume, 2)
	source, target := mustOpen(t, a, v[0]), mustOpen(t, a, v[1])
	offsets := []int64{0, disk.SegmentSize - 3, 5*disk.SegmentSize - 512, MaxVolume - 1000}
	write := func(vol arrayclient.VolumeIO, with byte) {
		for _, off := range offsets {
			if _, err := vol.WriteAt(bytes.Repeat([]byte{with}, 1000), off); err != nil {
				t.Fatal(err)
			}
		}
	}
	holds := func(vol arrayclient.VolumeIO, with byte) {
		t.Helper()
		for _, off := range offsets {
			p := make([]byte, 1000)
			if _, err := vol.ReadAt(p, off); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p, bytes.Repeat([]byte{with}, 1000)) {
				t.Fatalf("at %d there is %d, not %d", off, p[0], with)
			}
		}
	}
	write(source, 1)
	write(target, 9)
	begin := time.Now()
	err := a.Establish(context.Background(),
		[]arrayclient.Pair{{Source: v[0], Target: v[1]}}, arrayclient.Options{Persistent: true})
	if err != nil {
		t.Fatal(err)
	}
	write(source, 2)
	holds(target, 1)
	waitComplete(t, a, v[1])
	t.Logf("copied within %v", time.Since(begin))
	holds(target, 1)
	holds(source, 2)
	if r := relOf(t, a, v[1]); r.Tracks != MaxVolume/trackSize || r.OutOfSync != 0 {
		t.Fatalf("the relationship is %+v", r)
	}
	var data int64
	err = target.Extents(0, MaxVolume, func(n int64, hole bool) bool {
		if !hole {
			data += n
		}
		return true
	})
	if err != nil || data > 16*trackSize {
		t.Fatalf("the target has %d bytes of data: %v", data, err)
	}
}
