package arraytest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

func (b *bench) propertiesHold() {
	v := b.create(b.h.VolumeSize, 2)
	p := b.properties()
	if p.Volumes != 2 || p.ID != b.facts.ID || p.Free > p.Capacity {
		b.t.Fatalf("with 2 volumes the properties are %+v", p)
	}
	for _, serial := range v {
		if s, ok := arrayclient.ParseSerialOf(p.ID.MachineType, string(serial)); !ok || s != serial ||
			serial.ArraySerial() != p.ID.Serial {
			b.t.Fatalf("%s is no serial of a volume of array %s", serial, p.ID)
		}
	}
}

func (b *bench) imageOfOneInstant() {
	v := b.create(b.h.VolumeSize, 3)
	b.fill(v[0], 1)
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.establish(arrayclient.Options{}, pairOf(v[0], v[2]))
	b.fill(v[0], 2)
	b.holds(v[0], 2)
	b.holds(v[1], 1)
	b.holds(v[2], 1)
	b.waitState(v[2], gone)
	b.holds(v[2], 1)
	b.lastCopy(v[2], v[0], arrayclient.OutcomeComplete)
}

func (b *bench) lastCopy(target, source arrayclient.Serial, want arrayclient.Outcome) {
	b.t.Helper()
	v := b.volume(target)
	if v.LastCopy == nil || v.LastCopy.Source != source || v.LastCopy.Outcome != want {
		b.t.Fatalf("volume %s: last copy is %+v, not %s of %s", target, v.LastCopy, want, source)
	}
}

func (b *bench) targetIsWritable() {
	v := b.create(b.h.VolumeSize, 2)
	b.fill(v[0], 1)
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.fill(v[1], 3)
	b.holds(v[0], 1)
	b.holds(v[1], 3)
	b.fill(v[0], 2)
	b.holds(v[1], 3)
}

func (b *bench) allOrNothing() {
	v := b.create(b.h.VolumeSize, 4)
	b.fill(v[0], 1)
	b.refused(v[2:3], pairOf(v[0], v[1]), pairOf(v[0], v[3]), pairOf(v[2], v[2]))
	b.fill(v[0], 2)
	b.holds(v[1], 0)
}

func (b *bench) ontoItself() {
	v := b.create(b.h.VolumeSize, 1)
	b.refused(v, pairOf(v[0], v[0]))
}

func (b *bench) oneSourceForATarget() {
	v := b.create(b.h.VolumeSize, 3)
	b.refused(v[1:2], pairOf(v[0], v[1]), pairOf(v[2], v[1]))
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.refused(v[:2], pairOf(v[2], v[1]))
	b.refused(v[:2], pairOf(v[0], v[1]))
}

func (b *bench) noCascades() {
	v := b.create(b.h.VolumeSize, 3)
	b.refused(v[1:2], pairOf(v[0], v[1]), pairOf(v[1], v[2]))
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.refused(v[1:2], pairOf(v[1], v[2]))
	b.refused(v[:1], pairOf(v[2], v[0]))
}

func (b *bench) mostTargets() {
	v := b.create(b.h.VolumeSize, b.facts.MaxTargets+2)
	for _, tgt := range v[1 : b.facts.MaxTargets+1] {
		b.establish(nocopy, pairOf(v[0], tgt))
	}
	last := v[b.facts.MaxTargets+1]
	b.refused([]arrayclient.Serial{v[0], last}, pairOf(v[0], last))
	b.fill(v[0], 1)
	for _, tgt := range v[1 : b.facts.MaxTargets+1] {
		b.holds(tgt, 0)
	}
}

func (b *bench) targetTooSmall() {
	v := append(b.create(2*b.h.VolumeSize, 1), b.create(b.h.VolumeSize, 1)...)
	b.refused(v, pairOf(v[0], v[1]))
}

func (b *bench) largerTarget() {
	v := append(b.create(b.h.VolumeSize, 1), b.create(2*b.h.VolumeSize, 1)...)
	b.fill(v[0], 1)
	b.fill(v[1], 9)
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.holds(v[1], 1)
	p := make([]byte, b.h.VolumeSize)
	if _, err := b.open(v[1]).ReadAt(p, b.h.VolumeSize); err != nil || p[0] != 9 || p[len(p)-1] != 9 {
		b.t.Fatalf("beyond the source the target has %d (%v), not what it had", p[0], err)
	}
}

