package runner

import (
	"cmp"
	"context"
	"slices"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// What becomes of the runs that the end of the server cut off. A run is recorded
// before the array is touched, together with when the copies were established
// that the targets held then. What they hold now tells whether the array did
// its part, whatever the clocks say. A run that is on disk in a later phase needs no
// such look.

// marks returns when the copies were established that the targets of r hold,
// zero for those that hold none.
func marks(ctx context.Context, r Resolved) ([]time.Time, error) {
	e := ended{ctx: ctx, array: r.Array}
	if err := e.read(); err != nil {
		return nil, err
	}
	times := make([]time.Time, len(r.Pairs))
	for i, p := range r.Pairs {
		if last := e.volumes[p.Target].LastCopy; last != nil {
			times[i] = last.Established
		}
	}
	return times, nil
}

// trace is what a run left in the array.
type trace int

const (
	unknown   trace = iota // it cannot be told
	untouched              // nothing
	acted                  // what it was to do
)

// traceOf finds out whether the array did its part of a run of an earlier
// process. Nothing else has been done to the array since.
func (r *Runner) traceOf(
	ctx context.Context, run taskstore.Run, resolved Resolved,
) (trace, error) {
	if run.Before == nil {
		_, err := look(ctx, resolved, run.Started.Add(-clockSlack))
		if run.Type == taskstore.TaskEstablish && err == nil {
			return acted, nil
		}
		return unknown, err
	}
	if run.Type == taskstore.TaskConsistencyCreated || len(run.Before) != len(resolved.Pairs) {
		return unknown, nil // a freeze has ended with its process
	}
	now, err := marks(ctx, resolved)
	if err != nil {
		return unknown, err
	}
	rels, err := resolved.Array.Relationships(ctx)
	if err != nil {
		return unknown, err
	}
	found := make(map[arrayclient.Pair]arrayclient.Relationship, len(rels))
	for _, rel := range rels {
		found[rel.Pair] = rel
	}
	for i, p := range resolved.Pairs {
		rel, exists := found[p]
		same := now[i].Equal(run.Before[i])
		switch run.Type {
		case taskstore.TaskWithdraw:
			same = exists
		case taskstore.TaskBackgroundCopy:
			same = exists && rel.Options.NoCopy
		}
		if same {
			return untouched, nil // all or nothing
		}
	}
	return acted, nil
}

// resume goes on with a run of an earlier process as far as that can be. When its array
// does not answer, that is found out as soon as it does; until then the run is running.
func (r *Runner) resume(ctx context.Context, run taskstore.Run) {
	resolved, err := resolvedOf(r.arrays, run)
	var was remains
	if err == nil {
		was, err = r.left(ctx, run, resolved)
	}
	if isSilent(err) {
		r.resumeLater(run, resolved)
		return
	}
	r.resumeAs(ctx, run, resolved, was)
}

// resumeLater keeps the task busy until the array answers or is removed.
func (r *Runner) resumeLater(run taskstore.Run, resolved Resolved) {
	r.logger.Warn("what became of a run is known when its array answers", "run", run.ID, "task", run.Task)
	l := newLive(run, resolved.copying(run.Type))
	r.mu.Lock()
	r.live[run.ID], r.busy[taskstore.Key(run.Task)] = l, l
	r.mu.Unlock()
	r.work.Go(func() {
		for {
			select {
			case <-time.After(slowestLook):
			case <-r.stopping.Done():
				return
			}
			was, err := r.left(r.stopping, run, resolved)
			if r.stopping.Err() == nil && !isSilent(err) {
				r.resumeAs(r.stopping, run, resolved, was)
				r.letGo(l)
				r.lineUp()
				return
			}
		}
	})
}

// letGo ends what stood for a run of which nobody knew what became of it: whoever waits
// for it looks again.
func (r *Runner) letGo(l *live) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live[l.run.ID] == l {
		delete(r.live, l.run.ID)
	}
	if key := taskstore.Key(l.run.Task); r.busy[key] == l {
		delete(r.busy, key)
	}
	close(l.acted)
	close(l.over)
}

// resumeAs goes on with a run by what an earlier process left of it.
func (r *Runner) resumeAs(ctx context.Context, run taskstore.Run, resolved Resolved, was remains) {
	switch {
	case was.trace == untouched && !run.Queued.IsZero():
		r.backInLine(run)
	case was.trace != acted:
		r.interrupted(run, was.trace == untouched)
	default:
		r.goOn(ctx, run, resolved, was.steps)
	}
}

// remains are what an earlier process left of a run.
type remains struct {
	trace trace  // of the step that it was at
	steps []step // that are still to do
}

// left finds out what an earlier process left of a run.
func (r *Runner) left(ctx context.Context, run taskstore.Run, on Resolved) (remains, error) {
	steps := r.stepsOf(run, Request{}, nil)
	// Early servers wrote no phase, nor anything between the record of a run and its end.
	phase := cmp.Or(run.Phase, steps[0].phase)
	at := slices.IndexFunc(steps, func(s step) bool { return s.phase == phase })
	if at < 0 {
		return remains{}, nil
	}
	if steps[at].after == nil {
		return remains{acted, steps[at:]}, nil
	}
	what, err := steps[at].after(ctx, run, on)
	return remains{what, steps[at+1:]}, err
}

// goOn does the steps that are left of a run whose part in the array was done. The
// error of a copy that has come to nothing is the run's.
func (r *Runner) goOn(ctx context.Context, run taskstore.Run, resolved Resolved, steps []step) {
	l := newLive(run, resolved.copying(run.Type)) // which turns a reverse back
	close(l.acted)
	r.mu.Lock()
	r.live[run.ID], r.busy[taskstore.Key(run.Task)] = l, l
	r.mu.Unlock()
	r.logger.Info("run goes on after a restart", "run", run.ID, "task", run.Task)
	r.proceed(ctx, l, steps)
}

// backInLine puts a run that had its turn, but did not get to the array, where
// it was.
func (r *Runner) backInLine(run taskstore.Run) {
	run.State, run.Started, run.Before, run.Phase = taskstore.RunQueued, run.Queued, nil, ""
	if err := r.store.Runs().Put(run); err != nil {
		r.logger.Error("cannot put a run back in line", "run", run.ID, "error", err)
	}
	r.queued(run)
}

// interrupted marks a run of an earlier process.
func (r *Runner) interrupted(run taskstore.Run, untouched bool) {
	err := fault.New(fault.Server, "the server ended in the middle of run %s of task %s",
		run.ID, run.Task).
		WithHint("see with rsFlashCopyQuery what it did, and run the task again")
	if untouched {
		err = fault.New(fault.Server, "the server ended before run %s of task %s got to the array",
			run.ID, run.Task).WithHint("nothing was done; run the task again")
	}
	run.State, run.Ended, run.Untouched = taskstore.RunInterrupted, time.Now().UTC(), untouched
	run.Phase = ""
	d := fault.DetailOf(err)
	run.Error = &d
	r.logger.Warn("run was interrupted", "run", run.ID, "task", run.Task)
	l := newLive(run, Resolved{})
	close(l.acted)
	close(l.over)
	r.mu.Lock()
	r.live[run.ID] = l
	r.mu.Unlock()
	r.record(l)
}
