package runner

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"copyservices/copyserver/arrays"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// Get returns a run. While it is running it waits up to wait for its end.
func (r *Runner) Get(ctx context.Context, id string, wait time.Duration) (taskstore.Run, error) {
	l := r.liveRun(id)
	if l == nil {
		run, err := r.store.Runs().Get(id)
		return r.percents(ctx).of(run), err
	}
	if wait > 0 {
		r.await(ctx, l.over, wait)
	}
	return l.snapshot(), nil
}

// Working returns a run that goes on and works on one of those volumes.
func (r *Runner) Working(on func(arrayclient.Serial) bool) (run taskstore.Run, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.live {
		run := l.snapshot()
		for _, p := range run.Pairs {
			if run.State == taskstore.RunRunning && on(arrayclient.Serial(p.Source)) {
				return run, true
			}
		}
	}
	return taskstore.Run{}, false
}

func (r *Runner) liveRun(id string) *live {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live[id]
}

// await waits for c, at most as long as wait says, ctx lives and the Runner
// works.
func (r *Runner) await(ctx context.Context, c <-chan struct{}, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-c:
	case <-timer.C:
	case <-ctx.Done():
	case <-r.stopping.Done():
	}
}

// ByKey returns the run that a request with that idempotency key started.
func (r *Runner) ByKey(ctx context.Context, key string) (taskstore.Run, bool) {
	r.mu.Lock()
	id, ok := r.keys[key]
	r.mu.Unlock()
	if !ok {
		return taskstore.Run{}, false
	}
	if l := r.liveRun(id); l != nil {
		r.await(ctx, l.acted, taskstore.MaxWait)
	}
	run, err := r.Get(ctx, id, 0)
	return run, err == nil
}

// RunList is a part of the history.
type RunList struct {
	Newest []taskstore.Run // the newest first
	Total  int             // how many there are, beyond the limit too
	// Warnings name arrays that do not answer: how far copies in them have come is what
	// was recorded.
	Warnings []string
}

// List returns the newest runs of a task, of all tasks when it is empty.
func (r *Runner) List(ctx context.Context, task string, limit int) (out RunList, err error) {
	all, err := r.store.Runs().List()
	if err != nil {
		return out, err
	}
	slices.Reverse(all)
	now := r.percents(ctx)
	out.Newest = make([]taskstore.Run, 0, min(limit, len(all)))
	for _, run := range all {
		if task != "" && taskstore.Key(run.Task) != taskstore.Key(task) {
			continue
		}
		if out.Total++; out.Total > limit {
			continue
		}
		if l := r.liveRun(run.ID); l != nil {
			run = l.snapshot()
		}
		out.Newest = append(out.Newest, now.of(run))
	}
	out.Warnings = now.silent
	return out, nil
}

// Delete removes a run from the history, its idempotency key with it. One that is
// running or in line is Busy. Before is called with the run, and nothing is removed
// when it fails.
func (r *Runner) Delete(id string, before func(taskstore.Run) error) error {
	l := r.liveRun(id)
	if l != nil && l.snapshot().State == taskstore.RunRunning {
		return fault.New(fault.Busy, "run %s is still running", id)
	}
	r.recording.Lock()
	defer r.recording.Unlock()
	run, err := r.store.Runs().Get(id)
	if err != nil {
		return err
	}
	if run.State == taskstore.RunQueued {
		return fault.New(fault.Busy, "run %s stands in line", id).
			WithHint("it goes when the command that waits for it ends")
	}
	if l != nil {
		run = l.snapshot() // whose end is not on disk
	}
	if err := before(run); err != nil {
		return err
	}
	if err := r.store.Runs().Delete(run.ID); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, run.ID)
	if r.keys[run.Key] == run.ID {
		delete(r.keys, run.Key)
	}
	r.stored--
	return nil
}

// Completion is how far the copies that an establish, resync, reverse or
// background-copy task started have come.
type Completion struct {
	Task     string
	Complete bool
	Percent  int
	Pairs    []PairCompletion
}

// PairCompletion is the state of one pair. A pair whose relationship ended because
// its copy completed counts as complete.
type PairCompletion struct {
	Source, Target string
	State          string // of the relationship
	Percent        int
	Complete       bool
}

