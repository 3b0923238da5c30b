package runner_test

import (
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/arrays/arraystest"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
	"copyservices/taskstore/filestore"
)

type world struct {
	t     *testing.T
	dir   string
	fsys  *fullDisk
	array *memArray
	store *filestore.Dir
	all   *arrays.Registry
	away  *arraystest.Away // added to it where not nil
	*runner.Runner
}

// newWorld has an array of eight volumes, host "vm" whose Disk1 is 200 and
// Disk2 201, and the task "fc" that copies one to the other.
func newWorld(t *testing.T, arrays ...arrayclient.Array) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), fsys: &fullDisk{FS: atomicfile.OS()}}
	w.array = newMemArray("13698", 8)
	if len(arrays) == 0 {
		arrays = []arrayclient.Array{w.array}
	}
	w.start(arrays...)
	vm := taskstore.Host{Name: "vm", Devices: []taskstore.Device{
		{Name: "Disk1", Serial: "20013698"}, {Name: "Disk2", Serial: "20113698"},
	}}
	must(t, w.store.Hosts().Put(vm))
	w.task("fc", taskstore.TaskEstablish, arrayclient.Options{}, "vm:Disk1", "VM:Disk2")
	return w
}

func (w *world) start(list ...arrayclient.Array) {
	w.t.Helper()
	var err error
	w.store, err = filestore.OpenFS(w.dir, w.fsys)
	must(w.t, err)
	w.all, err = arrays.New(w.t.Context(), list...)
	must(w.t, err)
	if w.away != nil {
		w.addAway()
	}
	w.Runner, err = runner.New(w.t.Context(), w.store, w.all, slog.New(slog.DiscardHandler))
	must(w.t, err)
	w.t.Cleanup(w.end)
}

func (w *world) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	must(w.t, w.Stop(ctx))
	must(w.t, w.all.Close(ctx))
	must(w.t, w.store.Close())
}

// restart is what the end of the process and a new one amount to.
func (w *world) restart() {
	w.end()
	w.start(w.array)
}

func (w *world) task(name string, kind taskstore.TaskType, opts arrayclient.Options, ends ...string) {
	w.t.Helper()
	t := taskstore.Task{Name: name, Type: kind, Options: opts}
	for i := 0; i < len(ends); i += 2 {
		t.Pairs = append(t.Pairs, taskstore.TaskPair{Source: ends[i], Target: ends[i+1]})
	}
	must(w.t, w.store.Tasks().Put(t))
}

func (w *world) run(q runner.Request) taskstore.Run {
	w.t.Helper()
	run, err := w.Start(w.t.Context(), q)
	must(w.t, err)
	return run
}

// listed returns the newest runs and how many there are.
func (w *world) listed(task string, limit int) ([]taskstore.Run, int, error) {
	runs, err := w.List(w.t.Context(), task, limit)
	return runs.Newest, runs.Total, err
}

// remove deletes a run, whatever it is.
func (w *world) remove(id string) error {
	return w.Delete(id, func(taskstore.Run) error { return nil })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind, text string) {
	t.Helper()
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v of kind %q, want %q in one of kind %q", err, fault.KindOf(err), text, kind)
	}
}

func TestRunIsRecorded(t *testing.T) {
	w := newWorld(t)
	run := w.run(runner.Request{Task: "FC", User: "op", Key: "k1", Body: "b1"})
	if run.State != taskstore.RunDone || run.Task != "fc" || run.User != "op" ||
		run.Ended.Before(run.Started) || run.Error != nil {
		t.Errorf("run %+v", run)
	}
	want := taskstore.ResolvedPair{
		Source: "20013698", Target: "20113698",
		From: taskstore.TaskPair{Source: "vm:Disk1", Target: "VM:Disk2"},
	}
	if len(run.Pairs) != 1 || run.Pairs[0] != want {
		t.Errorf("pairs %+v, want %+v", run.Pairs, want)
	}
	w.restart()
	again, ok := w.ByKey(t.Context(), "k1")
	if !ok || again.ID != run.ID || again.Body != "b1" || again.State != taskstore.RunDone {
		t.Errorf("after a restart %+v, %v", again, ok)
	}
}

