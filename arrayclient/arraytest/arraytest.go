// Package arraytest holds the rules of package arrayclient against a driver.
// A driver's test is one line: arraytest.Run(t, open).
package arraytest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// VolumeSize is the size of the volumes that the rules are tried on, in bytes.
const VolumeSize = 2 << 20

// Run holds the array that open returns, which has no volumes, against the
// rules. Each rule gets an array of its own. The rules of optional acts are for
// arrays whose Properties name them as a feature.
func Run(t *testing.T, open func(t *testing.T) arrayclient.Array) {
	t.Helper()
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			rule.check(&bench{t, open(t), context.Background()})
		})
	}
}

var rules = []struct {
	name  string
	check func(*bench)
}{
	{"ImageOfOneInstant", (*bench).imageOfOneInstant},
	{"TargetIsWritable", (*bench).targetIsWritable},
	{"AllOrNothing", (*bench).allOrNothing},
	{"OntoItself", (*bench).ontoItself},
	{"OneSourceForATarget", (*bench).oneSourceForATarget},
	{"NoCascades", (*bench).noCascades},
	{"TwelveTargets", (*bench).twelveTargets},
	{"TargetTooSmall", (*bench).targetTooSmall},
	{"LargerTarget", (*bench).largerTarget},
	{"UnknownVolume", (*bench).unknownVolume},
	{"DeleteInRelationship", (*bench).deleteInRelationship},
	{"Withdraw", (*bench).withdraw},
	{"WithdrawUnknown", (*bench).withdrawUnknown},
	{"NocopyStays", (*bench).nocopyStays},
	{"PersistentStays", (*bench).persistentStays},
	{"TargetInhibit", (*bench).targetInhibit},
	{"Resync", (*bench).resync},
	{"Reverse", (*bench).reverse},
	{"OnlyWithRecording", (*bench).onlyWithRecording},
	{"OneRecordingRelationship", (*bench).oneRecordingRelationship},
	{"BackgroundCopy", (*bench).backgroundCopy},
	{"Freeze", (*bench).freeze},
	{"CopyRate", (*bench).copyRate},
	{"Expand", (*bench).expand},
	{"VolumesOfZeros", (*bench).volumesOfZeros},
	{"BadVolumes", (*bench).badVolumes},
	{"BeyondTheEnd", (*bench).beyondTheEnd},
}

// bench is one array under test.
type bench struct {
	t     *testing.T
	array arrayclient.Array
	ctx   context.Context
}

var nocopy = arrayclient.Options{NoCopy: true}

func (b *bench) create(size int64, count int) []arrayclient.Serial {
	b.t.Helper()
	list, err := b.array.CreateVolumes(b.ctx, arrayclient.VolumeSpec{Size: size, Count: count})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(list) != count {
		b.t.Fatalf("%d volumes were created, not %d", len(list), count)
	}
	var serials []arrayclient.Serial
	for _, v := range list {
		serials = append(serials, v.Serial)
	}
	return serials
}

func (b *bench) open(s arrayclient.Serial) arrayclient.VolumeIO {
	b.t.Helper()
	opener, ok := arrayclient.As[arrayclient.Opener](b.array)
	if !ok {
		b.t.Fatal("the array cannot open volumes, so its images cannot be looked at")
	}
	v, err := opener.OpenVolume(b.ctx, s)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { v.Close() })
	return v
}

func (b *bench) fill(s arrayclient.Serial, with byte) {
	b.t.Helper()
	v := b.open(s)
	defer v.Close()
	if _, err := v.WriteAt(bytes.Repeat([]byte{with}, int(v.Size())), 0); err != nil {
		b.t.Fatal(err)
	}
}

// holds checks that the first VolumeSize bytes of s are all of one value.
func (b *bench) holds(s arrayclient.Serial, want byte) {
	b.t.Helper()
	v := b.open(s)
	defer v.Close()
	p := make([]byte, VolumeSize)
	if _, err := v.ReadAt(p, 0); err != nil {
		b.t.Fatal(err)
	}
	if i := len(p) - len(bytes.TrimLeft(p, string([]byte{want}))); i < len(p) {
		b.t.Fatalf("volume %s has %#x at %d, not %#x", s, p[i], i, want)
	}
}

func pairOf(src, tgt arrayclient.Serial) arrayclient.Pair {
	return arrayclient.Pair{Source: src, Target: tgt}
}

func (b *bench) establish(opts arrayclient.Options, pairs ...arrayclient.Pair) {
	b.t.Helper()
	if err := b.array.Establish(b.ctx, pairs, opts); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) relationships() []arrayclient.Relationship {
	b.t.Helper()
	rels, err := b.array.Relationships(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return rels
}

// fails checks the kind of err and that it names the volumes.
func (b *bench) fails(err error, kind fault.Kind, names ...arrayclient.Serial) {
	b.t.Helper()
	if got := fault.KindOf(err); got != kind {
		b.t.Fatalf("error %v is of kind %q, not %q", err, got, kind)
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), string(name)) {
			b.t.Fatalf("error %q does not name %s", err, name)
		}
	}
}

// refused checks that pairs cannot be established and that nothing changes.
func (b *bench) refused(names []arrayclient.Serial, pairs ...arrayclient.Pair) {
	b.t.Helper()
	before := fmt.Sprint(b.pairs())
	b.rehearsed(arrayclient.ActEstablish, fault.Refused, pairs...)
	err := b.array.Establish(b.ctx, pairs, nocopy)
	b.fails(err, fault.Refused, names...)
	if after := fmt.Sprint(b.pairs()); after != before {
		b.t.Fatalf("the refused establish changed the relationships from %s to %s", before, after)
	}
}

// rehearsed checks of what kind the error of a rehearsal is; empty: of none.
func (b *bench) rehearsed(act arrayclient.Act, kind fault.Kind, pairs ...arrayclient.Pair) {
	b.t.Helper()
	r, ok := arrayclient.As[arrayclient.Rehearser](b.array)
	if !ok {
		return
	}
	err := r.Rehearse(b.ctx, act, pairs, nocopy)
	if got := fault.KindOf(err); err != nil && got != kind || err == nil && kind != "" {
		b.t.Fatalf("the rehearsal of %s %v says %v, which is not of kind %q", act, pairs, err, kind)
	}
}

func (b *bench) pairs() []arrayclient.Pair {
	var list []arrayclient.Pair
	for _, r := range b.relationships() {
		list = append(list, r.Pair)
	}
	return list
}

// waitGone waits until the relationship of a target has ended.
func (b *bench) waitState(target arrayclient.Serial, done func([]arrayclient.Relationship) bool) {
	b.t.Helper()
	for range 3000 {
		rels, err := b.array.Relationships(b.ctx, target)
		if err != nil {
			b.t.Fatal(err)
		}
		if done(rels) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatalf("the copy to %s does not end", target)
}

func gone(rels []arrayclient.Relationship) bool { return len(rels) == 0 }
