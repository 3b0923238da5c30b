package arraytest

import (
	"bytes"
	"slices"

	"copyservices/arrayclient"
)

func (b *bench) extents() {
	track := b.facts.TrackSize
	serial := b.create(b.h.VolumeSize, 1)[0]
	v := b.open(serial)
	data := bytes.Repeat([]byte{7}, int(track))
	for _, at := range []int64{1, 3} {
		if _, err := v.WriteAt(data, at*track); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := v.Flush(); err != nil {
		b.t.Fatal(err)
	}
	b.covers(v, 0, v.Size(), track, 3*track)
	b.covers(v, track+1, 2*track, track+1, 3*track)
	if err := v.Zero(track, track, true); err != nil {
		b.t.Fatal(err)
	}
	if err := v.Zero(3*track+1, track-1, false); err != nil {
		b.t.Fatal(err)
	}
	b.covers(v, 0, v.Size(), 3*track)
	p := make([]byte, v.Size())
	if _, err := v.ReadAt(p, 0); err != nil {
		b.t.Fatal(err)
	}
	at := func(c byte) bool { return c != 0 }
	if i := slices.IndexFunc(p, at); i != int(3*track) || slices.ContainsFunc(p[i+1:], at) {
		b.t.Fatalf("after all but byte %d was zeroed, there is one at %d", 3*track, i)
	}
}

// covers checks that the extents of n bytes from off follow each other without gaps,
// that what is at the offsets of data is in none that is a hole, and that the caller
// may stop.
func (b *bench) covers(v arrayclient.VolumeIO, off, n int64, data ...int64) {
	b.t.Helper()
	at, calls := off, 0
	err := v.Extents(off, n, func(length int64, hole bool) bool {
		for _, d := range data {
			if hole && d >= at && d < at+length {
				b.t.Errorf("the data at %d is in a hole of %d bytes at %d", d, length, at)
			}
		}
		if length <= 0 {
			b.t.Errorf("an extent at %d has %d bytes", at, length)
		}
		at, calls = at+length, calls+1
		return true
	})
	if err != nil || at != off+n {
		b.t.Fatalf("the extents of %d bytes from %d end at %d: %v", n, off, at, err)
	}
	if calls == 1 {
		return
	}
	stopped := 0
	err = v.Extents(off, n, func(int64, bool) bool { stopped++; return false })
	if err != nil || stopped != 1 {
		b.t.Fatalf("of the extents that were stopped at the first, %d came: %v", stopped, err)
	}
}