func (b *bench) unknownVolume() {
	v := b.create(b.h.VolumeSize, 1)
	unknown := arrayclient.MakeSerial(0xEEE, v[0].ArraySerial())
	b.fails(b.Array.Establish(b.ctx, []arrayclient.Pair{pairOf(v[0], unknown)}, nocopy),
		fault.NotFound, unknown)
	b.fails(b.Array.DeleteVolume(b.ctx, unknown), fault.NotFound, unknown)
	_, err := b.Array.Relationships(b.ctx, unknown)
	b.fails(err, fault.NotFound, unknown)
	nowhere := strings.Repeat("Z", len(v[0].ArraySerial()))
	other := arrayclient.MakeSerial(v[0].VolumeID(), nowhere)
	b.fails(b.Array.DeleteVolume(b.ctx, other), fault.NotFound, other)
	b.fails(b.Array.DeleteVolume(b.ctx, "nonsense"), fault.Usage)
}

func (b *bench) deleteInRelationship() {
	v := b.create(b.h.VolumeSize, 3)
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.fails(b.Array.DeleteVolume(b.ctx, v[0]), fault.Refused, v[0])
	b.fails(b.Array.DeleteVolume(b.ctx, v[1]), fault.Refused, v[1])
	open := b.open(v[2])
	b.fails(b.Array.DeleteVolume(b.ctx, v[2]), fault.Refused, v[2])
	open.Close()
	if err := b.Array.DeleteVolume(b.ctx, v[2]); err != nil {
		b.t.Fatal(err)
	}
	b.fails(b.Array.DeleteVolume(b.ctx, v[2]), fault.NotFound, v[2])
}

func (b *bench) withdraw() {
	v := b.create(b.h.VolumeSize, 3)
	b.fill(v[0], 1)
	first, second := pairOf(v[0], v[1]), pairOf(v[0], v[2])
	b.establish(nocopy, first, second)
	_, err := b.Array.Withdraw(b.ctx, []arrayclient.Pair{first, pairOf(v[1], v[2])})
	b.fails(err, fault.NotFound)
	if n := len(b.relationships()); n != 2 {
		b.t.Fatalf("a withdraw that failed left %d of 2 relationships", n)
	}
	b.rehearsed(arrayclient.ActWithdraw, "", first, second)
	b.rehearsed(arrayclient.ActConsistencyCreated, fault.Refused, first)
	undefined, err := b.Array.Withdraw(b.ctx, []arrayclient.Pair{first, second})
	if err != nil || len(undefined) != 2 || len(b.relationships()) != 0 {
		b.t.Fatalf("withdraw: undefined %v, %v, left %v", undefined, err, b.pairs())
	}
	b.lastCopy(v[1], v[0], arrayclient.OutcomeUndefined)
	b.fill(v[0], 2)
	b.holds(v[0], 2)
}

func (b *bench) withdrawUnknown() {
	v := b.create(b.h.VolumeSize, 2)
	b.rehearsed(arrayclient.ActWithdraw, fault.NotFound, pairOf(v[0], v[1]))
	_, err := b.Array.Withdraw(b.ctx, []arrayclient.Pair{pairOf(v[0], v[1])})
	b.fails(err, fault.NotFound, v[0], v[1])
}

func (b *bench) nocopyStays() {
	v := b.create(b.h.VolumeSize, 2)
	b.fill(v[0], 1)
	b.establish(nocopy, pairOf(v[0], v[1]))
	r := b.relationships()[0]
	if r.State != arrayclient.StateNoCopy || r.Tracks != b.facts.Tracks(b.h.VolumeSize) ||
		r.OutOfSync != r.Tracks && !b.facts.EstimatedCounts {
		b.t.Fatalf("a nocopy relationship is %+v", r)
	}
	b.fill(v[0], 2)
	// An array that keeps what is written elsewhere first saves the tracks later.
	b.waitState(v[1], func(rels []arrayclient.Relationship) bool { return rels[0].OutOfSync == 0 })
	if r = b.relationships()[0]; r.State != arrayclient.StateNoCopy {
		b.t.Fatalf("with all tracks written over, the nocopy relationship is %+v", r)
	}
	undefined, err := b.Array.Withdraw(b.ctx, []arrayclient.Pair{pairOf(v[0], v[1])})
	if err != nil || len(undefined) != 0 {
		b.t.Fatalf("withdraw of a copy with all tracks: undefined %v, %v", undefined, err)
	}
	b.holds(v[1], 1)
}

