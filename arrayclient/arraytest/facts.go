package arraytest

import (
	"fmt"
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
