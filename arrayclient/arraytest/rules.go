package arraytest

import (
	"errors"
	"io"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

func (b *bench) imageOfOneInstant() {
	v := b.create(VolumeSize, 3)
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
	list, err := b.array.Volumes(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, v := range list {
		if v.Serial != target {
			continue
		}
		if v.LastCopy == nil || v.LastCopy.Source != source || v.LastCopy.Outcome != want {
			b.t.Fatalf("volume %s: last copy is %+v, not %s of %s", target, v.LastCopy, want, source)
		}
		return
	}
	b.t.Fatalf("volume %s is not listed", target)
}

func (b *bench) targetIsWritable() {
	v := b.create(VolumeSize, 2)
	b.fill(v[0], 1)
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.fill(v[1], 3)
	b.holds(v[0], 1)
	b.holds(v[1], 3)
	b.fill(v[0], 2)
	b.holds(v[1], 3)
}

func (b *bench) allOrNothing() {
	v := b.create(VolumeSize, 4)
	b.fill(v[0], 1)
	b.refused(v[2:3], pairOf(v[0], v[1]), pairOf(v[0], v[3]), pairOf(v[2], v[2]))
	b.fill(v[0], 2)
	b.holds(v[1], 0)
}

func (b *bench) ontoItself() {
	v := b.create(VolumeSize, 1)
	b.refused(v, pairOf(v[0], v[0]))
}

func (b *bench) oneSourceForATarget() {
	v := b.create(VolumeSize, 3)
	b.refused(v[1:2], pairOf(v[0], v[1]), pairOf(v[2], v[1]))
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.refused(v[:2], pairOf(v[2], v[1]))
	b.refused(v[:2], pairOf(v[0], v[1]))
}

func (b *bench) noCascades() {
	v := b.create(VolumeSize, 3)
	b.refused(v[1:2], pairOf(v[0], v[1]), pairOf(v[1], v[2]))
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.refused(v[1:2], pairOf(v[1], v[2]))
	b.refused(v[:1], pairOf(v[2], v[0]))
}

func (b *bench) twelveTargets() {
	v := b.create(VolumeSize, arrayclient.MaxTargets+2)
	for _, tgt := range v[1 : arrayclient.MaxTargets+1] {
		b.establish(nocopy, pairOf(v[0], tgt))
	}
	last := v[arrayclient.MaxTargets+1]
	b.refused([]arrayclient.Serial{v[0], last}, pairOf(v[0], last))
	b.fill(v[0], 1)
	for _, tgt := range v[1 : arrayclient.MaxTargets+1] {
		b.holds(tgt, 0)
	}
}

func (b *bench) targetTooSmall() {
	v := append(b.create(2*VolumeSize, 1), b.create(VolumeSize, 1)...)
	b.refused(v, pairOf(v[0], v[1]))
}

func (b *bench) largerTarget() {
	v := append(b.create(VolumeSize, 1), b.create(2*VolumeSize, 1)...)
	b.fill(v[0], 1)
	b.fill(v[1], 9)
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.holds(v[1], 1)
	p := make([]byte, VolumeSize)
	if _, err := b.open(v[1]).ReadAt(p, VolumeSize); err != nil || p[0] != 9 || p[len(p)-1] != 9 {
		b.t.Fatalf("beyond the source the target has %d (%v), not what it had", p[0], err)
	}
}

func (b *bench) unknownVolume() {
	v := b.create(VolumeSize, 1)
	unknown := arrayclient.MakeSerial(0xEEE, v[0].ArraySerial())
	b.fails(b.array.Establish(b.ctx, []arrayclient.Pair{pairOf(v[0], unknown)}, nocopy),
		fault.NotFound, unknown)
	b.fails(b.array.DeleteVolume(b.ctx, unknown), fault.NotFound, unknown)
	_, err := b.array.Relationships(b.ctx, unknown)
	b.fails(err, fault.NotFound, unknown)
	other := arrayclient.MakeSerial(v[0].VolumeID(), "ZZZZZ")
	b.fails(b.array.DeleteVolume(b.ctx, other), fault.NotFound, other)
	b.fails(b.array.DeleteVolume(b.ctx, "nonsense"), fault.Usage)
}

func (b *bench) deleteInRelationship() {
	v := b.create(VolumeSize, 3)
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.fails(b.array.DeleteVolume(b.ctx, v[0]), fault.Refused, v[0])
	b.fails(b.array.DeleteVolume(b.ctx, v[1]), fault.Refused, v[1])
	open := b.open(v[2])
	b.fails(b.array.DeleteVolume(b.ctx, v[2]), fault.Refused, v[2])
	open.Close()
	if err := b.array.DeleteVolume(b.ctx, v[2]); err != nil {
		b.t.Fatal(err)
	}
	b.fails(b.array.DeleteVolume(b.ctx, v[2]), fault.NotFound, v[2])
}

func (b *bench) withdraw() {
	v := b.create(VolumeSize, 3)
	b.fill(v[0], 1)
	first, second := pairOf(v[0], v[1]), pairOf(v[0], v[2])
	b.establish(nocopy, first, second)
	_, err := b.array.Withdraw(b.ctx, []arrayclient.Pair{first, pairOf(v[1], v[2])})
	b.fails(err, fault.NotFound)
	if n := len(b.relationships()); n != 2 {
		b.t.Fatalf("a withdraw that failed left %d of 2 relationships", n)
	}
	b.rehearsed(arrayclient.ActWithdraw, "", first, second)
	b.rehearsed(arrayclient.ActConsistencyCreated, fault.Refused, first)
	undefined, err := b.array.Withdraw(b.ctx, []arrayclient.Pair{first, second})
	if err != nil || len(undefined) != 2 || len(b.relationships()) != 0 {
		b.t.Fatalf("withdraw: undefined %v, %v, left %v", undefined, err, b.pairs())
	}
	b.lastCopy(v[1], v[0], arrayclient.OutcomeUndefined)
	b.fill(v[0], 2)
	b.holds(v[0], 2)
}

func (b *bench) withdrawUnknown() {
	v := b.create(VolumeSize, 2)
	b.rehearsed(arrayclient.ActWithdraw, fault.NotFound, pairOf(v[0], v[1]))
	_, err := b.array.Withdraw(b.ctx, []arrayclient.Pair{pairOf(v[0], v[1])})
	b.fails(err, fault.NotFound, v[0], v[1])
}

func (b *bench) nocopyStays() {
	v := b.create(VolumeSize, 2)
	b.fill(v[0], 1)
	b.establish(nocopy, pairOf(v[0], v[1]))
	r := b.relationships()[0]
	if r.State != arrayclient.StateNoCopy || r.OutOfSync != r.Tracks || r.Tracks != VolumeSize/arrayclient.TrackSize {
		b.t.Fatalf("a nocopy relationship is %+v", r)
	}
	b.fill(v[0], 2)
	if r = b.relationships()[0]; r.OutOfSync != 0 || r.State != arrayclient.StateNoCopy {
		b.t.Fatalf("with all tracks written over, the nocopy relationship is %+v", r)
	}
	undefined, err := b.array.Withdraw(b.ctx, []arrayclient.Pair{pairOf(v[0], v[1])})
	if err != nil || len(undefined) != 0 {
		b.t.Fatalf("withdraw of a copy with all tracks: undefined %v, %v", undefined, err)
	}
	b.holds(v[1], 1)
}

func (b *bench) persistentStays() {
	v := b.create(VolumeSize, 2)
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
	v := b.create(VolumeSize, 2)
	b.establish(arrayclient.Options{NoCopy: true, TargetInhibit: true}, pairOf(v[0], v[1]))
	_, err := b.open(v[1]).WriteAt([]byte{1}, 0)
	b.fails(err, fault.Refused, v[1])
	b.holds(v[1], 0)
}

func (b *bench) volumesOfZeros() {
	v := b.create(VolumeSize, 2)
	b.fill(v[0], 1)
	if err := b.array.DeleteVolume(b.ctx, v[0]); err != nil {
		b.t.Fatal(err)
	}
	again := b.create(VolumeSize, 1)
	if again[0] != v[0] {
		b.t.Fatalf("the lowest free volume is %s, not %s", again[0], v[0])
	}
	b.holds(again[0], 0)
}

func (b *bench) badVolumes() {
	for _, spec := range []arrayclient.VolumeSpec{
		{Size: 0}, {Size: -1}, {Size: 1 << 20 / 2}, {Size: 17 << 40}, {Size: VolumeSize + 1},
		{Size: VolumeSize, Count: -1}, {Size: VolumeSize, Count: arrayclient.MaxVolumes + 1},
		{Size: VolumeSize, First: "xyz"}, {Size: VolumeSize, First: "2033"},
		{Size: VolumeSize, Label: "a\nb"}, {Size: VolumeSize, Label: "\xff"},
		{Size: VolumeSize, Label: strings.Repeat("x", 257)},
	} {
		_, err := b.array.CreateVolumes(b.ctx, spec)
		b.fails(err, fault.Usage)
	}
	v := b.create(VolumeSize, 1)
	_, err := b.array.CreateVolumes(b.ctx, arrayclient.VolumeSpec{
		Size: VolumeSize, First: v[0].VolumeDigits(), Count: 2,
	})
	b.fails(err, fault.Usage, v[0])
	list, err := b.array.Volumes(b.ctx)
	if err != nil || len(list) != 1 {
		b.t.Fatalf("%d volumes instead of 1: %v", len(list), err)
	}
}

func (b *bench) beyondTheEnd() {
	v := b.open(b.create(VolumeSize, 1)[0])
	for _, at := range []int64{VolumeSize, VolumeSize - 1, -1} {
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