func (b *bench) persistentStays() {
	v := b.create(b.h.VolumeSize, 2)
	b.fill(v[0], 1)
	b.establish(arrayclient.Options{Persistent: true}, pairOf(v[0], v[1]))
	b.waitState(v[1], func(rels []arrayclient.Relationship) bool {
		return len(rels) == 1 && rels[0].State == arrayclient.StateComplete
	})
	if r := b.relationships()[0]; r.OutOfSync != 0 || r.Completed.IsZero() || r.Percent() != 100 {
		b.t.Fatalf("a complete relationship is %+v", r)
	}
	b.fill(v[0], 2)
	b.holds(v[1], 1)
}

func (b *bench) targetInhibit() {
	v := b.create(b.h.VolumeSize, 2)
	b.establish(arrayclient.Options{NoCopy: true, TargetInhibit: true}, pairOf(v[0], v[1]))
	_, err := b.open(v[1]).WriteAt([]byte{1}, 0)
	b.fails(err, fault.Refused, v[1])
	b.holds(v[1], 0)
}

func (b *bench) volumesOfZeros() {
	v := b.create(b.h.VolumeSize, 2)
	b.fill(v[0], 1)
	if err := b.Array.DeleteVolume(b.ctx, v[0]); err != nil {
		b.t.Fatal(err)
	}
	again := b.create(b.h.VolumeSize, 1)
	if again[0] != v[0] {
		b.t.Fatalf("the lowest free volume is %s, not %s", again[0], v[0])
	}
	b.holds(again[0], 0)
}

// badSizes returns sizes that no volume of the array can have.
func (b *bench) badSizes() []int64 {
	sizes := []int64{0, -1}
	if b.h.MinSize > 1 {
		sizes = append(sizes, b.h.MinSize-max(1, b.h.Grain))
	}
	if b.h.MaxSize > 0 {
		sizes = append(sizes, b.h.MaxSize+max(1, b.h.Grain))
	}
	if b.h.Grain > 1 {
		sizes = append(sizes, b.h.VolumeSize+1)
	}
	return sizes
}

func (b *bench) badVolumes() {
	size := b.h.VolumeSize
	v := b.create(size, 1)
	for _, bad := range b.badSizes() {
		_, err := b.Array.CreateVolumes(b.ctx, arrayclient.VolumeSpec{Size: bad})
		b.fails(err, fault.Usage)
	}
	for _, spec := range []arrayclient.VolumeSpec{
		{Size: size, Count: -1}, {Size: size, Count: b.facts.MaxVolumes + 1},
		{Size: size, First: "xyz"}, {Size: size, First: v[0].VolumeDigits() + "3"},
		{Size: size, Label: "a\nb"}, {Size: size, Label: "\xff"},
		{Size: size, Label: strings.Repeat("x", 257)},
	} {
		_, err := b.Array.CreateVolumes(b.ctx, spec)
		b.fails(err, fault.Usage)
	}
	_, err := b.Array.CreateVolumes(b.ctx, arrayclient.VolumeSpec{
		Size: size, First: v[0].VolumeDigits(), Count: 2,
	})
	b.fails(err, fault.Usage, v[0])
	if list := b.volumes(); len(list) != 1 {
		b.t.Fatalf("%d volumes instead of 1", len(list))
	}
}

func (b *bench) beyondTheEnd() {
	v := b.open(b.create(b.h.VolumeSize, 1)[0])
	for _, at := range []int64{b.h.VolumeSize, b.h.VolumeSize - 1, -1} {
		if _, err := v.ReadAt(make([]byte, 2), at); !errors.Is(err, io.ErrUnexpectedEOF) {
			b.t.Errorf("read at %d: %v", at, err)
		}
		if _, err := v.WriteAt(make([]byte, 2), at); !errors.Is(err, io.ErrUnexpectedEOF) {
			b.t.Errorf("write at %d: %v", at, err)
		}
		if err := v.Zero(at, 2, true); !errors.Is(err, io.ErrUnexpectedEOF) {
			b.t.Errorf("zero at %d: %v", at, err)
		}
	}
}

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
