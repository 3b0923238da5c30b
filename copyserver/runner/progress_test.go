package runner_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
	"copyservices/taskstore/filestore"
)

// TestWait runs in a bubble, so that the pauses between looks take no time.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		run := w.run(runner.Request{Task: "fc", Wait: true})
		if run.State != taskstore.RunRunning {
			t.Fatalf("run %+v", run)
		}
		_, err := w.Start(t.Context(), runner.Request{Task: "fc"})
		wantKind(t, err, fault.Busy, run.ID)
		wantKind(t, w.remove(run.ID), fault.Busy, "still running")
		w.array.step(memTracks / 4)
		run, err = w.Get(t.Context(), run.ID, time.Minute)
		must(t, err)
		if run.State != taskstore.RunRunning || run.Percent != 25 {
			t.Errorf("after a quarter: %+v", run)
		}
		w.array.step(memTracks)
		run, err = w.Get(t.Context(), run.ID, time.Minute)
		must(t, err)
		if run.State != taskstore.RunDone || run.Percent != 100 {
			t.Errorf("in the end: %+v", run)
		}
		w.end()
	})
}

func TestWaitForACopyThatFails(t *testing.T) {
	w := newWorld(t)
	run := w.run(runner.Request{Task: "fc", Wait: true})
	w.array.fail("no space on target")
	run, err := w.Get(t.Context(), run.ID, time.Minute)
	must(t, err)
	if run.State != taskstore.RunFailed || run.Error.Kind != fault.Refused ||
		!strings.Contains(run.Error.Message, "no space on target") {
		t.Errorf("run %+v", run)
	}
}

// TestRunsGoOnAfterARestart: a run whose copies were established is followed
// again, one that was cut off before that is interrupted.
func TestRunsGoOnAfterARestart(t *testing.T) {
	w := newWorld(t)
	waiting := w.run(runner.Request{Task: "fc", Wait: true})
	cut := taskstore.Run{
		ID: "cut", Task: "other", Type: taskstore.TaskEstablish, State: taskstore.RunRunning,
		Started: time.Now().UTC(),
		Pairs:   []taskstore.ResolvedPair{{Source: w.array.vol(2), Target: w.array.vol(3)}},
	}
	must(t, w.store.Runs().Create(cut))
	w.restart()
	run, err := w.Get(t.Context(), waiting.ID, 0)
	must(t, err)
	if run.State != taskstore.RunRunning || run.Error != nil {
		t.Errorf("the waiting run is %+v, %+v", run, run.Error)
	}
	_, err = w.Start(t.Context(), runner.Request{Task: "fc"})
	wantKind(t, err, fault.Busy, waiting.ID)
	run, err = w.Get(t.Context(), "cut", 0)
	must(t, err)
	if run.State != taskstore.RunInterrupted || run.Error.Kind != fault.Server {
		t.Errorf("the cut run is %+v, %+v", run, run.Error)
	}
	w.restart()
	c, err := w.Completion(t.Context(), "fc", 0)
	if err != nil || c.Complete {
		t.Errorf("completion: %+v, %v", c, err)
	}
	w.array.step(memTracks)
	if c, err = w.Completion(t.Context(), "fc", 0); err != nil || !c.Complete {
		t.Errorf("completion in the end: %+v, %v", c, err)
	}
	run, err = w.Get(t.Context(), waiting.ID, time.Minute)
	if err != nil || run.State != taskstore.RunDone || run.Percent != 100 {
		t.Errorf("in the end: %+v, %v", run, err)
	}
}