// Completion tells how far the copies of the task's last run that started any
// have come, and waits up to wait for them to be complete. The error is of
// kind Refused where that will never be.
func (r *Runner) Completion(
	ctx context.Context, task string, wait time.Duration,
) (Completion, error) {
	var out Completion
	t, err := r.store.Tasks().Get(task)
	if err != nil {
		return out, err
	}
	run, err := r.lastCopying(ctx, t)
	if err != nil {
		return out, err
	}
	resolved, err := resolvedOf(r.arrays, run)
	if err != nil {
		return out, err
	}
	if l := r.liveRun(run.ID); l != nil {
		r.await(ctx, l.acted, taskstore.MaxWait)
	}
	var since time.Time
	interrupted := run.State == taskstore.RunInterrupted
	if interrupted {
		since = run.Started.Add(-clockSlack)
	}
	p, err := r.lookUntil(ctx, resolved, since, wait)
	if isSilent(err) && wait > 0 && ctx.Err() == nil {
		return recorded(t.Name, run), nil // whoever waits goes on waiting
	}
	if interrupted && fault.KindOf(err) == fault.Refused {
		err = fault.New(fault.Refused, "the server ended in the middle of the last run of task %s: %w",
			t.Name, err).WithHint("%s", fault.HintOf(err))
	}
	return Completion{
		Task: t.Name, Complete: p.complete, Percent: p.percent, Pairs: p.pairs,
	}, err
}

// StateUnknown is the state of a pair whose array does not answer.
const StateUnknown = "unknown"

// recorded is how far the copies of run had come when that was last known.
func recorded(task string, run taskstore.Run) Completion {
	out := Completion{Task: task, Percent: run.Percent}
	for _, p := range run.Pairs {
		out.Pairs = append(out.Pairs, PairCompletion{Source: p.Source, Target: p.Target, State: StateUnknown})
	}
	return out
}

// lookUntil looks once, or again and again while wait lasts.
func (r *Runner) lookUntil(
	ctx context.Context, resolved Resolved, since time.Time, wait time.Duration,
) (progress, error) {
	if wait <= 0 {
		return look(ctx, resolved, since)
	}
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	defer context.AfterFunc(r.stopping, cancel)()
	var last progress
	p, err := follow(limited, resolved, since, nil, func(p progress) { last = p })
	timeUp := isSilent(err) || errors.Is(err, limited.Err())
	if last.pairs != nil && timeUp && ctx.Err() == nil {
		return last, nil // the time is up, and that is an answer
	}
	return p, err
}

// lastCopying returns the last run of t that started copies, or may have.
func (r *Runner) lastCopying(ctx context.Context, t taskstore.Task) (taskstore.Run, error) {
	runs, err := r.List(ctx, t.Name, math.MaxInt)
	if err != nil {
		return taskstore.Run{}, err
	}
	for _, run := range runs.Newest {
		if run.State != taskstore.RunFailed && run.State != taskstore.RunQueued && copies(run.Type) {
			return run, nil
		}
	}
	return taskstore.Run{}, noCopies(t, runs.Newest)
}

// noCopies says why there is nothing to wait for.
func noCopies(t taskstore.Task, runs []taskstore.Run) error {
	switch {
	case !copies(t.Type):
		return fault.New(fault.Refused, "task %s is of type %s, which copies nothing", t.Name, t.Type)
	case len(runs) > 0 && runs[0].Error != nil:
		return fault.New(fault.Refused, "no run of task %s succeeded, the last failed: %s",
			t.Name, runs[0].Error.Message).WithHint("%s", runs[0].Error.Hint)
	}
	return fault.New(fault.Refused, "task %s has not been run", t.Name).
		WithHint("rsExecuteTask %s runs it", t.Name)
}

// resolvedOf returns the volumes that run worked on, whatever their names
// stand for by now.
func resolvedOf(arrays *arrays.Registry, run taskstore.Run) (Resolved, error) {
	out := Resolved{Named: run.Pairs}
	for _, p := range run.Pairs {
		out.Pairs = append(out.Pairs, arrayclient.Pair{
			Source: arrayclient.Serial(p.Source), Target: arrayclient.Serial(p.Target),
		})
	}
	out = out.copying(run.Type)
	if len(out.Pairs) == 0 {
		return out, fault.New(fault.Server, "run %s names no pairs", run.ID)
	}
	var err error
	out.Array, err = commonArray(arrays, out.Pairs)
	return out, err
}
