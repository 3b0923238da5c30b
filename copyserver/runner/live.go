package runner

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// live is a run that this process executes.
type live struct {
	resolved Resolved
	acted    chan struct{}        // closed when the array has done its part
	over     chan struct{}        // closed when the run has ended
	looks    chan chan<- struct{} // asks the follower to look, and to close what it gets afterwards

	mu         sync.Mutex
	run        taskstore.Run
	unrecorded error // why the disk does not have the end of the run; nil
}

func newLive(run taskstore.Run, resolved Resolved) *live {
	return &live{
		run: run, resolved: resolved, acted: make(chan struct{}), over: make(chan struct{}),
		looks: make(chan chan<- struct{}),
	}
}

func (l *live) snapshot() taskstore.Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	run := l.run // its slices are replaced, never written to
	if l.unrecorded != nil {
		run.Warnings = append(slices.Clone(run.Warnings),
			"the end of the run could not be recorded: "+l.unrecorded.Error())
	}
	return run
}

func (l *live) change(f func(*taskstore.Run)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.run)
}

// step is one part of what a run does. The run is on disk in the step's phase before
// the step begins, so that the next server knows where this one ended.
type step struct {
	phase taskstore.Phase // empty: the step changes nothing, and is not written down
	// do does the step. The run ends with its error; with errLeft it is left to the
	// next server.
	do func(context.Context, *live) error
	// lasts: whoever asked for the run does not wait for the step.
	lasts bool
	// after tells what became of a step that an earlier process began; nil: it is done
	// again. Its error may be that of an array that does not answer.
	after func(context.Context, taskstore.Run, Resolved) (trace, error)
}

// errLeft ends the work on a run, not the run.
var errLeft = errors.New("left to the next server")

// stepsOf returns the steps of a run. do is what it does to the array; nil for a run
// whose array has done its part.
func (r *Runner) stepsOf(run taskstore.Run, q Request, do act) []step {
	steps := []step{{
		phase: taskstore.PhaseArray, after: r.traceOf,
		do: func(ctx context.Context, l *live) error { return r.act(ctx, l, q, do) },
	}}
	if run.Wait && copies(run.Type) {
		return append(steps, step{phase: taskstore.PhaseCopy, do: r.follow, lasts: true})
	}
	return append(steps, step{do: r.noteCopied})
}

// proceed does the steps one after the other, up to the first that fails, and records
// the end of the run.
func (r *Runner) proceed(ctx context.Context, l *live, steps []step) {
	if len(steps) == 0 {
		r.finish(l, nil)
		return
	}
	now := func() {
		r.enter(l, steps[0].phase)
		err := steps[0].do(ctx, l)
		switch {
		case errors.Is(err, errLeft):
		case err != nil:
			r.finish(l, err)
		default:
			r.proceed(ctx, l, steps[1:])
		}
	}
	if steps[0].lasts {
		r.work.Go(now)
		return
	}
	now()
}

// enter records the phase of a run. Where the disk does not take it the run goes on:
// the next server then finds out more from the array.
func (r *Runner) enter(l *live, phase taskstore.Phase) {
	l.mu.Lock()
	known := phase == "" || l.run.Phase == phase
	if !known {
		l.run.Phase = phase
	}
	run := l.run
	l.mu.Unlock()
	if known {
		return
	}
	if err := r.store.Runs().Put(run); err != nil {
		r.logger.Error("cannot record how far a run has got", "run", run.ID, "phase", phase, "error", err)
	}
}

// act is the step in which the array does its part.
func (r *Runner) act(ctx context.Context, l *live, q Request, do act) error {
	warnings, err := inTime(ctx, l.resolved, q, do)
	l.change(func(run *taskstore.Run) { run.Warnings = warnings })
	close(l.acted)
	return err
}

// noteCopied is the step in which a run that does not last learns how far its copies
// are.
func (r *Runner) noteCopied(ctx context.Context, l *live) error {
	percent := r.percentNow(ctx, l)
	l.change(func(run *taskstore.Run) { run.Percent = percent })
	return nil
}

// inTime does what do says, unless it is too late to begin. The array is told
// too: it may have to wait for something before it begins.
func inTime(ctx context.Context, r Resolved, q Request, do act) ([]string, error) {
	if err := q.late(); err != nil {
		return nil, err
	}
	if !q.Until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, q.Until)
		defer cancel()
	}
	warnings, err := do(ctx, r)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		err = q.late()
	}
	return warnings, err
}

