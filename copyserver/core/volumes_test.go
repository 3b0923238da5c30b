package core_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/core"
	"copyservices/taskstore"
)

// to returns a pointer to v.
func to[T any](v T) *T { return &v }

func hostsOf(names ...string) *[]taskstore.HostAccess {
	all := []taskstore.HostAccess{}
	for _, name := range names {
		all = append(all, taskstore.HostAccess{Host: name})
	}
	return &all
}

func (w *world) change(serial arrayclient.Serial, change core.VolumeChange) core.Volume {
	w.Helper()
	v, err := w.ChangeVolume(w.Context(), admin, serial, change)
	must(w.T, err)
	return v
}

// unchanged wants a change to be refused.
func (w *world) unchanged(
	serial arrayclient.Serial, change core.VolumeChange, kind fault.Kind, text, hint string,
) {
	w.Helper()
	w.refused(kind, text, hint, func() error {
		return failed(w.ChangeVolume(w.Context(), admin, serial, change))
	})
}

func TestVolumesTellWhoUsesThem(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(2)
	w.prime("vm", v[0])
	w.prime("other", v[0])
	w.change(v[0], core.VolumeChange{Assigned: hostsOf("vm")})
	defer w.attach(v[0])()
	all, named := w.described(), w.described(v[1], v[0])
	one, err := w.Volume(w.Context(), monitor, v[0])
	must(t, err)
	if len(all) != 2 || len(named) != 2 || named[0].Serial != v[1] || asJSON(t, named[1]) != asJSON(t, one) ||
		asJSON(t, all[0]) != asJSON(t, one) || asJSON(t, all[1]) != asJSON(t, named[0]) {
		t.Errorf("all %+v\nnamed %+v\none %+v", all, named, one)
	}
	if !slices.Equal(one.Seen, []string{"other:Disk1", "vm:Disk1"}) || len(one.Attached) != 1 ||
		!slices.Equal(one.Assigned, *hostsOf("vm")) || one.Array.String() != "2105.13698" {
		t.Errorf("volume %+v", one)
	}
	if named[0].Seen != nil || named[0].Assigned != nil || named[0].Attached != nil {
		t.Errorf("a volume that nobody uses: %+v", named[0])
	}
}

func TestVolumesThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	w.change(w.volumes(1)[0], core.VolumeChange{Label: to("only")})
	for serial, text := range map[arrayclient.Serial]string{
		"FFF13698": "no volume FFF13698", "00099999": "volume 00099999 belongs to no array",
	} {
		for name, do := range map[string]func() error{
			"show": func() error { return failed(w.Volume(w.Context(), monitor, serial)) },
			"list": func() error { return failed(w.Volumes(w.Context(), monitor, "00013698", serial)) },
			"change": func() error {
				change := core.VolumeChange{Label: to("x"), Assigned: hostsOf("vm")}
				return failed(w.ChangeVolume(w.Context(), admin, serial, change))
			},
			"delete": func() error { return w.DeleteVolume(w.Context(), admin, serial) },
			"read":   func() error { return closed(w.OpenContent(w.Context(), admin, serial)) },
			"write":  func() error { return closed(w.ReplaceContent(w.Context(), admin, serial, true)) },
		} {
			w.refused(fault.NotFound, text, "esscli list volume", func() error {
				err := do()
				if err == nil {
					t.Errorf("%s %s: no error", name, serial)
				}
				return err
			})
		}
	}
}

func TestVolumesThatCannotBeMade(t *testing.T) {
	w := newWorld(t)
	w.refused(fault.NotFound, "no array 2105.99999", "there are 2105.13698", func() error {
		return failed(w.CreateVolumes(admin, "2105.99999", arrayclient.VolumeSpec{Size: 1 << 20}))
	})
	w.refused(fault.Usage, "cannot be made", "1 MiB to 16 TiB", func() error {
		return failed(finish(w.CreateVolumes(admin, "2105.13698", arrayclient.VolumeSpec{Size: 1})))
	})
}

func TestVolumeChangesAsAWhole(t *testing.T) {
	w := newWorld(t)
	serial := w.volumes(1)[0]
	v := w.change(serial, core.VolumeChange{Label: to("data"), Size: 2 << 20, Assigned: hostsOf("vm")})
	if v.Label != "data" || v.Size != 2<<20 || !slices.Equal(v.Assigned, *hostsOf("vm")) || w.reassigned != 1 {
		t.Errorf("volume %+v, looked at hosts %d times", v, w.reassigned)
	}
	v = w.change(serial, core.VolumeChange{Label: to("")})
	if v.Label != "" || v.Size != 2<<20 || len(v.Assigned) != 1 || w.reassigned != 1 {
		t.Errorf("volume %+v, looked at hosts %d times", v, w.reassigned)
	}
	v = w.change(serial, core.VolumeChange{Assigned: hostsOf()})
	if v.Assigned != nil || w.reassigned != 2 {
		t.Errorf("volume %+v, looked at hosts %d times", v, w.reassigned)
	}
	w.change(serial, core.VolumeChange{Assigned: hostsOf()})
}