// TestCopiesThatEndedWithoutTheServer: what came of a run's copies meanwhile is
// what came of the run.
func TestCopiesThatEndedWithoutTheServer(t *testing.T) {
	w := newWorld(t)
	for name, end := range map[taskstore.RunState]func(){
		taskstore.RunDone:   func() { w.array.step(memTracks) },
		taskstore.RunFailed: func() { w.array.fail("no space on target") },
	} {
		waiting := w.run(runner.Request{Task: "fc", Wait: true})
		w.end()
		end()
		w.start(w.array)
		run, err := w.Get(t.Context(), waiting.ID, time.Minute)
		if err != nil || run.State != name {
			t.Errorf("%s: %+v, %v", name, run, err)
		}
		w.array.forget()
	}
}

// cutOff runs a task and puts the run back to what the disk had when it began.
func (w *world) cutOff(q runner.Request, touch bool) taskstore.Run {
	w.t.Helper()
	before := w.array.save()
	release := w.array.hold()
	go w.Start(w.t.Context(), q)
	<-w.array.entered
	runs, _, err := w.listed(q.Task, 1)
	must(w.t, err)
	record, err := w.store.Runs().Get(runs[0].ID)
	must(w.t, err)
	w.array.letGo()
	release()
	_, ok := w.ByKey(w.t.Context(), q.Key) // which waits for the array
	if !ok || record.State != taskstore.RunRunning {
		w.t.Fatalf("the record is %+v", record)
	}
	w.end()
	if !touch {
		w.array.restore(before)
	}
	store, err := filestore.Open(w.dir)
	must(w.t, err)
	must(w.t, store.Runs().Put(record))
	must(w.t, store.Close())
	w.start(w.array)
	return record
}

// TestCutOffAtTheArray: the server ends between the record of a run and that of
// its end. What the array holds tells whether it was done, also where the same
// was done a moment earlier.
func TestCutOffAtTheArray(t *testing.T) {
	w := newWorld(t)
	w.task("w", taskstore.TaskWithdraw, arrayclient.Options{}, "vm:Disk1", "vm:Disk2")
	for i, name := range []string{"fc", "w", "fc"} {
		key := "key-" + string(rune('a'+i))
		run := w.cutOff(runner.Request{Task: name, Key: key}, false)
		got, err := w.Get(t.Context(), run.ID, 0)
		if err != nil || got.State != taskstore.RunInterrupted || !got.Untouched {
			t.Errorf("%s, not done: %+v, %v", name, got, err)
		}
		run = w.cutOff(runner.Request{Task: name, Key: key}, true)
		got, err = w.Get(t.Context(), run.ID, 0)
		if err != nil || got.State != taskstore.RunDone || got.Error != nil {
			t.Errorf("%s, done: %+v, %v", name, got, err)
		}
		if again, ok := w.ByKey(t.Context(), key); !ok || again.ID != run.ID {
			t.Errorf("%s: its key stands for %+v", name, again)
		}
	}
}

// TestInterruptedBeforeTheArray: an earlier copy of the same pair does not
// count for a run that never got to the array.
func TestInterruptedBeforeTheArray(t *testing.T) {
	w := newWorld(t)
	w.run(runner.Request{Task: "fc"})
	w.array.step(memTracks)
	cut := taskstore.Run{
		ID: "cut", Task: "fc", Type: taskstore.TaskEstablish, State: taskstore.RunRunning,
		Started: time.Now().UTC().Add(time.Minute),
		Pairs:   []taskstore.ResolvedPair{{Source: w.array.vol(0), Target: w.array.vol(1)}},
	}
	must(t, w.store.Runs().Create(cut))
	w.restart()
	_, err := w.Completion(t.Context(), "fc", 0)
	wantKind(t, err, fault.Refused, "the server ended in the middle of the last run of task fc")
}

func TestCompletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, err := w.Completion(t.Context(), "none", 0)
		wantKind(t, err, fault.NotFound, "none")
		_, err = w.Completion(t.Context(), "fc", 0)
		wantKind(t, err, fault.Refused, "has not been run")
		w.run(runner.Request{Task: "fc"})
		w.array.step(memTracks / 2)
		start := time.Now()
		c, err := w.Completion(t.Context(), "fc", 2*time.Second)
		if took := time.Since(start); err != nil || c.Complete || c.Percent != 50 ||
			took != 2*time.Second {
			t.Errorf("halfway: %+v, %v after %v", c, err, took)
		}
		go func() {
			time.Sleep(time.Second)
			w.array.step(memTracks)
		}()
		start = time.Now()
		c, err = w.Completion(t.Context(), "fc", time.Minute)
		if took := time.Since(start); err != nil || !c.Complete || took > 2*time.Second {
			t.Errorf("in the end: %+v, %v after %v", c, err, took)
		}
		if p := c.Pairs[0]; !p.Complete || p.Percent != 100 || p.State != "complete" {
			t.Errorf("pair %+v", p)
		}
		w.run(runner.Request{Task: "fc"})
		w.task("w", taskstore.TaskWithdraw, arrayclient.Options{}, "vm:Disk1", "vm:Disk2")
		w.run(runner.Request{Task: "w"})
		_, err = w.Completion(t.Context(), "fc", time.Minute)
		wantKind(t, err, fault.Refused, "ended before it was complete")
		_, err = w.Completion(t.Context(), "w", time.Minute)
		wantKind(t, err, fault.Refused, "copies nothing")
		w.end()
	})
}

func TestCompletionOfNoCopyAndFailed(t *testing.T) {
	w := newWorld(t)
	w.task("nc", taskstore.TaskEstablish, arrayclient.Options{NoCopy: true},
		w.array.vol(2), w.array.vol(3))
	w.run(runner.Request{Task: "nc"})
	_, err := w.Completion(t.Context(), "nc", time.Minute)
	wantKind(t, err, fault.Refused, "no end to wait for")
	frozen := arrayclient.Options{NoCopy: true, Freeze: true}
	w.task("frozen", taskstore.TaskEstablish, frozen, w.array.vol(4), w.array.vol(5))
	w.run(runner.Request{Task: "frozen"})
	_, err = w.Completion(t.Context(), "frozen", time.Minute)
	wantKind(t, err, fault.Refused, "no end to wait for")
	w.task("bad", taskstore.TaskEstablish, arrayclient.Options{}, w.array.vol(4), w.array.vol(3))
	w.run(runner.Request{Task: "bad"})
	_, err = w.Completion(t.Context(), "bad", 0)
	wantKind(t, err, fault.Refused, "the last failed: 20313698 is a target already")
}

// TestPercentOfFinishedRuns: a run that is done tells how far its copies are, be
// it one of an early server, which wrote 0 down, or one that others followed.
func TestPercentOfFinishedRuns(t *testing.T) {
	w := newWorld(t)
	percent := func(id string) int {
		run, err := w.Get(t.Context(), id, 0)
		must(t, err)
		return run.Percent
	}
	first := w.run(runner.Request{Task: "fc"})
	w.array.step(memTracks / 2)
	if p := percent(first.ID); p != 50 {
		t.Errorf("halfway: %d", p)
	}
	w.array.step(memTracks)
	if p := percent(first.ID); p != 100 {
		t.Errorf("in the end: %d", p)
	}
	first.Percent = 0
	must(t, w.store.Runs().Put(first))
	w.restart()
	runs, _, err := w.listed("fc", 1)
	if err != nil || runs[0].Percent != 100 {
		t.Errorf("after a restart: %+v, %v", runs, err)
	}
	second := w.run(runner.Request{Task: "fc"})
	w.restart()
	if p, q := percent(first.ID), percent(second.ID); p != 100 || q != 0 {
		t.Errorf("the first is at %d, the second at %d", p, q)
	}
	w.task("w", taskstore.TaskWithdraw, arrayclient.Options{}, "vm:Disk1", "vm:Disk2")
	if run := w.run(runner.Request{Task: "w"}); run.Percent != 100 {
		t.Errorf("a withdraw: %+v", run)
	}
}
