// Package arraytest holds the rules of package arrayclient against a driver.
package arraytest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Harness is what the tests of a driver need beside the interface.
type Harness struct {
	// Open returns an array that has no volumes. Each rule gets one of its own, and
	// whatever it needs to be closed is closed when the test ends.
	Open func(t *testing.T) Subject
	// VolumeSize is the size of the volumes that the rules are tried on, in bytes: a
	// multiple of the array's tracks; 0 is 2 MiB. Twice of it must be one too.
	VolumeSize int64
	// MinSize and MaxSize are those of a volume, and Grain is what its size must be a
	// multiple of, all in bytes; 0 for no such bound.
	MinSize, MaxSize, Grain int64
	// Skip has the reason for which a rule is not tried, by its name. A rule of what
	// the array lacks that is not in it fails where CI is set in the environment, so
	// that nobody takes for tested what is not.
	Skip map[string]string
}

// Subject is an array under test.
type Subject struct {
	Array arrayclient.Array
	// Reopen closes the array and returns it as it is after a restart; nil where that
	// cannot be done.
	Reopen func() arrayclient.Array
	// OpenVolume opens the content of a volume as a host that has it attached; nil for
	// an array that is an arrayclient.Opener.
	OpenVolume func(context.Context, arrayclient.Serial) (arrayclient.VolumeIO, error)
}

// Run holds the array of h against the rules, each a test of its own.
func Run(t *testing.T, h Harness) {
	t.Helper()
	h.VolumeSize = cmp.Or(h.VolumeSize, 2<<20)
	for name := range h.Skip {
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.name == name }) {
			t.Errorf("there is no rule %s that could be skipped", name)
		}
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			if reason, ok := h.Skip[rule.name]; ok {
				t.Skip(reason)
			}
			b := &bench{t: t, h: h, Subject: h.Open(t), ctx: context.Background()}
			b.facts = b.properties()
			rule.check(b)
		})
	}
}

// rule is one of those that package arrayclient states.
type rule struct {
	name  string
	check func(*bench)
}

var rules = []rule{
	{"Properties", (*bench).propertiesHold},
	{"ImageOfOneInstant", (*bench).imageOfOneInstant},
	{"TargetIsWritable", (*bench).targetIsWritable},
	{"AllOrNothing", (*bench).allOrNothing},
	{"OntoItself", (*bench).ontoItself},
	{"OneSourceForATarget", (*bench).oneSourceForATarget},
	{"NoCascades", (*bench).noCascades},
	{"MostTargets", (*bench).mostTargets},
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
	{"Label", (*bench).label},
	{"Rehearse", (*bench).rehearse},
	{"Reopen", (*bench).reopen},
	{"VolumesOfZeros", (*bench).volumesOfZeros},
	{"BadVolumes", (*bench).badVolumes},
	{"BeyondTheEnd", (*bench).beyondTheEnd},
	{"Extents", (*bench).extents},
}

// bench is one array under test.
type bench struct {
	t *testing.T
	h Harness
	Subject
	facts arrayclient.Properties
	ctx   context.Context
}

// lacks ends a rule of something that the array, or its harness, does not have.
func (b *bench) lacks(what string) {
	b.t.Helper()
	if os.Getenv("CI") != "" {
		b.t.Fatalf("the array has no %s: name the rule among those to skip, with the reason", what)
	}
	b.t.Skipf("the array has no %s", what)
}

func (b *bench) properties() arrayclient.Properties {
	b.t.Helper()
	p, err := b.Array.Properties(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	if p.TrackSize <= 0 || p.MaxTargets <= 0 || p.MaxVolumes <= 0 || p.Driver == "" ||
		p.ID == (arrayclient.ArrayID{}) {
		b.t.Fatalf("the properties are %+v", p)
	}
	return p
}

var nocopy = arrayclient.Options{NoCopy: true}

func (b *bench) create(size int64, count int) []arrayclient.Serial {
	b.t.Helper()
	list, err := b.Array.CreateVolumes(b.ctx, arrayclient.VolumeSpec{Size: size, Count: count})
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

func (b *bench) volumes() []arrayclient.Volume {
	b.t.Helper()
	list, err := b.Array.Volumes(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

func (b *bench) volume(serial arrayclient.Serial) arrayclient.Volume {
	b.t.Helper()
	for _, v := range b.volumes() {
		if v.Serial == serial {
			return v
		}
	}
	b.t.Fatalf("volume %s is not listed", serial)
	return arrayclient.Volume{}
}

func (b *bench) open(s arrayclient.Serial) arrayclient.VolumeIO {
	b.t.Helper()
	open := b.OpenVolume
	if open == nil {
		opener, ok := arrayclient.As[arrayclient.Opener](b.Array)
		if !ok {
			b.t.Fatal("neither array nor harness can open volumes, so images cannot be looked at")
		}
		open = opener.OpenVolume
	}
	v, err := open(b.ctx, s)
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

// holds checks that the first bytes of s, as many as a volume has, are all of one value.
func (b *bench) holds(s arrayclient.Serial, want byte) {
	b.t.Helper()
	v := b.open(s)
	defer v.Close()
	p := make([]byte, b.h.VolumeSize)
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
	if err := b.Array.Establish(b.ctx, pairs, opts); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) relationships() []arrayclient.Relationship {
	b.t.Helper()
	rels, err := b.Array.Relationships(b.ctx)
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
	err := b.Array.Establish(b.ctx, pairs, nocopy)
	b.fails(err, fault.Refused, names...)
	if after := fmt.Sprint(b.pairs()); after != before {
		b.t.Fatalf("the refused establish changed the relationships from %s to %s", before, after)
	}
}

// rehearsed checks of what kind the error of a rehearsal is; empty: of none.
func (b *bench) rehearsed(act arrayclient.Act, kind fault.Kind, pairs ...arrayclient.Pair) {
	b.t.Helper()
	r, ok := arrayclient.As[arrayclient.Rehearser](b.Array)
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
		rels, err := b.Array.Relationships(b.ctx, target)
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
