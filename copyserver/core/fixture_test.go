package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/access"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/core"
	"copyservices/copyserver/runner"
	"copyservices/copyserver/state"
	"copyservices/export"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/filestore"
)

// The callers, one of each role.
var (
	admin    = core.Caller{Name: "superuser", Role: taskstore.RoleAdmin}
	operator = core.Caller{Name: "op", Role: taskstore.RoleOperator}
	monitor  = core.Caller{Name: "watcher", Role: taskstore.RoleMonitor}
)

// cheap is what a password hash takes here.
var cheap = access.Cost{Memory: 64, Time: 1, Threads: 1}

// world is a Core on a state folder of its own, whose array has the serial 13698.
type world struct {
	*testing.T
	*core.Core
	array      *brittle
	log        bytes.Buffer // what core says, not the parts that work in the background
	reassigned int          // how often it was told to look at the attached hosts again
	names      int

	network network
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, func(a *brittle) arrayclient.Array { return a })
}

// bare is an array that has no optional act.
type bare struct{ arrayclient.Array }

// newWorldOf has the array that wrap makes of the embedded one.
func newWorldOf(t *testing.T, wrap func(*brittle) arrayclient.Array) *world {
	t.Helper()
	t.Parallel()
	folder := openState(t)
	array := &brittle{Array: folder.Array, failing: map[string]int{}}
	w := newWorldOn(t, folder.Store, wrap(array))
	w.array = array
	return w
}

// newWorldWithoutArray is for what needs none, and takes less time to make.
func newWorldWithoutArray(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	store, err := filestore.Open(dir)
	must(t, err)
	t.Cleanup(func() {
		must(t, store.Close())
		for _, err := range filestore.Check(dir) {
			t.Errorf("afterwards: %v", err)
		}
	})
	w := newWorldOn(t, store)
	must(t, store.Users().Create(taskstore.User{Name: admin.Name, Role: admin.Role, Hash: "of no password"}))
	return w
}

func newWorldOn(t *testing.T, store taskstore.Store, list ...arrayclient.Array) *world {
	t.Helper()
	w := &world{T: t}
	empty, err := emptyState()
	must(t, err)
	registry, err := arrays.New(t.Context(), list...)
	must(t, err)
	tasks, err := runner.New(t.Context(), store, registry, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, tasks.Stop(context.Background())) })
	w.Core = core.New(core.Parts{
		Drivers: map[string]arrays.Driver{"test": w.open},
		Store:   store, Box: empty.Box, Arrays: registry, Runner: tasks, Attached: export.NewAttachments(),
		Passwords: access.New(store.Users(), cheap), Access: access.NewHosts(store, empty.Authority),
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	w.Access.Watch(func() { w.reassigned++ })
	return w
}

// file is one of a state folder, without the zeros that it ends with, which are most
// of an empty array.
type file struct {
	name    string
	content []byte
	size    int64
}

// empty is a state folder of which tests get copies. It is closed.
type empty struct {
	*state.Folder
	folders []string
	files   []file
}

// emptyState makes it once.
var emptyState = sync.OnceValues(func() (made empty, err error) {
	dir, err := os.MkdirTemp("", "core")
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if made.Folder, err = openFolder(dir); err != nil {
		return made, err
	}
	if err := made.Close(); err != nil {
		return made, err
	}
	return made, fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			made.folders = append(made.folders, name)
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		trimmed := slices.Clone(bytes.TrimRight(content, "\x00"))
		made.files = append(made.files, file{name, trimmed, int64(len(content))})
		return err
	})
})

// write makes the file in the folder dir.
func (f file) write(dir string) error {
	name := filepath.Join(dir, f.name)
	return errors.Join(os.WriteFile(name, f.content, 0o600), os.Truncate(name, f.size))
}

func openFolder(dir string) (*state.Folder, error) {
	return state.Open(context.Background(), state.Opening{
		Dir: dir, ArraySerial: "13698", Names: []string{"localhost"}, FS: atomicfile.OS(),
		Cost: cheap, Logger: slog.New(slog.DiscardHandler),
	})
}