func TestRunsThatDoNotStart(t *testing.T) {
	w := newWorld(t)
	est := taskstore.TaskEstablish
	w.task("host", est, arrayclient.Options{}, "nohost:Disk1", "vm:Disk2")
	w.task("device", est, arrayclient.Options{}, "vm:Disk1", "vm:Disk3")
	w.task("case", est, arrayclient.Options{}, "vm:disk1", "vm:Disk2")
	w.task("array", est, arrayclient.Options{}, "20099999", "20199999")
	w.task("resync", taskstore.TaskResync, arrayclient.Options{}, "vm:Disk1", "vm:Disk2")
	w.task("nocopy", est, arrayclient.Options{NoCopy: true}, "vm:Disk1", "vm:Disk2")
	for _, c := range []struct {
		task string
		kind fault.Kind
		text string
	}{
		{"none", fault.NotFound, `no task named "none"`},
		{"host", fault.NotFound, `unknown host "nohost"`},
		{"device", fault.NotFound, `host "vm" has no device "Disk3"`},
		{"case", fault.NotFound, `host "vm" has no device "disk1"`},
		{"array", fault.NotFound, "volume 20099999 belongs to no array"},
		{"resync", fault.Refused, "array 2105.13698 does not support resync"},
		{"nocopy", fault.Refused, "copies nothing in the background"},
	} {
		_, err := w.Start(t.Context(), runner.Request{Task: c.task, Wait: c.task == "nocopy"})
		wantKind(t, err, c.kind, c.text)
		if fault.HintOf(err) == "" {
			t.Errorf("%s: no hint", c.task)
		}
	}
	if runs, _, err := w.listed("", 100); len(runs) != 0 || err != nil || w.array.acts != 0 {
		t.Errorf("%d runs (%v), %d acts", len(runs), err, w.array.acts)
	}
}

func TestPairsOfTwoArrays(t *testing.T) {
	a, b := newMemArray("13698", 2), newMemArray("24680", 2)
	w := newWorld(t, a, b)
	w.task("two", taskstore.TaskEstablish, arrayclient.Options{}, a.vol(0), b.vol(0))
	_, err := w.Start(t.Context(), runner.Request{Task: "two"})
	wantKind(t, err, fault.Refused, "are in different arrays")
	w.task("second", taskstore.TaskEstablish, arrayclient.Options{}, b.vol(0), b.vol(1))
	if run := w.run(runner.Request{Task: "second"}); run.State != taskstore.RunDone || b.acts != 1 {
		t.Errorf("run %+v", run)
	}
}

func TestRunFailsInTheArray(t *testing.T) {
	w := newWorld(t)
	w.run(runner.Request{Task: "fc"})
	run := w.run(runner.Request{Task: "fc"})
	if run.State != taskstore.RunFailed || run.Error == nil || run.Error.Kind != fault.Refused {
		t.Errorf("run %+v", run)
	}
	w.task("gone", taskstore.TaskEstablish, arrayclient.Options{}, "20013698", "2FF13698")
	run = w.run(runner.Request{Task: "gone"})
	if run.State != taskstore.RunFailed || run.Error.Kind != fault.NotFound {
		t.Errorf("run %+v", run)
	}
}

func TestDryRun(t *testing.T) {
	w := newWorld(t)
	run, err := w.DryRun(t.Context(), runner.Request{Task: "fc"})
	must(t, err)
	if run.State != taskstore.RunDry || len(run.Pairs) != 1 || w.array.acts != 0 {
		t.Errorf("run %+v", run)
	}
	w.task("gone", taskstore.TaskEstablish, arrayclient.Options{}, "20013698", "2FF13698")
	_, err = w.DryRun(t.Context(), runner.Request{Task: "gone"})
	wantKind(t, err, fault.NotFound, "2FF13698")
	if runs, _, _ := w.listed("", 100); len(runs) != 0 {
		t.Errorf("runs %+v", runs)
	}
}

func TestOneRunOfATaskAtATime(t *testing.T) {
	w := newWorld(t)
	release := w.array.hold()
	var first taskstore.Run
	var wg sync.WaitGroup
	wg.Go(func() { first = w.run(runner.Request{Task: "fc", User: "op"}) })
	<-w.array.entered
	_, err := w.Start(t.Context(), runner.Request{Task: "FC"})
	wantKind(t, err, fault.Busy, "task fc is already running: run ")
	wantKind(t, err, fault.Busy, " by op")
	release()
	wg.Wait()
	if !strings.Contains(err.Error(), first.ID) {
		t.Errorf("%v does not name run %s", err, first.ID)
	}
	if run := w.run(runner.Request{Task: "fc"}); run.State != taskstore.RunFailed {
		t.Errorf("afterwards %+v", run)
	}
}

