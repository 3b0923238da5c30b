package core_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/arrays/arraystest"
	"copyservices/copyserver/runner"
)

// quick are limits that a test can wait for.
var quick = arrays.Limits{Read: 5 * time.Second, Act: 5 * time.Second, Retry: 5 * time.Millisecond}

// addAway adds the array 2105.22222, with two volumes, which is reached over a network.
func (w *world) addAway() *arraystest.Away {
	w.Helper()
	fsys, err := disk.OS(w.TempDir())
	must(w.T, err)
	must(w.T, filearray.Create(fsys, filearray.CreateOptions{Serial: "22222"}))
	inner, err := filearray.Open(fsys, filearray.OpenOptions{})
	must(w.T, err)
	p, err := inner.Properties(w.Context())
	must(w.T, err)
	away := arraystest.New(inner)
	must(w.T, w.Arrays.Add(arrays.Added{
		ID: p.ID, Driver: p.Driver, Open: away.Open, Limits: quick, Logger: slog.New(slog.DiscardHandler),
	}))
	w.Cleanup(func() { must(w.T, w.Arrays.Close(context.Background())) })
	w.Arrays.Settle(w.Context())
	spec := arrayclient.VolumeSpec{Size: filearray.MinVolume, Count: 2}
	_, err = finish(w.CreateVolumes(admin, "2105.22222", spec))
	must(w.T, err)
	return away
}

// TestListsWithoutASilentArray have what the others hold, and say what is missing.
func TestListsWithoutASilentArray(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(2)
	away := w.addAway()
	w.establish(nocopy, v...)
	w.establish(nocopy, "00022222", "00122222")
	volumes, err := w.Volumes(w.Context(), monitor)
	must(t, err)
	if len(volumes.All) != 4 || volumes.Warnings != nil {
		t.Errorf("%+v", volumes)
	}
	must(t, failed(w.ListArrays(w.Context(), monitor)))
	away.Set(arraystest.Refusing)
	for range 2 { // when it is found out, and when it is known
		volumes, err = w.Volumes(w.Context(), monitor)
		must(t, err)
		rels, err := w.Relationships(w.Context(), monitor)
		must(t, err)
		if len(volumes.All) != 2 || len(rels.All) != 1 {
			t.Errorf("%+v\n%+v", volumes, rels)
		}
		for _, warnings := range [][]string{volumes.Warnings, rels.Warnings} {
			if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "array 2105.22222 ") ||
				!strings.HasSuffix(warnings[0], "192.0.2.5: connection refused") {
				t.Errorf("warnings %q", warnings)
			}
		}
	}
	all, err := w.ListArrays(w.Context(), monitor)
	must(t, err)
	if len(all) != 2 || !all[0].State.Answers || all[1].State.Answers || all[1].Volumes != 2 ||
		all[1].Driver != "filearray" {
		t.Errorf("%+v", all)
	}
}

// TestActsNeedTheirArray and no other: what is refused for a silent one is done in the
// server's own.
func TestActsNeedTheirArray(t *testing.T) {
	w := newWorld(t)
	v := w.volumes(2)
	away := w.addAway()
	task := w.task("00022222", "00122222")
	away.Set(arraystest.Refusing)
	rate := int64(1 << 20)
	spec := arrayclient.VolumeSpec{Size: filearray.MinVolume}
	for name, do := range map[string]func() error{
		"volumes":       func() error { return failed(w.Volumes(w.Context(), monitor, v[0], "00022222")) },
		"volume":        func() error { return failed(w.Volume(w.Context(), monitor, "00022222")) },
		"relationships": func() error { return failed(w.Relationships(w.Context(), monitor, v[0], "00022222")) },
		"create":        func() error { return failed(finish(w.CreateVolumes(admin, "2105.22222", spec))) },
		"delete":        func() error { return w.DeleteVolume(w.Context(), admin, "00022222") },
		"copy rate":     func() error { return failed(w.SetArrayCopyRate(w.Context(), admin, "2105.22222", &rate)) },
		"content":       func() error { return closed(w.OpenContent(w.Context(), admin, "00022222")) },
		"import":        func() error { return closed(w.ReplaceContent(w.Context(), admin, "00022222", true)) },
		"establish": func() error {
			return failed(finish(w.Establish(admin, pairs("00022222", "00122222"), nocopy)))
		},
		"resync": func() error { return failed(finish(w.Resync(admin, pairs("00022222", "00122222")))) },
		"run":    func() error { return failed(w.StartRun(w.Context(), operator, runner.Request{Task: task})) },
		"dry run": func() error {
			return failed(w.DryRun(w.Context(), operator, runner.Request{Task: task}))
		},
	} {
		before := w.everything()
		if err := do(); fault.KindOf(err) != fault.Connection || !strings.HasPrefix(err.Error(), "array 2105.22222 ") {
			t.Errorf("%s: %v (%s)", name, err, fault.KindOf(err))
		}
		w.unchangedSince(before, name)
	}
	w.establish(nocopy, v...)
	w.volumes(1) // in the server's own array, where none is named
	rels, err := w.Relationships(w.Context(), monitor, v[0])
	if must(t, err); len(rels.All) != 1 || rels.Warnings != nil {
		t.Errorf("%+v", rels)
	}
}