// openState opens a new state folder, which must be in order at the end of the test.
func openState(t *testing.T) *state.Folder {
	t.Helper()
	empty, err := emptyState()
	must(t, err)
	dir := t.TempDir()
	for _, name := range empty.folders {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
	}
	for _, f := range empty.files {
		must(t, f.write(dir))
	}
	folder, err := openFolder(dir)
	must(t, err)
	t.Cleanup(func() {
		must(t, folder.Close())
		for _, err := range state.Check(dir) {
			t.Errorf("afterwards: %v", err)
		}
	})
	return folder
}

var errBroken = fault.New(fault.Failed, "the array is broken")

// brittle is the embedded array, of which acts fail when a test says so.
type brittle struct {
	*filearray.Array
	mu      sync.Mutex
	failing map[string]int // by method: its how manieth call from now fails
}

// fail lets the nth call of a method from now on fail, and do nothing.
func (b *brittle) fail(method string, nth int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing[method] = nth
}

func (b *brittle) call(method string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing[method]--
	if b.failing[method] == 0 {
		return errBroken
	}
	return nil
}

func (b *brittle) SetLabel(ctx context.Context, serial arrayclient.Serial, label string) error {
	if err := b.call("SetLabel"); err != nil {
		return err
	}
	return b.Array.SetLabel(ctx, serial, label)
}

func (b *brittle) ExpandVolume(ctx context.Context, serial arrayclient.Serial, size int64) error {
	if err := b.call("ExpandVolume"); err != nil {
		return err
	}
	return b.Array.ExpandVolume(ctx, serial, size)
}

func (b *brittle) OpenVolume(
	ctx context.Context, serial arrayclient.Serial,
) (arrayclient.VolumeIO, error) {
	if err := b.call("OpenVolume"); err != nil {
		return nil, err
	}
	return b.Array.OpenVolume(ctx, serial)
}

func (b *brittle) DeleteVolume(ctx context.Context, serial arrayclient.Serial) error {
	if err := b.call("DeleteVolume"); err != nil {
		return err
	}
	return b.Array.DeleteVolume(ctx, serial)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantFault holds err against a kind and parts of its message and its hint.
func wantFault(t *testing.T, err error, kind fault.Kind, text, hint string) {
	t.Helper()
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), text) ||
		!strings.Contains(fault.HintOf(err), hint) {
		t.Errorf("%v (%s; hint: %s), want %q of kind %s with a hint %q", err, fault.KindOf(err),
			fault.HintOf(err), text, kind, hint)
	}
}

// refused wants that error of do, and that do changed nothing.
func (w *world) refused(kind fault.Kind, text, hint string, do func() error) {
	w.Helper()
	before := w.everything()
	wantFault(w.T, do(), kind, text, hint)
	w.unchangedSince(before, fmt.Sprintf("what is refused with %q", text))
}

// unchangedSince wants everything to be what it was before.
func (w *world) unchangedSince(before []string, what string) {
	w.Helper()
	after := w.everything()
	for i := range after {
		if after[i] != before[i] {
			w.Errorf("%s has changed\n%s\nto\n%s", what, before[i], after[i])
		}
	}
}

// everything is what the server remembers and what its array holds, but for what
// goes on by itself: copies that end.
func (w *world) everything() []string {
	w.Helper()
	s := w.Store
	return append([]string{
		list(w, s.Tasks()), list(w, s.Hosts()), list(w, s.Users()), list(w, s.Entries()),
		list(w, s.Runs()), list(w, s.Requests()), list(w, s.Credentials()), list(w, s.Assignments()),
	}, w.inArray()...)
}

// inArray is the part of everything that the array holds.
func (w *world) inArray() []string {
	w.Helper()
	if w.array == nil {
		return nil
	}
	volumes, err := w.array.Volumes(w.Context())
	must(w.T, err)
	for i := range volumes {
		volumes[i].Allocated, volumes[i].LastCopy = 0, nil
	}
	rels, err := w.array.Relationships(w.Context())
	must(w.T, err)
	var lasting []string
	for _, r := range rels {
		if r.Options.NoCopy {
			lasting = append(lasting, fmt.Sprintf("%+v", r))
		}
	}
	array, err := w.array.Properties(w.Context())
	must(w.T, err)
	return []string{fmt.Sprintf("%+v", volumes), strings.Join(lasting, "\n"), fmt.Sprint(array.CopyRate)}
}

