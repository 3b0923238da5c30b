package runner_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
	"copyservices/taskstore/filestore"
)

// recorded waits until the run is on disk in that phase.
func (w *world) recorded(id string, phase taskstore.Phase) taskstore.Run {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		run, err := w.store.Runs().Get(id)
		must(w.t, err)
		if run.Phase == phase {
			return run
		}
		if time.Now().After(end) {
			w.t.Fatalf("the run is recorded in the phase %q, not %q", run.Phase, phase)
		}
	}
}

// put changes the record of a run behind the back of the server, which is not there.
func (w *world) put(run taskstore.Run) {
	w.t.Helper()
	store, err := filestore.Open(w.dir)
	must(w.t, err)
	must(w.t, store.Runs().Put(run))
	must(w.t, store.Close())
}

// TestCutOffInEachPhase: a run goes on from the phase in which the end of the server
// left it, and one of an early server, which wrote none, from where the array is.
func TestCutOffInEachPhase(t *testing.T) {
	w := newWorld(t)
	for suffix, early := range map[string]bool{"new": false, "early": true} {
		record := w.cutOff(runner.Request{Task: "fc", Wait: true, Key: "a" + suffix}, false)
		if record.Phase != taskstore.PhaseArray {
			t.Errorf("at the array the record is %+v", record)
		}
		if early {
			w.end()
			record.Phase = ""
			w.put(record)
			w.start(w.array)
		}
		run, err := w.Get(t.Context(), record.ID, 0)
		if err != nil || run.State != taskstore.RunInterrupted || !run.Untouched {
			t.Errorf("not at the array yet: %+v, %v", run, err)
		}

		record = w.cutOff(runner.Request{Task: "fc", Wait: true, Key: "b" + suffix}, true)
		if early {
			w.end()
			record.Phase = ""
			w.put(record)
			w.start(w.array)
		}
		w.recorded(record.ID, taskstore.PhaseCopy)
		w.restart()
		run, err = w.Get(t.Context(), record.ID, 0)
		if err != nil || run.State != taskstore.RunRunning || run.Phase != taskstore.PhaseCopy {
			t.Errorf("while it copies: %+v, %v", run, err)
		}
		w.array.step(memTracks)
		run, err = w.Get(t.Context(), record.ID, time.Minute)
		if err != nil || run.State != taskstore.RunDone || run.Percent != 100 {
			t.Errorf("in the end: %+v, %v", run, err)
		}
		w.array.forget()
	}
}

// mute is an array that does not tell of its volumes.
type mute struct{ *memArray }

func (mute) Volumes(context.Context) ([]arrayclient.Volume, error) {
	return nil, fault.New(fault.Failed, "the array does not tell: %w", errors.New("it is damaged"))
}

// TestPhaseIsKnown: of a run that is recorded as copying nobody has to ask the array
// what became of it.
func TestPhaseIsKnown(t *testing.T) {
	w := newWorld(t)
	run := w.run(runner.Request{Task: "fc", Wait: true})
	atArray := w.recorded(run.ID, taskstore.PhaseCopy)
	w.end()
	w.start(mute{w.array})
	got, err := w.Get(t.Context(), run.ID, 0)
	if err != nil || got.State != taskstore.RunRunning {
		t.Errorf("of an array that does not tell: %+v, %v", got, err)
	}
	w.end()
	atArray.Phase = taskstore.PhaseArray
	w.put(atArray)
	w.start(mute{w.array})
	got, err = w.Get(t.Context(), run.ID, 0)
	if err != nil || got.State != taskstore.RunInterrupted || got.Untouched {
		t.Errorf("recorded before the array: %+v, %v", got, err)
	}
}

// TestWarningsOutliveTheServer: who is warned of is known after a restart too.
func TestWarningsOutliveTheServer(t *testing.T) {
	w := newWorld(t)
	warned := []string{"vm has it attached"}
	w.Overwritten = func([]arrayclient.Serial) []string { return warned }
	run := w.run(runner.Request{Task: "fc", Wait: true})
	w.recorded(run.ID, taskstore.PhaseCopy)
	w.restart()
	w.array.step(memTracks)
	got, err := w.Get(t.Context(), run.ID, time.Minute)
	if err != nil || got.State != taskstore.RunDone || !slices.Equal(got.Warnings, warned) {
		t.Errorf("after a restart %+v, %v", got, err)
	}
}

// TestPhaseThatCannotBeRecorded: the run goes on, and after a restart too.
func TestPhaseThatCannotBeRecorded(t *testing.T) {
	w := newWorld(t)
	release := w.array.hold()
	started := make(chan error, 1)
	go func() {
		_, err := w.Start(t.Context(), runner.Request{Task: "fc", Wait: true})
		started <- err
	}()
	<-w.array.entered
	w.fsys.set(0)
	w.array.letGo()
	release()
	must(t, <-started)
	runs, _, err := w.listed("fc", 1)
	must(t, err)
	if got, err := w.Get(t.Context(), runs[0].ID, 0); err != nil || got.State != taskstore.RunRunning {
		t.Errorf("on a full disk %+v, %v", got, err)
	}
	w.end()
	w.fsys.set(1000)
	w.start(w.array)
	w.array.step(memTracks)
	got, err := w.Get(t.Context(), runs[0].ID, time.Minute)
	if err != nil || got.State != taskstore.RunDone {
		t.Errorf("after a restart %+v, %v", got, err)
	}
}
