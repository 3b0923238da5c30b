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

// execute does the run's work, and with Wait leaves a goroutine behind that
// follows its copies.
func (r *Runner) execute(ctx context.Context, l *live, q Request, do act) {
	warnings, err := inTime(ctx, l.resolved, q, do)
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

// follow ends with the copies, or with the server: then the run stays running
// on disk, and the next server follows it.
func (r *Runner) follow(l *live) {
	resolved := l.resolved.copying(l.run.Type)
	_, err := follow(r.stopping, resolved, time.Time{}, l.looks, func(p progress) {
		l.change(func(run *taskstore.Run) { run.Percent = p.percent })
	})
	if r.stopping.Err() != nil {
		return
	}
	r.finish(l, err)
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