func list[T any](w *world, all taskstore.Collection[T]) string {
	w.Helper()
	things, err := all.List()
	must(w.T, err)
	return fmt.Sprintf("%+v", things)
}

// name returns one that nothing has yet.
func (w *world) name() string {
	w.names++
	return fmt.Sprintf("n%d", w.names)
}

// volumes creates n of 1 MiB.
func (w *world) volumes(n int) []arrayclient.Serial {
	w.Helper()
	spec := arrayclient.VolumeSpec{Size: filearray.MinVolume, Count: n}
	made, err := finish(w.CreateVolumes(admin, "", spec))
	must(w.T, err)
	serials := make([]arrayclient.Serial, n)
	for i, v := range made {
		serials[i] = v.Serial
	}
	return serials
}

// writtenSize is that of a volume whose copy takes a minute at the lowest rate, in
// bytes.
const writtenSize = 4 << 20

// written creates a volume without a hole.
func (w *world) written() arrayclient.Serial {
	w.Helper()
	serial := w.volumes(1)[0]
	w.change(serial, core.VolumeChange{Size: writtenSize})
	v, err := w.ReplaceContent(w.Context(), admin, serial, false)
	must(w.T, err)
	_, err = v.WriteAt(bytes.Repeat([]byte("content "), int(v.Size()/8)), 0)
	must(w.T, errors.Join(err, v.Close()))
	return serial
}

// finish carries out what was found to be possible.
func finish[T any](do core.Pending[T], err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return do(context.Background())
}

// pairs makes pairs of ends, a source and a target in turn.
func pairs[S ~string](ends ...S) []taskstore.TaskPair {
	var out []taskstore.TaskPair
	for i := 0; i < len(ends); i += 2 {
		out = append(out, taskstore.TaskPair{Source: string(ends[i]), Target: string(ends[i+1])})
	}
	return out
}

// task stores an establish of those pairs and returns its name.
func (w *world) task(ends ...arrayclient.Serial) string {
	w.Helper()
	t := taskstore.Task{Name: w.name(), Type: taskstore.TaskEstablish, Pairs: pairs(ends...)}
	must(w.T, w.CreateTask(admin, t))
	return t.Name
}

// establish copies pairs without a task.
func (w *world) establish(options arrayclient.Options, ends ...arrayclient.Serial) {
	w.Helper()
	_, err := finish(w.Establish(admin, pairs(ends...), options))
	must(w.T, err)
}

// copied waits until the copies of source are complete.
func (w *world) copied(source arrayclient.Serial) {
	w.Helper()
	for range 3000 {
		if w.relationship(source).State == arrayclient.StateComplete {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.Fatalf("the copies of %s do not end", source)
}

// relationship returns the only one of a volume.
func (w *world) relationship(serial arrayclient.Serial) arrayclient.Relationship {
	w.Helper()
	rels, err := w.Relationships(w.Context(), monitor, serial)
	must(w.T, err)
	if len(rels.All) != 1 {
		w.Fatalf("%d relationships of %s, want one", len(rels.All), serial)
	}
	return rels.All[0]
}

// attach lets a host attach a volume until the function that it returns is called.
func (w *world) attach(serial arrayclient.Serial) (detach func()) {
	w.Helper()
	detach, err := w.Attached.Attach(serial, export.Attachment{Address: "192.0.2.7"})
	must(w.T, err)
	return detach
}

// prime makes a host known with Disk1, Disk2, ... for volumes.
func (w *world) prime(name string, volumes ...arrayclient.Serial) {
	w.Helper()
	_, _, err := w.PrimeHost(operator, hostOf(name, volumes...), core.Prime{})
	must(w.T, err)
}

func hostOf(name string, volumes ...arrayclient.Serial) taskstore.Host {
	h := taskstore.Host{Name: name, OS: "Linux"}
	for i, serial := range volumes {
		h.Devices = append(h.Devices, taskstore.Device{Name: fmt.Sprintf("Disk%d", i+1), Serial: serial})
	}
	return h
}

// asJSON is what a protocol would make of v.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}
