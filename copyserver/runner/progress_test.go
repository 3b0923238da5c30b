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
		wantKind(t, w.Delete(run.ID), fault.Busy, "still running")
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

func TestInterruptedRuns(t *testing.T) {
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
	if run.State != taskstore.RunInterrupted || !strings.Contains(run.Error.Message, "go on") ||
		run.Error.Kind != fault.Server {
		t.Errorf("the waiting run is %+v, %+v", run, run.Error)
	}
	run, err = w.Get(t.Context(), "cut", 0)
	must(t, err)
	if run.State != taskstore.RunInterrupted || strings.Contains(run.Error.Message, "go on") {
		t.Errorf("the cut run is %+v, %+v", run, run.Error)
	}
	c, err := w.Completion(t.Context(), "fc", 0)
	if err != nil || c.Complete {
		t.Errorf("completion of the interrupted task: %+v, %v", c, err)
	}
	w.array.step(memTracks)
	if c, err = w.Completion(t.Context(), "fc", 0); err != nil || !c.Complete {
		t.Errorf("completion in the end: %+v, %v", c, err)
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