func TestVolumeChangesThatCannotBe(t *testing.T) {
	w := newWorld(t)
	serial := w.volumes(1)[0]
	w.change(serial, core.VolumeChange{Label: to("data"), Assigned: hostsOf("vm")})
	label, hosts := to("x"), hostsOf("other")
	w.unchanged(serial, core.VolumeChange{}, fault.Usage, "no change of volume 00013698 is asked for", "")
	for _, c := range []struct {
		change core.VolumeChange
		text   string
	}{
		{core.VolumeChange{Label: label, Assigned: hostsOf("a", "A")}, `to host "A" twice`},
		{core.VolumeChange{Label: label, Assigned: hostsOf("a:b")}, "name of a host has no ':'"},
		{core.VolumeChange{Label: to(strings.Repeat("x", 300)), Assigned: hosts}, "a label has at most 256"},
		{core.VolumeChange{Label: label, Assigned: hosts, Size: 1}, "1"},
		{core.VolumeChange{Label: label, Assigned: hosts, Size: -1}, "-1"},
	} {
		w.unchanged(serial, c.change, fault.Usage, c.text, "")
	}
	target := w.volumes(1)[0]
	w.establish(arrayclient.Options{NoCopy: true}, serial, target)
	w.unchanged(serial, core.VolumeChange{Label: label, Assigned: hosts, Size: 2 << 20}, fault.Refused,
		"relationship", "")
}

// TestVolumeChangeIsTakenBack where the array fails at one of its steps. A host may
// have attached the volume meanwhile, or lost it.
func TestVolumeChangeIsTakenBack(t *testing.T) {
	w := newWorld(t)
	serial := w.volumes(1)[0]
	change := core.VolumeChange{Label: to("new"), Size: 2 << 20, Assigned: hostsOf("other")}
	for _, assigned := range []*[]taskstore.HostAccess{hostsOf("vm"), hostsOf()} {
		w.change(serial, core.VolumeChange{Label: to("data"), Assigned: assigned})
		for _, step := range []string{"SetLabel", "ExpandVolume"} {
			w.array.fail(step, 1)
			w.reassigned = 0
			w.unchanged(serial, change, fault.Failed, "the array is broken", "")
			if w.reassigned == 0 {
				t.Errorf("%s failed: a host that attached the volume meanwhile keeps it", step)
			}
		}
	}
}

func TestVolumeChangeThatCannotBeTakenBack(t *testing.T) {
	w := newWorld(t)
	serial := w.volumes(1)[0]
	w.change(serial, core.VolumeChange{Label: to("data"), Assigned: hostsOf("vm")})
	w.array.fail("ExpandVolume", 1)
	w.array.fail("SetLabel", 2)
	change := core.VolumeChange{Label: to("new"), Size: 2 << 20, Assigned: hostsOf("other")}
	_, err := w.ChangeVolume(w.Context(), admin, serial, change)
	wantFault(t, err, fault.Server, "the array is broken", "a part of the change was made")
	v, err := w.Volume(w.Context(), monitor, serial)
	must(t, err)
	if v.Label != "new" || v.Size != 1<<20 || !slices.Equal(v.Assigned, *hostsOf("vm")) {
		t.Errorf("what could be taken back was not: %+v", v)
	}
}

// TestVolumeChangeGoesOn when who asked for it has left.
func TestVolumeChangeGoesOn(t *testing.T) {
	w := newWorld(t)
	serial := w.volumes(1)[0]
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	v, err := w.ChangeVolume(gone, admin, serial, core.VolumeChange{Label: to("data"), Size: 2 << 20})
	if err != nil || v.Label != "data" || v.Size != 2<<20 {
		t.Errorf("volume %+v, %v", v, err)
	}
}

func TestDeleteVolume(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(3)
	w.change(v[0], core.VolumeChange{Assigned: hostsOf("vm")})
	detach := w.attach(v[0])
	remove := func(serial arrayclient.Serial) func() error {
		return func() error { return w.DeleteVolume(w.Context(), admin, serial) }
	}
	w.refused(fault.Refused, "volume 00013698 is in use by a host: attached to 192.0.2.7", "detach it there", remove(v[0]))
	detach()
	w.array.fail("DeleteVolume", 1)
	w.refused(fault.Failed, "the array is broken", "", remove(v[0]))
	w.establish(arrayclient.Options{NoCopy: true}, v[0], v[1])
	w.refused(fault.Refused, "volume 00013698 is the source of 00113698", "withdraw", remove(v[0]))
	_, err := finish(w.Withdraw(admin, pairs(v[0], v[1])))
	must(t, err)
	must(t, w.DeleteVolume(w.Context(), admin, v[0]))
	next := w.volumes(1)[0]
	one, err := w.Volume(w.Context(), monitor, next)
	if next != v[0] || err != nil || one.Assigned != nil {
		t.Errorf("the volume that has its serial now is %s, assigned to %v, %v", next, one.Assigned, err)
	}
}

func TestVolumesOfABareArray(t *testing.T) {
	w := newWorldOf(t, func(a *brittle) arrayclient.Array { return bare{a} })
	serial := w.volumes(1)[0]
	const hint = "esscli show array lists what it does"
	for text, change := range map[string]core.VolumeChange{
		"array 2105.13698 does not support the change of labels": {Label: to("x"), Assigned: hostsOf("vm")},
		"does not support the expansion of volumes":              {Size: 2 << 20, Assigned: hostsOf("vm")},
	} {
		w.unchanged(serial, change, fault.Refused, text, hint)
	}
	w.change(serial, core.VolumeChange{Assigned: hostsOf("vm")})
}

// described returns the volumes named, all when none is.
func (w *world) described(serials ...arrayclient.Serial) []core.Volume {
	w.Helper()
	volumes, err := w.Volumes(w.Context(), monitor, serials...)
	must(w.T, err)
	return volumes.All
}
