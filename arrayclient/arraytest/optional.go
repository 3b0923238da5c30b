package arraytest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// feature returns the array as T, and skips the rule for an array that does not
// have that.
func feature[T any](b *bench, name string) T {
	b.t.Helper()
	act, ok := arrayclient.As[T](b.Array)
	if ok != slices.Contains(arrayclient.Features(b.Array), name) {
		b.t.Fatalf("%s: the array has it is %v, its features are %v", name, ok,
			arrayclient.Features(b.Array))
	}
	if !ok {
		b.lacks(name)
	}
	return act
}

var record = arrayclient.Options{Record: true}

func (b *bench) waitCopied(target arrayclient.Serial) {
	b.t.Helper()
	b.waitState(target, func(rels []arrayclient.Relationship) bool {
		return len(rels) == 1 && rels[0].State == arrayclient.StateComplete
	})
}

func (b *bench) writeAt(s arrayclient.Serial, with byte, track int64) {
	b.t.Helper()
	v := b.open(s)
	defer v.Close()
	if _, err := v.WriteAt([]byte{with}, track*b.facts.TrackSize); err != nil {
		b.t.Fatal(err)
	}
}

// firstOf returns the first byte of a track.
func (b *bench) firstOf(s arrayclient.Serial, track int64) byte {
	b.t.Helper()
	v := b.open(s)
	defer v.Close()
	var p [1]byte
	if _, err := v.ReadAt(p[:], track*b.facts.TrackSize); err != nil {
		b.t.Fatal(err)
	}
	return p[0]
}

func (b *bench) resync() {
	resyncer := feature[arrayclient.Resyncer](b, "resync")
	v := b.create(b.h.VolumeSize, 2)
	pairs := []arrayclient.Pair{pairOf(v[0], v[1])}
	b.fill(v[0], 1)
	b.establish(record, pairs...)
	b.waitCopied(v[1])
	b.writeAt(v[0], 2, 3)
	b.writeAt(v[1], 9, 5)
	if r := b.relationships()[0]; r.Changed != 2 && !b.facts.EstimatedCounts {
		b.t.Fatalf("2 tracks were changed, %d are recorded", r.Changed)
	}
	if err := resyncer.Resync(b.ctx, pairs); err != nil {
		b.t.Fatal(err)
	}
	if r := b.relationships()[0]; r.OutOfSync > 2 && !b.facts.EstimatedCounts {
		b.t.Fatalf("%d tracks are out of sync, 2 were changed", r.OutOfSync)
	}
	b.writeAt(v[0], 3, 3)
	b.waitCopied(v[1])
	if a, c := b.firstOf(v[1], 3), b.firstOf(v[1], 5); a != 2 || c != 1 {
		b.t.Fatalf("the refreshed target has %d and %d, not 2 and 1", a, c)
	}
}

func (b *bench) reverse() {
	reverser := feature[arrayclient.Reverser](b, "reverse")
	v := b.create(b.h.VolumeSize, 2)
	forth := []arrayclient.Pair{pairOf(v[0], v[1])}
	back := []arrayclient.Pair{pairOf(v[1], v[0])}
	b.fill(v[0], 1)
	b.establish(record, forth...)
	b.waitCopied(v[1])
	b.writeAt(v[0], 2, 3)
	b.rehearsed(arrayclient.ActReverse, "", forth...)
	if err := reverser.Reverse(b.ctx, forth); err != nil {
		b.t.Fatal(err)
	}
	if got := b.pairs(); len(got) != 1 || got[0] != back[0] {
		b.t.Fatalf("after the reverse there is %v", got)
	}
	b.holds(v[0], 1)
	b.writeAt(v[1], 4, 0)
	b.holds(v[0], 1)
	b.waitCopied(v[0])
	if err := reverser.Reverse(b.ctx, back); err != nil {
		b.t.Fatal(err)
	}
	b.holds(v[1], 1)
	b.fails(reverser.Reverse(b.ctx, back), fault.NotFound)
}

func (b *bench) onlyWithRecording() {
	resyncer := feature[arrayclient.Resyncer](b, "resync")
	reverser := feature[arrayclient.Reverser](b, "reverse")
	v := b.create(b.h.VolumeSize, 4)
	plain := []arrayclient.Pair{pairOf(v[0], v[1])}
	b.fill(v[2], 1)
	b.establish(nocopy, plain...)
	b.rehearsed(arrayclient.ActResync, fault.Refused, plain...)
	b.rehearsed(arrayclient.ActReverse, fault.Refused, plain...)
	b.fails(resyncer.Resync(b.ctx, plain), fault.Refused, v[:2]...)
	b.fails(reverser.Reverse(b.ctx, plain), fault.Refused, v[:2]...)
	incomplete := []arrayclient.Pair{pairOf(v[2], v[3])}
	b.establish(arrayclient.Options{Record: true, NoCopy: true}, incomplete...)
	b.rehearsed(arrayclient.ActResync, "", incomplete...)
	b.rehearsed(arrayclient.ActReverse, fault.Refused, incomplete...)
	b.fails(reverser.Reverse(b.ctx, incomplete), fault.Refused, v[2:]...)
	both := append(incomplete, plain...)
	b.fails(resyncer.Resync(b.ctx, both), fault.Refused, v[:2]...)
}

