package runner_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/arrays/arraystest"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
)

// newWorldAway is a newWorld with the task "away", whose volumes are in an array that is
// reached over a network. w.array is that one.
func newWorldAway(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.array = newMemArray("22222", 2)
	w.away = arraystest.New(w.array)
	w.addAway()
	w.task("away", taskstore.TaskEstablish, arrayclient.Options{}, "20022222", "20122222")
	return w
}

func (w *world) addAway() {
	w.t.Helper()
	p, err := w.array.Properties(w.t.Context())
	must(w.t, err)
	must(w.t, w.all.Add(arrays.Added{
		ID: p.ID, Open: w.away.Open, Logger: slog.New(slog.DiscardHandler),
		Limits: arrays.Limits{Read: time.Second, Act: 5 * time.Second, Retry: 5 * time.Millisecond},
	}))
	w.all.Settle(w.t.Context())
}

// restartAway is a restart where the array is in that mood.
func (w *world) restartAway(m arraystest.Mood) {
	w.t.Helper()
	w.end()
	w.away.Set(m)
	w.start(newMemArray("13698", 8))
}

// goAway lets the array refuse connections, and waits until that is known.
func (w *world) goAway() {
	w.t.Helper()
	w.away.Set(arraystest.Refusing)
	if all, err := w.all.Volumes(w.t.Context()); err != nil || len(all.Warnings) != 1 {
		w.t.Fatalf("%+v, %v", all, err)
	}
}

func (w *world) wantFault(err error, kind fault.Kind, text string) {
	w.t.Helper()
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		w.t.Errorf("%v (%s), want %q of kind %s", err, fault.KindOf(err), text, kind)
	}
}

const silent = "array 2105.22222 has not answered since"

func TestWaitOutlastsSilence(t *testing.T) {
	w := newWorldAway(t)
	run := w.run(runner.Request{Task: "away", Wait: true})
	w.array.step(memTracks / 2)
	w.goAway()
	_, err := w.Completion(t.Context(), "away", 0)
	w.wantFault(err, fault.Connection, silent)
	c, err := w.Completion(t.Context(), "away", 10*time.Millisecond)
	if err != nil || c.Complete || len(c.Pairs) != 1 || c.Pairs[0].State != runner.StateUnknown {
		t.Errorf("%+v, %v", c, err)
	}
	if run, err := w.Get(t.Context(), run.ID, 10*time.Millisecond); err != nil || run.State != taskstore.RunRunning {
		t.Errorf("%+v, %v", run, err)
	}
	w.array.step(memTracks)
	w.away.Set(arraystest.Answering)
	if run, err := w.Get(t.Context(), run.ID, time.Minute); err != nil || run.State != taskstore.RunDone {
		t.Errorf("%+v, %v", run, err)
	}
	if c, err := w.Completion(t.Context(), "away", time.Minute); err != nil || !c.Complete {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestRunInSilence does not begin, and leaves nothing behind.
func TestRunInSilence(t *testing.T) {
	w := newWorldAway(t)
	w.goAway()
	_, err := w.Start(t.Context(), runner.Request{Task: "away"})
	w.wantFault(err, fault.Connection, silent)
	_, err = w.DryRun(t.Context(), runner.Request{Task: "away"})
	w.wantFault(err, fault.Connection, silent)
	if runs, _, err := w.listed("", 10); len(runs) != 0 || err != nil {
		t.Errorf("%+v, %v", runs, err)
	}
	w.run(runner.Request{Task: "fc"}) // in the server's own array
}

func TestRunsOfASilentArray(t *testing.T) {
	w := newWorldAway(t)
	w.run(runner.Request{Task: "away"})
	w.run(runner.Request{Task: "fc"})
	w.goAway()
	runs, err := w.List(t.Context(), "", 10)
	if err != nil || len(runs.Newest) != 2 || len(runs.Warnings) != 1 ||
		!strings.HasPrefix(runs.Warnings[0], silent) {
		t.Errorf("%+v, %v", runs, err)
	}
	if runs, err := w.List(t.Context(), "fc", 10); err != nil || runs.Warnings != nil {
		t.Errorf("%+v, %v", runs, err)
	}
}

// TestRunGoesOnWhenItsArrayAnswers: the server starts while the array is silent. Until
// it answers nobody knows what became of the run, so its task is busy.
func TestRunGoesOnWhenItsArrayAnswers(t *testing.T) {
	w := newWorldAway(t)
	run := w.atArray()
	w.end()
	w.put(run)
	w.away.Set(arraystest.Refusing)
	w.start(newMemArray("13698", 8))
	if run, err := w.Get(t.Context(), run.ID, 0); err != nil || run.State != taskstore.RunRunning {
		t.Errorf("%+v, %v", run, err)
	}
	_, err := w.Start(t.Context(), runner.Request{Task: "away"})
	w.wantFault(err, fault.Busy, "task away is already running")
	w.wantFault(w.remove(run.ID), fault.Busy, "is still running")
	w.restartAway(arraystest.Hanging) // it is no less running after another start
	w.array.step(memTracks)
	w.away.Set(arraystest.Answering)
	w.wantEnd(run.ID, taskstore.RunDone)
	w.run(runner.Request{Task: "away"})
}

// atArray runs the task "away", and returns the run as it was on disk before the array
// was touched.
func (w *world) atArray() taskstore.Run {
	w.t.Helper()
	run := w.recorded(w.run(runner.Request{Task: "away", Wait: true}).ID, taskstore.PhaseCopy)
	run.Phase = taskstore.PhaseArray
	return run
}

// TestRunThatDidNothing is known as such as soon as its array answers.
func TestRunThatDidNothing(t *testing.T) {
	w := newWorldAway(t)
	before := w.array.save()
	run := w.atArray()
	w.end()
	w.array.restore(before)
	w.put(run)
	w.away.Set(arraystest.Refusing)
	w.start(newMemArray("13698", 8))
	w.away.Set(arraystest.Answering)
	w.wantEnd(run.ID, taskstore.RunInterrupted)
}

func (w *world) wantEnd(id string, state taskstore.RunState) {
	w.t.Helper()
	for range 200 {
		run, err := w.Get(w.t.Context(), id, time.Second)
		must(w.t, err)
		if run.State == state {
			return
		}
		if run.State != taskstore.RunRunning {
			w.t.Fatalf("%+v, want it to be %s", run, state)
		}
	}
	w.t.Fatal("the run does not end")
}
