package core_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/arrays/arraystest"
	"copyservices/copyserver/core"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
)

// network has arrays at addresses, which are reached with the password "hunter2".
type network struct {
	mu     sync.Mutex
	arrays map[string]*arraystest.Away
	logins []arrays.Login
}

// open is the driver of the arrays in the network.
func (w *world) open(_ context.Context, at arrays.Login) (arrayclient.Array, error) {
	w.network.mu.Lock()
	defer w.network.mu.Unlock()
	w.network.logins = append(w.network.logins, at)
	array := w.network.arrays[at.Addresses[0]]
	switch {
	case array == nil:
		return nil, fault.New(fault.Connection, "%s: no route to host", at.Addresses[0])
	case at.Password != "hunter2":
		return nil, fault.New(fault.Denied, "%s denies user %s", at.Addresses[0], at.User)
	}
	return array, nil
}

// shelf is an array of one volume, of which nothing comes.
type shelf struct {
	arrayclient.Array // nil: other acts are not for this test
	id                arrayclient.ArrayID
}

func (s shelf) Properties(context.Context) (arrayclient.Properties, error) {
	return arrayclient.Properties{ID: s.id, Driver: "shelf", Volumes: 1, TrackSize: arrayclient.TrackSize}, nil
}

func (s shelf) volume() arrayclient.Serial { return arrayclient.MakeSerial(0, s.id.Serial) }

func (s shelf) Volumes(context.Context) ([]arrayclient.Volume, error) {
	return []arrayclient.Volume{{Serial: s.volume(), Size: 1 << 20}}, nil
}

func (s shelf) Relationships(
	context.Context, ...arrayclient.Serial,
) ([]arrayclient.Relationship, error) {
	return []arrayclient.Relationship{{Pair: s.pair(), State: arrayclient.StateCopying, Tracks: 2, OutOfSync: 1}}, nil
}

func (s shelf) pair() arrayclient.Pair {
	return arrayclient.Pair{Source: s.volume(), Target: arrayclient.MakeSerial(1, s.id.Serial)}
}

func (s shelf) Establish(context.Context, []arrayclient.Pair, arrayclient.Options) error { return nil }

func (s shelf) Close() error { return nil }

// connect puts an array of that serial at an address.
func (w *world) connect(address, serial string) (shelf, *arraystest.Away) {
	s := shelf{id: arrayclient.ArrayID{MachineType: "2105", Serial: serial}}
	away := arraystest.New(s)
	w.network.mu.Lock()
	defer w.network.mu.Unlock()
	if w.network.arrays == nil {
		w.network.arrays = map[string]*arraystest.Away{}
	}
	w.network.arrays[address] = away
	w.Cleanup(func() { must(w.T, w.Arrays.Close(context.Background())) })
	return s, away
}

func drivenEntry(address string) taskstore.Entry {
	e := entryOf(address)
	e.Driver = "test"
	return e
}

// ids are those of the arrays that the server drives.
func (w *world) ids() string { return strings.Join(w.Arrays.Names(), " ") }

func TestRegisteredArray(t *testing.T) {
	w := newWorld(t)
	w.connect("ess1", "75AB1")
	e := drivenEntry("ess1")
	e.Alternate, e.Fingerprint = "ess2", "SHA256:"+strings.Repeat("Ab", 32)
	e = w.added(e)
	wantNoPassword(t, e)
	if e.Array != "2105.75AB1" || e.Driver != "test" || e.Fingerprint != "sha256:"+strings.Repeat("ab", 32) {
		t.Errorf("%+v", e)
	}
	w.Arrays.Settle(w.Context())
	all, err := w.ListArrays(w.Context(), monitor)
	must(t, err)
	if len(all) != 2 || all[1].ID.String() != "2105.75AB1" || all[1].Driver != "test" || !all[1].State.Answers {
		t.Errorf("%+v", all)
	}
	if volumes, err := w.Volumes(w.Context(), monitor); err != nil || len(volumes.All) != 1 {
		t.Errorf("%+v, %v", volumes, err)
	}
	last := w.network.logins[len(w.network.logins)-1]
	if last.Password != "hunter2" || strings.Join(last.Addresses, " ") != "ess1 ess2" ||
		last.Fingerprint != e.Fingerprint || last.Array.String() != e.Array {
		t.Errorf("the login is %+v", last)
	}
	must(t, w.DeleteEntry(admin, taskstore.EntryESS, "ess1"))
	if got := w.ids(); got != "2105.13698" {
		t.Errorf("arrays %s", got)
	}
}