// percentNow is for the record only: it is 0 where it cannot be known.
func (r *Runner) percentNow(ctx context.Context, l *live) int {
	if !copies(l.run.Type) {
		return 100
	}
	p, err := look(ctx, l.resolved.copying(l.run.Type), time.Time{})
	if err != nil {
		return 0
	}
	return p.percent
}

// follow is the step that ends with the copies, or with the server: then the run stays
// running on disk, and the next server follows it.
func (r *Runner) follow(_ context.Context, l *live) error {
	resolved := l.resolved.copying(l.run.Type)
	_, err := follow(r.stopping, resolved, time.Time{}, l.looks, func(p progress) {
		l.change(func(run *taskstore.Run) { run.Percent = p.percent })
	})
	if r.stopping.Err() != nil {
		return errLeft
	}
	return err
}

// endCopies withdraws. Runs that wait for those copies have ended when it
// returns.
func (r *Runner) endCopies(ctx context.Context, w Resolved) (warnings []string, err error) {
	warnings, err = withdraw(ctx, w)
	if err == nil {
		r.lookAgain(w)
	}
	return warnings, err
}

// lookAgain lets the runs that follow copies of the same pairs find out at once
// what became of them.
func (r *Runner) lookAgain(w Resolved) {
	gone := make(map[arrayclient.Pair]bool, len(w.Pairs))
	for _, p := range w.Pairs {
		gone[p] = true
	}
	var affected []*live
	r.mu.Lock()
	for _, l := range r.live {
		if l.isFollowing(gone) {
			affected = append(affected, l)
		}
	}
	r.mu.Unlock()
	for _, l := range affected {
		looked := make(chan struct{})
		select {
		case l.looks <- looked:
			select {
			case <-looked:
			case <-l.over:
			case <-r.stopping.Done():
			}
		case <-l.over:
		case <-r.stopping.Done():
		}
	}
}

// isFollowing reports whether the run waits for copies of one of pairs.
func (l *live) isFollowing(pairs map[arrayclient.Pair]bool) bool {
	select {
	case <-l.over:
		return false
	case <-l.acted:
	default:
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.run.Wait || !copies(l.run.Type) {
		return false
	}
	return slices.ContainsFunc(l.resolved.copying(l.run.Type).Pairs,
		func(p arrayclient.Pair) bool { return pairs[p] })
}

// finish records the end of a run.
func (r *Runner) finish(l *live, err error) {
	l.change(func(run *taskstore.Run) {
		run.State, run.Ended, run.Phase = taskstore.RunDone, time.Now().UTC(), ""
		if err != nil {
			detail := fault.DetailOf(err)
			run.State, run.Error = taskstore.RunFailed, &detail
		}
	})
	r.recordLeft()
	r.record(l)
	close(l.over)
	run := l.snapshot()
	r.logger.Info("run ended", "run", run.ID, "task", run.Task, "user", run.User,
		"state", run.State, "duration", run.Ended.Sub(run.Started))
	r.prune()
}

// record writes the end of a run down and gives its task free. When the disk
// does not take it the run stays in memory, so that whoever asks is told the
// truth, and is left for recordLeft.
func (r *Runner) record(l *live) {
	l.mu.Lock()
	run := l.run
	l.mu.Unlock()
	err := r.store.Runs().Put(run)
	l.mu.Lock()
	if err != nil && l.unrecorded == nil {
		r.logger.Error("cannot record the end of a run", "run", run.ID, "error", err)
	}
	l.unrecorded = err
	l.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := taskstore.Key(run.Task); r.busy[key] == l {
		delete(r.busy, key)
		defer func() { go r.serve(key) }()
	}
	if err == nil {
		delete(r.live, run.ID)
	}
}

// recordLeft tries again to record runs that are over.
func (r *Runner) recordLeft() {
	r.recording.Lock()
	defer r.recording.Unlock()
	var left []*live
	r.mu.Lock()
	for _, l := range r.live {
		select {
		case <-l.over:
			left = append(left, l)
		default:
		}
	}
	r.mu.Unlock()
	for _, l := range left {
		r.record(l)
	}
}