func (b *bench) oneRecordingRelationship() {
	feature[arrayclient.Resyncer](b, "record")
	v := b.create(b.h.VolumeSize, 4)
	b.establish(record, pairOf(v[0], v[1]))
	err := b.Array.Establish(b.ctx, []arrayclient.Pair{pairOf(v[0], v[2])}, record)
	b.fails(err, fault.Refused, v[0], v[2])
	b.establish(nocopy, pairOf(v[0], v[3]))
}

func (b *bench) backgroundCopy() {
	copier := feature[arrayclient.BackgroundCopier](b, "background-copy")
	v := b.create(b.h.VolumeSize, 2)
	pairs := []arrayclient.Pair{pairOf(v[0], v[1])}
	b.fill(v[0], 1)
	b.rehearsed(arrayclient.ActBackgroundCopy, fault.NotFound, pairs...)
	b.fails(copier.BackgroundCopy(b.ctx, pairs), fault.NotFound)
	b.establish(nocopy, pairs...)
	b.rehearsed(arrayclient.ActBackgroundCopy, "", pairs...)
	if err := copier.BackgroundCopy(b.ctx, pairs); err != nil {
		b.t.Fatal(err)
	}
	b.waitState(v[1], gone)
	b.holds(v[1], 1)
}

func (b *bench) freeze() {
	freezer := feature[arrayclient.Freezer](b, "freeze")
	v := b.create(b.h.VolumeSize, 4)
	first, second := pairOf(v[0], v[2]), pairOf(v[1], v[3])
	frozen := arrayclient.Options{NoCopy: true, Freeze: true}
	b.establish(frozen, first)
	written := make(chan struct{})
	vol := b.open(v[0])
	go func() {
		defer close(written)
		vol.WriteAt([]byte{1}, 0)
	}()
	b.holds(v[0], 0)
	b.establish(frozen, second)
	select {
	case <-written:
		b.t.Fatal("a write to a frozen source came through")
	case <-time.After(50 * time.Millisecond):
	}
	b.rehearsed(arrayclient.ActConsistencyCreated, "", first, second)
	if err := freezer.ConsistencyCreated(b.ctx, []arrayclient.Pair{first, second}); err != nil {
		b.t.Fatal(err)
	}
	<-written
	b.holds(v[2], 0)
	b.holds(v[3], 0)
	if got := b.firstOf(v[0], 0); got != 1 {
		b.t.Fatalf("the write that waited is lost: %d", got)
	}
}

func (b *bench) copyRate() {
	setter := feature[arrayclient.RateSetter](b, "copy-rate")
	v := b.create(b.h.VolumeSize, 2)
	pair := pairOf(v[0], v[1])
	b.fill(v[0], 1)
	b.fails(setter.SetCopyRate(b.ctx, -1), fault.Usage)
	if err := setter.SetCopyRate(b.ctx, b.facts.TrackSize); err != nil {
		b.t.Fatal(err)
	}
	b.establish(arrayclient.Options{Persistent: true}, pair)
	time.Sleep(50 * time.Millisecond)
	b.fails(setter.SetCopyRate(b.ctx, 1<<30, pairOf(v[1], v[0])), fault.NotFound)
	if err := setter.SetCopyRate(b.ctx, 1<<30, pair); err != nil {
		b.t.Fatal(err)
	}
	begin := time.Now()
	if err := setter.SetCopyRate(b.ctx, 0); err != nil {
		b.t.Fatal(err)
	}
	b.waitCopied(v[1])
	if took := time.Since(begin); took > 10*time.Second {
		b.t.Fatalf("with the bound lifted the copy took %v", took)
	}
	b.holds(v[1], 1)
}

