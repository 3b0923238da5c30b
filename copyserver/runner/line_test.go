package runner_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
)

// command stands in line as a command does: its request is made again as long as
// the run is queued.
func (w *world) command(ctx context.Context, key string) (taskstore.Run, error) {
	return w.insist(ctx, runner.Request{Task: "fc", Key: key, Line: time.Hour})
}

func (w *world) insist(ctx context.Context, q runner.Request) (taskstore.Run, error) {
	for {
		run, err := w.Start(ctx, q)
		if err != nil || run.State != taskstore.RunQueued || ctx.Err() != nil {
			return run, err
		}
	}
}

func lineKey(i int) string { return fmt.Sprintf("key-%02d", i) }

// inLine waits until so many runs stand in line.
func (w *world) inLine(n int) {
	w.t.Helper()
	synctest.Wait()
	runs, _, err := w.listed("fc", 1000)
	must(w.t, err)
	queued := 0
	for _, run := range runs {
		if run.State == taskstore.RunQueued {
			queued++
		}
	}
	if queued != n {
		w.t.Fatalf("%d runs are queued, want %d: %+v", queued, n, runs)
	}
}

// begun returns the keys of the runs of fc in the order in which they began.
func (w *world) begun() []string {
	w.t.Helper()
	runs, err := w.store.Runs().List()
	must(w.t, err)
	var keys []string
	for _, run := range runs {
		if run.Key != "" {
			keys = append(keys, run.Key)
		}
	}
	return keys
}

// TestLineIsServedInOrder: first come, first served, each as soon as the one
// before has ended.
func TestLineIsServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50
		w := newWorld(t)
		w.array.pace = time.Millisecond
		waiting := w.run(runner.Request{Task: "fc", Wait: true})
		var wg sync.WaitGroup
		var want []string
		for i := range n {
			want = append(want, lineKey(i))
			wg.Go(func() {
				if run, err := w.command(t.Context(), lineKey(i)); err != nil || run.ID == waiting.ID {
					t.Errorf("%+v, %v", run, err)
				}
			})
			w.inLine(i + 1)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(3 * time.Minute) // their requests end and are made again
		w.array.step(memTracks)
		wg.Wait()
		if got := w.begun(); !slices.Equal(got, want) {
			t.Errorf("the order was %q", got)
		}
		runs, _, err := w.listed("fc", n)
		must(t, err)
		for i, run := range runs[:n-1] {
			if gap := run.Started.Sub(runs[i+1].Ended); gap > 50*time.Millisecond {
				t.Errorf("%v after the end of the one before", gap)
			}
		}
		w.end()
	})
}

// TestLineOutlivesServerAndConnections: whoever asks again soon has its old
// place, whatever came between.
func TestLineOutlivesServerAndConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.array.pace = time.Millisecond
		w.run(runner.Request{Task: "fc", Wait: true})
		var want []string
		for i := range 4 {
			want = append(want, lineKey(i))
			ctx, leave := context.WithTimeout(t.Context(), time.Millisecond)
			run, err := w.command(ctx, lineKey(i))
			leave()
			if err != nil || run.State != taskstore.RunQueued {
				t.Fatalf("%+v, %v", run, err)
			}
		}
		w.restart()
		w.array.step(memTracks) // the first may begin at once
		var wg sync.WaitGroup
		for _, i := range []int{3, 1, 2, 0} {
			wg.Go(func() { w.command(t.Context(), lineKey(i)) })
			time.Sleep(time.Second)
		}
		wg.Wait()
		if got := w.begun(); !slices.Equal(got, want) {
			t.Errorf("the order was %q", got)
		}
		w.end()
	})
}

// TestLineGoesOnWithoutTheDead: a command that is gone does not find its task
// run, and holds up the others for a moment only.
func TestLineGoesOnWithoutTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(runner.Request{Task: "fc", Wait: true})
		ctx, kill := context.WithCancel(t.Context())
		go w.command(ctx, lineKey(0))
		w.inLine(1)
		time.Sleep(time.Millisecond)
		var wg sync.WaitGroup
		wg.Go(func() { w.command(t.Context(), lineKey(1)) })
		w.inLine(2)
		kill()
		synctest.Wait()
		w.array.step(memTracks)
		start := time.Now()
		wg.Wait()
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("the second waited %v for the first", took)
		}
		_, err := w.Start(t.Context(), runner.Request{Task: "fc"}) // does not stand in line
		must(t, err)
		time.Sleep(2 * time.Minute)
		_, err = w.Start(t.Context(), runner.Request{Task: "fc"})
		must(t, err)
		synctest.Wait()
		if got := w.begun(); !slices.Equal(got, []string{lineKey(1)}) {
			t.Errorf("begun %q", got)
		}
		w.inLine(0)
		w.end()
	})
}

// TestLeavingTheLine: when the time in line is over, or the client says so, the
// run is gone.
func TestLeavingTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.run(runner.Request{Task: "fc", Wait: true})
		q := runner.Request{Task: "fc", Key: lineKey(0), Line: 300 * time.Millisecond}
		start := time.Now()
		_, err := w.insist(t.Context(), q)
		wantKind(t, err, fault.Busy, "task fc is already running: run "+first.ID)
		if took := time.Since(start); took != q.Line {
			t.Errorf("after %v", took)
		}
		w.inLine(0)
		go w.command(t.Context(), lineKey(1))
		w.inLine(1)
		q = runner.Request{Task: "fc", Key: lineKey(1)}
		_, err = w.Start(t.Context(), q)
		wantKind(t, err, fault.Busy, "stands in line no longer")
		synctest.Wait()
		wantKind(t, w.remove(first.ID), fault.Busy, "still running")
		w.array.step(memTracks)
		w.end()
	})
}

// TestWithdrawEndsTheWait: a run that waits for copies has ended when the
// command that ended them answers.
func TestWithdrawEndsTheWait(t *testing.T) {
	w := newWorld(t)
	w.task("w", taskstore.TaskWithdraw, arrayclient.Options{}, "vm:Disk1", "vm:Disk2")
	for range 20 {
		waiting := w.run(runner.Request{Task: "fc", Wait: true})
		w.run(runner.Request{Task: "w"})
		again, err := w.Start(t.Context(), runner.Request{Task: "fc"})
		if err != nil || again.State != taskstore.RunDone {
			t.Fatalf("%+v, %v", again, err)
		}
		run, err := w.Get(t.Context(), waiting.ID, 0)
		if err != nil || run.State != taskstore.RunFailed {
			t.Fatalf("the waiting run: %+v, %v", run, err)
		}
		w.array.forget()
	}
}

// TestNotBegunTooLate: what has not begun in time is not begun any more.
func TestNotBegunTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		late := runner.Request{Task: "fc", Until: time.Now().Add(-time.Millisecond)}
		_, err := w.Start(t.Context(), late)
		wantKind(t, err, fault.TimedOut, "task fc was not begun")
		w.run(runner.Request{Task: "fc", Wait: true})
		time.AfterFunc(time.Second, func() { w.array.step(memTracks) })
		late = runner.Request{Task: "fc", Key: lineKey(0), Line: time.Hour,
			Until: time.Now().Add(500 * time.Millisecond)}
		_, err = w.insist(t.Context(), late)
		wantKind(t, err, fault.TimedOut, "task fc was not begun")
		if w.array.acts != 1 {
			t.Errorf("%d acts", w.array.acts)
		}
		run := w.run(runner.Request{Task: "fc", Until: time.Now().Add(time.Minute)})
		if run.State != taskstore.RunDone {
			t.Errorf("%+v", run)
		}
		w.end()
	})
}
