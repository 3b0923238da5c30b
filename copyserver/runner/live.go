package runner

import (
	"context"
	"slices"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// live is a run that this process executes.
type live struct {
	resolved Resolved
	acted    chan struct{} // closed when the array has done its part
	over     chan struct{} // closed when the run has ended

	mu         sync.Mutex
	run        taskstore.Run
	unrecorded error // why the disk does not have the end of the run; nil
}

func newLive(run taskstore.Run, resolved Resolved) *live {
	return &live{
		run: run, resolved: resolved, acted: make(chan struct{}), over: make(chan struct{}),
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

// execute does the run's work, and with Wait leaves a goroutine behind that
// follows its copies.
func (r *Runner) execute(ctx context.Context, l *live, do act) {
	warnings, err := do(ctx, l.resolved)
	l.change(func(run *taskstore.Run) { run.Warnings = warnings })
	close(l.acted)
	if err != nil || !l.run.Wait || !copies(l.run.Type) {
		if err == nil {
			l.change(func(run *taskstore.Run) { run.Percent = r.percentNow(ctx, l) })
		}
		r.finish(l, err)
		return
	}
	r.work.Go(func() { r.follow(l) })
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

// follow ends with the copies, or with the server: then the run stays running
// on disk.
func (r *Runner) follow(l *live) {
	resolved := l.resolved.copying(l.run.Type)
	_, err := follow(r.stopping, resolved, time.Time{}, func(p progress) {
		l.change(func(run *taskstore.Run) { run.Percent = p.percent })
	})
	if r.stopping.Err() != nil {
		return // the next start reports it as interrupted
	}
	r.finish(l, err)
}

// finish records the end of a run.
func (r *Runner) finish(l *live, err error) {
	l.change(func(run *taskstore.Run) {
		run.State, run.Ended = taskstore.RunDone, time.Now().UTC()
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

// interrupted marks a run of an earlier process.
func (r *Runner) interrupted(ctx context.Context, run taskstore.Run) {
	detail := fault.New(fault.Server, "the server ended in the middle of run %s of task %s",
		run.ID, run.Task).
		WithHint("see with rsFlashCopyQuery what it did, and run the task again")
	if p, err := r.lookBack(ctx, run); err == nil {
		run.Percent = p.percent
		detail = fault.New(fault.Server,
			"the server ended during run %s of task %s, whose copies were established and go on",
			run.ID, run.Task).
			WithHint("rsQueryComplete %s waits for them", run.Task)
	}
	run.State, run.Ended = taskstore.RunInterrupted, time.Now().UTC()
	d := fault.DetailOf(detail)
	run.Error = &d
	r.logger.Warn("run was interrupted", "run", run.ID, "task", run.Task)
	l := newLive(run, Resolved{})
	close(l.acted)
	close(l.over)
	r.live[run.ID] = l
	r.record(l)
}

// lookBack looks at the copies of a run of which it is not known whether the
// array did its part.
func (r *Runner) lookBack(ctx context.Context, run taskstore.Run) (progress, error) {
	if run.Type != taskstore.TaskEstablish {
		return progress{}, fault.New(fault.Refused, "only an establish leaves a trace")
	}
	resolved, err := resolvedOf(r.arrays, run)
	if err != nil {
		return progress{}, err
	}
	return look(ctx, resolved, run.Started.Add(-clockSlack))
}