func TestManyRunsAtOnce(t *testing.T) {
	w := newWorld(t)
	for i := range 4 {
		w.task("t"+w.array.vol(i), taskstore.TaskEstablish, arrayclient.Options{},
			w.array.vol(i), w.array.vol(i+4))
	}
	var mu sync.Mutex
	states := map[taskstore.RunState]int{}
	busy := 0
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			run, err := w.Start(t.Context(), runner.Request{Task: "t" + w.array.vol(i%4)})
			mu.Lock()
			defer mu.Unlock()
			if fault.KindOf(err) == fault.Busy {
				busy++
			}
			states[run.State]++
		})
	}
	wg.Wait()
	runs, _, err := w.listed("", 100)
	must(t, err)
	if states[taskstore.RunDone] != 4 || len(runs)+busy != 32 {
		t.Errorf("states %v, %d busy, %d runs; want one done for each task", states, busy, len(runs))
	}
}

func TestWithdrawWarns(t *testing.T) {
	w := newWorld(t)
	w.run(runner.Request{Task: "fc"})
	w.task("w", taskstore.TaskWithdraw, arrayclient.Options{}, "vm:Disk1", "vm:Disk2")
	run := w.run(runner.Request{Task: "w", Wait: true})
	if run.State != taskstore.RunDone || len(run.Warnings) != 1 ||
		!strings.Contains(run.Warnings[0], "20113698 is undefined") {
		t.Errorf("run %+v", run)
	}
}

func TestReverse(t *testing.T) {
	a := reversing{newMemArray("13698", 2)}
	w := newWorld(t, a)
	w.task("fc", taskstore.TaskEstablish, arrayclient.Options{Persistent: true}, a.vol(0), a.vol(1))
	w.task("back", taskstore.TaskReverse, arrayclient.Options{}, a.vol(0), a.vol(1))
	w.run(runner.Request{Task: "fc"})
	w.run(runner.Request{Task: "back"})
	c, err := w.Completion(t.Context(), "back", 0)
	must(t, err)
	if c.Complete || c.Pairs[0].Source != a.vol(1) {
		t.Errorf("completion %+v", c)
	}
	a.step(memTracks)
	if c, err = w.Completion(t.Context(), "back", 0); err != nil || !c.Complete {
		t.Errorf("completion %+v, %v", c, err)
	}
}

func TestEndOfClientDoesNotEndTheRun(t *testing.T) {
	w := newWorld(t)
	release := w.array.hold()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := w.Start(ctx, runner.Request{Task: "fc"}); err != nil {
			t.Error(err)
		}
	})
	<-w.array.entered
	cancel()
	release()
	wg.Wait()
	runs, _, err := w.listed("fc", 1)
	if err != nil || len(runs) != 1 || runs[0].State != taskstore.RunDone {
		t.Errorf("runs %+v, %v", runs, err)
	}
}

func TestStop(t *testing.T) {
	w := newWorld(t)
	release := w.array.hold()
	var wg sync.WaitGroup
	wg.Go(func() { w.run(runner.Request{Task: "fc"}) })
	<-w.array.entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	wantKind(t, w.Stop(ctx), fault.Server, "still at work")
	_, err := w.Start(t.Context(), runner.Request{Task: "fc"})
	if err == nil {
		t.Error("a run began after Stop")
	}
	release()
	wg.Wait()
	must(t, w.Stop(t.Context()))
}