func (b *bench) expand() {
	expander := feature[arrayclient.Expander](b, "expand")
	v := b.create(b.h.VolumeSize, 2)
	b.fill(v[0], 1)
	b.fails(expander.ExpandVolume(b.ctx, v[0], b.h.VolumeSize/2), fault.Refused, v[0])
	if b.h.Grain > 1 {
		b.fails(expander.ExpandVolume(b.ctx, v[0], 2*b.h.VolumeSize+1), fault.Usage)
	}
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.fails(expander.ExpandVolume(b.ctx, v[0], 2*b.h.VolumeSize), fault.Refused, v[0])
	b.fails(expander.ExpandVolume(b.ctx, v[1], 2*b.h.VolumeSize), fault.Refused, v[1])
	if _, err := b.Array.Withdraw(b.ctx, []arrayclient.Pair{pairOf(v[0], v[1])}); err != nil {
		b.t.Fatal(err)
	}
	if err := expander.ExpandVolume(b.ctx, v[0], 2*b.h.VolumeSize); err != nil {
		b.t.Fatal(err)
	}
	b.holds(v[0], 1)
	vol := b.open(v[0])
	p := make([]byte, b.h.VolumeSize)
	if _, err := vol.ReadAt(p, b.h.VolumeSize); err != nil || vol.Size() != 2*b.h.VolumeSize {
		b.t.Fatalf("the expanded volume has %d bytes: %v", vol.Size(), err)
	}
	if slices.ContainsFunc(p, func(c byte) bool { return c != 0 }) {
		b.t.Fatal("what was added does not read as zeros")
	}
}

func (b *bench) label() {
	labeler := feature[arrayclient.Labeler](b, "label")
	v := b.create(b.h.VolumeSize, 1)[0]
	for _, label := range []string{"mail, the second", "ü", ""} {
		if err := labeler.SetLabel(b.ctx, v, label); err != nil {
			b.t.Fatal(err)
		}
		if got := b.volume(v).Label; got != label {
			b.t.Fatalf("the label is %q, not %q", got, label)
		}
	}
	for _, bad := range []string{"a\nb", "\xff", strings.Repeat("x", 257)} {
		b.fails(labeler.SetLabel(b.ctx, v, bad), fault.Usage)
	}
	unknown := arrayclient.MakeSerial(0xEEE, v.ArraySerial())
	b.fails(labeler.SetLabel(b.ctx, unknown, "x"), fault.NotFound, unknown)
}

// rehearse tries what the other rules, which rehearse what they do where they can, do
// not.
func (b *bench) rehearse() {
	r, ok := arrayclient.As[arrayclient.Rehearser](b.Array)
	if !ok {
		b.lacks("rehearsals")
	}
	v := b.create(b.h.VolumeSize, 2)
	pair := pairOf(v[0], v[1])
	b.rehearsed(arrayclient.ActEstablish, "", pair)
	b.rehearsed(arrayclient.ActEstablish, fault.Refused, pair, pair)
	unknown := arrayclient.MakeSerial(0xEEE, v[0].ArraySerial())
	b.fails(r.Rehearse(b.ctx, arrayclient.ActEstablish, []arrayclient.Pair{pairOf(v[0], unknown)}, nocopy),
		fault.NotFound, unknown)
	if rels := b.relationships(); len(rels) != 0 {
		b.t.Fatalf("a rehearsal left %v", rels)
	}
}

// reopen wants all of it back after a restart: volumes, content, images, and copies that
// go on.
func (b *bench) reopen() {
	if b.Reopen == nil {
		b.lacks("way to restart it")
	}
	v := b.create(b.h.VolumeSize, 4)
	b.fill(v[0], 1)
	b.establish(nocopy, pairOf(v[0], v[1]))
	b.establish(arrayclient.Options{Persistent: true}, pairOf(v[0], v[2]))
	b.waitCopied(v[2])
	b.fill(v[0], 2)
	b.establish(arrayclient.Options{}, pairOf(v[0], v[3]))
	b.flush(v[0])
	before := b.known()
	b.Array = b.Reopen()
	if after := b.known(); !slices.Equal(after, before) {
		b.t.Fatalf("after a restart there is\n%s\nbefore it there was\n%s", after, before)
	}
	b.fill(v[0], 3)
	for i, want := range []byte{3, 1, 1, 2} {
		b.holds(v[i], want)
	}
	b.waitState(v[3], gone)
	b.holds(v[3], 2)
	if _, err := b.Array.Withdraw(b.ctx, []arrayclient.Pair{pairOf(v[0], v[1])}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) flush(s arrayclient.Serial) {
	b.t.Helper()
	v := b.open(s)
	defer v.Close()
	if err := v.Flush(); err != nil {
		b.t.Fatal(err)
	}
}

// known returns what the array says of its volumes, and of the relationships that do not
// end by themselves, without what goes on changing.
func (b *bench) known() []string {
	b.t.Helper()
	var list []string
	for _, v := range b.volumes() {
		list = append(list, fmt.Sprint(v.Serial, v.Size, v.Label, v.Created.UTC()))
	}
	for _, r := range b.relationships() {
		if r.Options.Persistent || r.Options.NoCopy {
			list = append(list, fmt.Sprint(r.Pair, r.Options, r.State, r.Tracks, r.Established.UTC()))
		}
	}
	return list
}