// TestArraysThatAreNotRegistered leave nothing behind.
func TestArraysThatAreNotRegistered(t *testing.T) {
	w := newWorld(t)
	w.connect("ess1", "75AB1")
	w.connect("twin", "75AB1")
	w.connect("self", "13698")
	_, failing := w.connect("failing", "75AB2")
	failing.Set(arraystest.Failing)
	w.added(drivenEntry("ess1"))
	for name, c := range map[string]struct {
		change     func(*taskstore.Entry)
		kind       fault.Kind
		text, hint string
	}{
		"nobody there":   {func(e *taskstore.Entry) { e.Address = "none" }, fault.Connection, "the array at none was not reached: none: no route", "nothing was changed"},
		"wrong password": {func(e *taskstore.Entry) { e.Password = "x" }, fault.Refused, "twin denies user admin", ""},
		"no driver":      {func(e *taskstore.Entry) { e.Driver = "floppy" }, fault.Usage, `"floppy" is no driver of this server`, "it has test"},
		"the same":       {func(e *taskstore.Entry) {}, fault.Usage, "array 2105.75AB1 exists already on this server", ""},
		"its own":        {func(e *taskstore.Entry) { e.Address = "self" }, fault.Usage, "array 2105.13698 exists already", ""},
		"another":        {func(e *taskstore.Entry) { e.Array = "2105.75AB7" }, fault.Refused, "at twin is array 2105.75AB1, not 2105.75AB7", ""},
		"failing":        {func(e *taskstore.Entry) { e.Address = "failing" }, fault.Failed, "properties does not work", ""},
		"no fingerprint": {func(e *taskstore.Entry) { e.Fingerprint = "12" }, fault.Usage, "is not the SHA-256 fingerprint", ""},
		"a server":       {func(e *taskstore.Entry) { e.Kind = taskstore.EntryESSServer }, fault.Usage, "", ""},
		"the address":    {func(e *taskstore.Entry) { e.Address = "ESS1" }, fault.Usage, "an entry named ess/ess1 exists already", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := drivenEntry("twin")
			c.change(&e)
			w.refused(c.kind, c.text, c.hint, func() error { return failed(w.AddEntry(w.Context(), admin, e)) })
			if got := w.ids(); got != "2105.13698 2105.75AB1" {
				t.Errorf("arrays %s", got)
			}
		})
	}
}

// TestArraysInUseStay registered: while a run works there or a host has a volume
// attached.
func TestArraysInUseStay(t *testing.T) {
	w := newWorld(t)
	s, away := w.connect("ess1", "75AB1")
	w.added(drivenEntry("ess1"))
	w.Arrays.Settle(w.Context())
	remove := func() error { return w.DeleteEntry(admin, taskstore.EntryESS, "ess1") }
	change := func() error {
		return failed(w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "ess1", taskstore.Entry{User: "root"}))
	}
	detach := w.attach(s.volume())
	w.refused(fault.Refused, string(s.volume()), "", remove)
	detach()
	task := w.task(s.pair().Source, s.pair().Target)
	run, err := w.StartRun(w.Context(), operator, runner.Request{Task: task, Wait: true})
	must(t, err)
	for _, do := range []func() error{remove, change} {
		w.refused(fault.Busy, "run "+run.ID+" of task "+task+" works on array 2105.75AB1", "esscli show run", do)
	}
	// An array that is gone for good can be given up.
	away.Set(arraystest.Refusing)
	must(t, failed(w.Volumes(w.Context(), monitor)))
	must(t, remove())
	got, err := w.Core.Run(w.Context(), monitor, run.ID, time.Minute)
	if err != nil || got.State != taskstore.RunFailed || got.Error == nil ||
		!strings.Contains(got.Error.Message, "is no longer on this server") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestChangedArrayIsReachedAnew with what was changed, when that is good.
func TestChangedArrayIsReachedAnew(t *testing.T) {
	w := newWorld(t)
	w.connect("ess1", "75AB1")
	w.added(drivenEntry("ess1"))
	w.Arrays.Settle(w.Context())
	for text, change := range map[string]taskstore.Entry{
		"denies user admin": {Password: "hunter3"}, "does not change": {Driver: "other"},
		"nor what is there": {Array: "2105.75AB9"},
	} {
		before := w.everything()
		_, err := w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "ess1", change)
		wantFault(t, err, fault.KindOf(err), text, "")
		w.unchangedSince(before, text)
	}
	must(t, failed(w.ChangeEntry(w.Context(), admin, taskstore.EntryESS, "ess1", taskstore.Entry{User: "root"})))
	w.Arrays.Settle(w.Context())
	if volumes, err := w.Volumes(w.Context(), monitor); err != nil || len(volumes.All) != 1 || volumes.Warnings != nil {
		t.Errorf("%+v, %v", volumes, err)
	}
	if last := w.network.logins[len(w.network.logins)-1]; last.User != "root" {
		t.Errorf("the login is %+v", last)
	}
}

// TestRegisteredArraysOutliveTheServer, those too that do not answer when it starts.
func TestRegisteredArraysOutliveTheServer(t *testing.T) {
	w := newWorld(t)
	w.connect("ess1", "75AB1")
	_, away := w.connect("ess2", "75AB2")
	w.added(drivenEntry("ess1"))
	w.added(drivenEntry("ess2"))
	w.added(entryOf("kept")) // without a driver
	away.Set(arraystest.Hanging)
	parts := w.Parts
	var err error
	own, _ := w.Arrays.Own()
	parts.Arrays, err = arrays.New(w.Context(), own)
	must(t, err)
	parts.Drivers = map[string]arrays.Driver{"test": w.open}
	parts.Logger = slog.New(slog.DiscardHandler)
	must(t, core.AddRegistered(parts))
	defer func() { must(t, parts.Arrays.Close(context.Background())) }()
	settle, cancel := context.WithTimeout(w.Context(), 50*time.Millisecond)
	defer cancel()
	parts.Arrays.Settle(settle)
	if got := strings.Join(parts.Arrays.Names(), " "); got != "2105.13698 2105.75AB1 2105.75AB2" {
		t.Errorf("arrays %s", got)
	}
	volumes, err := parts.Arrays.Volumes(w.Context())
	if err != nil || len(volumes.Warnings) != 1 || !strings.HasPrefix(volumes.Warnings[0], "array 2105.75AB2 has not answered") {
		t.Errorf("%+v, %v", volumes, err)
	}
}