func TestFullDisk(t *testing.T) {
	w := newWorld(t)
	w.fsys.set(0)
	_, err := w.Start(t.Context(), runner.Request{Task: "fc", Key: "k"})
	wantKind(t, err, fault.Server, "no space left in folder "+w.dir)
	if w.array.acts != 0 {
		t.Error("the array was touched without a record")
	}
	w.fsys.set(1) // the record of the beginning, not that of the end
	run := w.run(runner.Request{Task: "fc", Key: "k"})
	if run.State != taskstore.RunDone || len(run.Warnings) != 1 ||
		!strings.Contains(run.Warnings[0], "could not be recorded") {
		t.Errorf("run %+v", run)
	}
	again, ok := w.ByKey(t.Context(), "k")
	if !ok || again.State != taskstore.RunDone {
		t.Errorf("asked again: %+v, %v", again, ok)
	}
	w.fsys.set(1) // once more
	second := w.run(runner.Request{Task: "fc"})
	if second.State != taskstore.RunFailed || len(second.Warnings) != 1 {
		t.Errorf("the next run: %+v", second)
	}
	w.fsys.set(1000)
	w.restart()
	for _, want := range []taskstore.Run{run, second} {
		got, err := w.Get(t.Context(), want.ID, 0)
		if err != nil || got.State != want.State || len(got.Warnings) != 0 {
			t.Errorf("after a restart: %+v, %v", got, err)
		}
	}
}

// TestStartOnAFullDisk: hosts need their volumes, whether or not the history
// can be written.
func TestStartOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	cut := taskstore.Run{
		ID: "cut", Task: "fc", Type: taskstore.TaskEstablish, State: taskstore.RunRunning,
		Started: time.Now().UTC(),
		Pairs:   []taskstore.ResolvedPair{{Source: w.array.vol(2), Target: w.array.vol(3)}},
	}
	must(t, w.store.Runs().Create(cut))
	w.fsys.set(0)
	w.restart()
	for _, warnings := range []int{1, 0} {
		runs, _, err := w.listed("fc", 9)
		last := len(runs) - 1
		if err != nil || runs[last].State != taskstore.RunInterrupted ||
			len(runs[last].Warnings) != warnings {
			t.Errorf("%+v, %v, want %d warnings", runs, err, warnings)
		}
		w.fsys.set(1000)
		w.run(runner.Request{Task: "fc"}) // its end is recorded, and the other's with it
	}
	before, err := w.Get(t.Context(), "cut", 0)
	must(t, err)
	w.restart()
	if after, err := w.Get(t.Context(), "cut", 0); err != nil || !after.Ended.Equal(before.Ended) {
		t.Errorf("%+v became %+v, %v", before, after, err)
	}
}

func TestHistoryIsPruned(t *testing.T) {
	w := newWorld(t)
	old := time.Now().UTC().Add(-48 * time.Hour)
	for i := range runner.KeepRuns + 100 {
		run := taskstore.Run{
			ID: "old-" + old.Add(time.Duration(i)*time.Second).Format("20060102-150405"), Task: "x",
			State: taskstore.RunDone, Started: old.Add(time.Duration(i) * time.Second), Key: "k-" + string(rune('a'+i%26)),
		}
		must(t, w.store.Runs().Create(run))
	}
	w.restart()
	runs, _, err := w.listed("", 10000)
	if err != nil || len(runs) != runner.KeepRuns {
		t.Errorf("%d runs are left (%v), want %d", len(runs), err, runner.KeepRuns)
	}
	if !runs[0].Started.After(runs[len(runs)-1].Started) {
		t.Error("the newest is not first")
	}
}

func TestDeleteRun(t *testing.T) {
	w := newWorld(t)
	run := w.run(runner.Request{Task: "fc", Key: "k"})
	must(t, w.remove(run.ID))
	wantKind(t, w.remove(run.ID), fault.NotFound, run.ID)
	if _, ok := w.ByKey(t.Context(), "k"); ok {
		t.Error("its key is still known")
	}
}

// fullDisk takes so many more files, and syncs none: these tests crash no
// machine.
type fullDisk struct {
	atomicfile.FS
	mu      sync.Mutex
	limited bool
	left    int
}

func (d *fullDisk) set(left int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limited, d.left = true, left
}

func (d *fullDisk) CreateTemp(dir, pattern string) (atomicfile.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left--; d.limited && d.left < 0 {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOSPC}
	}
	f, err := d.FS.CreateTemp(dir, pattern)
	return unsynced{f}, err
}

func (d *fullDisk) OpenDir(dir string) (atomicfile.Folder, error) {
	f, err := d.FS.OpenDir(dir)
	return unsyncedFolder{f}, err
}

type unsyncedFolder struct{ atomicfile.Folder }

func (unsyncedFolder) Sync() error { return nil }

type unsynced struct{ atomicfile.File }

func (unsynced) Sync() error { return nil }
