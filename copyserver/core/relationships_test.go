package core_test

import (
	"slices"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/core"
	"copyservices/taskstore"
)

var nocopy = arrayclient.Options{NoCopy: true}

func TestRelationshipsOfVolumes(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(5)
	w.establish(nocopy, v[0], v[1], v[2], v[3])
	for _, c := range []struct{ asked, targets []arrayclient.Serial }{
		{nil, []arrayclient.Serial{v[1], v[3]}},
		{v[:1], v[1:2]},
		{v[3:4], v[3:4]},
		{v[4:], nil},
	} {
		rels, err := w.Relationships(w.Context(), monitor, c.asked...)
		must(t, err)
		var targets []arrayclient.Serial
		for _, r := range rels.All {
			targets = append(targets, r.Target)
		}
		if !slices.Equal(targets, c.targets) {
			t.Errorf("of %v the targets %v, want %v", c.asked, targets, c.targets)
		}
	}
	for serial, text := range map[arrayclient.Serial]string{
		"FFF13698": "no volume FFF13698", "00099999": "volume 00099999 belongs to no array",
	} {
		w.refused(fault.NotFound, text, "esscli list volume", func() error {
			return failed(w.Relationships(w.Context(), monitor, v[0], serial))
		})
	}
}

func TestPairsOfDevices(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(3)
	w.prime("vm", v[0], v[1])
	asked := pairs("vm:Disk1", "VM:Disk2")
	want := taskstore.ResolvedPair{Source: string(v[0]), Target: string(v[1]), From: asked[0]}
	do, err := w.Establish(admin, asked, nocopy)
	must(t, err)
	w.prime("vm", v[0], v[2]) // between finding out and doing
	result, err := finish(do, nil)
	must(t, err)
	if !slices.Equal(result.Pairs, []taskstore.ResolvedPair{want}) || result.Warnings != nil {
		t.Errorf("established %+v, want %+v", result, want)
	}
	for text, ends := range map[string][]string{
		`unknown host "other"`:           {"other:Disk1", "vm:Disk2"},
		`host "vm" has no device "Disk"`: {"vm:Disk1", "vm:Disk"},
	} {
		w.refused(fault.NotFound, text, "run rsPrimeServer on that host", func() error {
			return failed(w.Withdraw(admin, pairs(ends...)))
		})
	}
}

func TestPairsAllOrNone(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(4)
	w.establish(nocopy, v[0], v[1])
	bad := []struct {
		kind fault.Kind
		text string
		ends []arrayclient.Serial
	}{
		{fault.NotFound, "no volume FFF13698", []arrayclient.Serial{v[2], v[3], v[0], "FFF13698"}},
		{fault.NotFound, "belongs to no array", []arrayclient.Serial{v[2], v[3], v[0], "00099999"}},
		{fault.Usage, "is neither a volume serial nor", []arrayclient.Serial{v[2], v[3], v[0], "nonsense"}},
	}
	for _, c := range bad {
		w.refused(c.kind, c.text, "", func() error {
			return failed(finish(w.Establish(admin, pairs(c.ends...), nocopy)))
		})
		c.ends[0], c.ends[1] = v[0], v[1]
		w.refused(c.kind, c.text, "", func() error {
			return failed(finish(w.Withdraw(admin, pairs(c.ends...))))
		})
	}
	w.refused(fault.Usage, "no pairs", "a source and a target", func() error {
		return failed(w.Withdraw(admin, nil))
	})
	for text, last := range map[string]arrayclient.Serial{
		string(v[1]) + " is already the target": v[1], string(v[0]) + " cannot": v[0],
	} {
		w.refused(fault.Refused, text, "", func() error {
			return failed(finish(w.Establish(admin, pairs(v[2], v[3], v[0], last), nocopy)))
		})
	}
}

// TestActsOnPairsWarn of hosts that use a target, and of targets that are worth
// nothing any more.
func TestActsOnPairsWarn(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(4)
	source := w.volumes(1)[0]
	defer w.attach(v[1])()
	defer w.attach(source)() // which stays what it was
	result, err := finish(w.Establish(admin, pairs(source, v[1], v[2], v[3]), nocopy))
	must(t, err)
	const text = "volume 00113698, which gets other content, is attached to 192.0.2.7, read-write"
	if len(result.Warnings) != 1 || !strings.HasPrefix(result.Warnings[0], text) {
		t.Errorf("warnings %q", result.Warnings)
	}
	result, err = finish(w.Withdraw(admin, pairs(source, v[1])))
	must(t, err)
	want := []string{"the content of 00113698 is undefined: its copy of " + string(source) + " was not complete"}
	if !slices.Equal(result.Warnings, want) {
		t.Errorf("warnings %q, want %q", result.Warnings, want)
	}
	if runs, err := w.Runs(w.Context(), monitor, "", 10); len(runs.Newest) != 0 || err != nil {
		t.Errorf("runs %+v, %v", runs, err)
	}
}

// TestActsOnPairsWithoutATask does each of them, and wants what a task of its type
// leaves: no run, and the warning of a host that uses what gets other content.
func TestActsOnPairsWithoutATask(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(2)
	there, back := pairs(v[0], v[1]), pairs(v[1], v[0])
	w.establish(arrayclient.Options{NoCopy: true, Record: true, Freeze: true}, v...)
	defer w.attach(v[1])()
	for _, c := range []struct {
		name  string
		do    func(core.Caller, []taskstore.TaskPair) (core.Pending[core.PairsResult], error)
		pairs []taskstore.TaskPair
		warns bool
		state arrayclient.State
	}{
		{"consistency-created", w.ConsistencyCreated, there, false, arrayclient.StateNoCopy},
		{"background-copy", w.BackgroundCopy, there, false, arrayclient.StateComplete},
		{"resync", w.Resync, there, true, arrayclient.StateComplete},
		{"reverse", w.Reverse, there, false, arrayclient.StateComplete},
		{"reverse", w.Reverse, back, true, arrayclient.StateComplete},
	} {
		result, err := finish(c.do(admin, c.pairs))
		must(t, err)
		if len(result.Pairs) != 1 || result.Pairs[0].From != c.pairs[0] || (result.Warnings != nil) != c.warns {
			t.Errorf("%s: %+v", c.name, result)
		}
		if c.state == arrayclient.StateComplete {
			w.copied(v[0])
		}
		if rel := w.relationship(v[0]); rel.State != c.state {
			t.Errorf("after %s the state is %s, want %s", c.name, rel.State, c.state)
		}
	}
	if runs, err := w.Runs(w.Context(), monitor, "", 10); len(runs.Newest) != 0 || err != nil {
		t.Errorf("runs %+v, %v", runs, err)
	}
}

// TestActsThatAnArrayLacks are refused before anything is done, in the words of tasks.
func TestActsThatAnArrayLacks(t *testing.T) {
	w := newWorldOf(t, func(a *brittle) arrayclient.Array { return bare{a} })
	v := w.volumes(2)
	w.establish(nocopy, v...)
	for name, do := range map[string]func(
		core.Caller, []taskstore.TaskPair,
	) (core.Pending[core.PairsResult], error){
		"resync": w.Resync, "reverse": w.Reverse, "background-copy": w.BackgroundCopy,
		"consistency-created": w.ConsistencyCreated,
	} {
		w.refused(fault.Refused, "array 2105.13698 does not support "+name, "esscli show array", func() error {
			return failed(do(admin, pairs(v...)))
		})
	}
}
