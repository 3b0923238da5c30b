// Package runner executes stored tasks on arrays: one run of a task at a
// time, each recorded before it begins and when it has ended.
package runner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"time"

	"copyservices/copyserver/arrays"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// KeepRuns is how many runs the history holds; those whose idempotency key is
// still alive are kept beyond it.
const KeepRuns = 1000

// pruneSlack is how many more it may grow to before it is pruned, so that not
// every run pays for that.
const pruneSlack = 16

// Runner executes tasks. Its methods may be called from many goroutines.
type Runner struct {
	store  taskstore.Store
	arrays *arrays.Registry
	logger *slog.Logger
	keep   int

	// Overwritten returns warnings of those who use volumes that are about to get
	// other content; nil warns of nothing. It is set before the first run.
	Overwritten func([]arrayclient.Serial) []string

	stopping context.Context // ends with Stop at the latest: followers leave
	stop     context.CancelFunc
	work     sync.WaitGroup

	recording sync.Mutex // held over changes of runs that are over

	mu     sync.Mutex
	closed bool
	live   map[string]*live    // by run ID: runs that are not over, or not on disk as such
	busy   map[string]*live    // by taskstore.Key of the task
	lines  map[string][]*place // by taskstore.Key of the task
	keys   map[string]string   // idempotency key to run ID
	stored int                 // runs in the store
}

// Request asks for a run.
type Request struct {
	Task string
	User string
	Wait bool // the run lasts until the copies are complete
	// Key is the idempotency key, empty for none, and Body what its request
	// was. They are durable before the array is touched.
	Key, Body string
	// Line is how long the request waits for another run of the task; 0 means
	// not at all.
	Line time.Duration
	// InLine, if not nil, is called before it does.
	InLine func()
	// Until is when the run begins at the latest; zero for whenever.
	Until time.Time
}

// late refuses to begin a run when whoever asked for it has given up.
func (q Request) late() error {
	if q.Until.IsZero() || time.Now().Before(q.Until) {
		return nil
	}
	return fault.New(fault.TimedOut, "task %s was not begun: the time for that is up", q.Task).
		WithHint("nothing was done")
}

// New returns a Runner for the tasks in store. Runs that were under way when
// the last one ended go on where the array has done its part, and are
// interrupted where it has not; the error is that of the store. When ctx ends,
// nobody is left waiting for copies; Stop is needed all the same.
func New(
	ctx context.Context, store taskstore.Store, arrays *arrays.Registry, logger *slog.Logger,
) (*Runner, error) {
	r := &Runner{
		store: store, arrays: arrays, logger: logger, keep: KeepRuns,
		live: map[string]*live{}, busy: map[string]*live{}, lines: map[string][]*place{},
		keys: map[string]string{},
	}
	r.stopping, r.stop = context.WithCancel(ctx)
	runs, err := store.Runs().List()
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		r.note(run)
	}
	for _, run := range runs {
		switch run.State {
		case taskstore.RunRunning:
			r.resume(ctx, run)
		case taskstore.RunQueued:
			r.queued(run)
		}
	}
	r.lineUp()
	r.prune()
	return r, nil
}

// Resolve finds the volumes that pairs name now.
func (r *Runner) Resolve(pairs []taskstore.TaskPair) (Resolved, error) {
	return Resolve(r.arrays, r.store.Hosts(), pairs)
}

// DryRun tells what a run would work on, and does nothing. It fails for every
// reason for which a run does not start, and for what the array would refuse now,
// with the error of the run; of an array that cannot tell, for volumes that do not
// exist.
func (r *Runner) DryRun(ctx context.Context, q Request) (taskstore.Run, error) {
	task, resolved, _, err := r.plan(q)
	if err == nil {
		err = r.idle(task.Name)
	}
	if err == nil {
		err = rehearse(ctx, task, resolved)
	}
	if err != nil {
		return taskstore.Run{}, err
	}
	run := newRun(task, resolved, q, time.Now().UTC())
	run.State, run.Ended, run.Key, run.Body = taskstore.RunDry, run.Started, "", ""
	return run, nil
}

// Start runs a task. It returns when the array has done its part: the run is
// then done, failed, or, with Wait, running until its copies are complete.
// The error is for a run that did not start, and then none is recorded: of
// kind NotFound, Refused, Busy, TimedOut, or Server when it cannot be recorded.
// The end of ctx does not end the run.
//
// With Line it may also return a run in the state queued, at once the first time:
// the request is to be made again with the same key, and takes its place in line.
func (r *Runner) Start(ctx context.Context, q Request) (taskstore.Run, error) {
	if p := r.standing(q.Key); p != nil {
		return r.inLine(ctx, p, q)
	}
	task, resolved, do, err := r.plan(q)
	if err == nil {
		err = q.late()
	}
	if err != nil {
		return taskstore.Run{}, err
	}
	l := newLive(newRun(task, resolved, q, time.Now().UTC()), resolved)
	err = r.take(l)
	if fault.KindOf(err) == fault.Busy && q.Line > 0 {
		return r.enqueue(task, resolved, q)
	}
	if err != nil {
		return taskstore.Run{}, err
	}
	return r.launch(ctx, l, q, do)
}

// inLine waits with p for its turn and runs it then.
func (r *Runner) inLine(ctx context.Context, p *place, q Request) (taskstore.Run, error) {
	if q.InLine != nil {
		q.InLine()
	}
	if q.Line <= 0 && r.leaveLine(p) {
		return taskstore.Run{}, fault.New(fault.Busy, "task %s was not begun: it stands in line no longer", q.Task)
	}
	l, err := r.stand(ctx, p, q)
	switch {
	case err != nil:
		return taskstore.Run{}, err
	case l == nil:
		return p.run, nil
	}
	_, resolved, do, err := r.plan(q)
	if err == nil {
		err = q.late()
	}
	if err != nil {
		r.cancel(l)
		return taskstore.Run{}, err
	}
	l.mu.Lock()
	l.resolved, l.run.Pairs = resolved, resolved.Named
	l.run.State, l.run.Started = taskstore.RunRunning, time.Now().UTC()
	l.mu.Unlock()
	return r.launch(ctx, l, q, do)
}

// plan finds out everything but the line that could keep a run from starting,
// and changes nothing.
func (r *Runner) plan(q Request) (taskstore.Task, Resolved, act, error) {
	task, err := r.store.Tasks().Get(q.Task)
	if fault.KindOf(err) == fault.NotFound {
		err = fault.New(fault.NotFound, "no task named %q", q.Task).
			WithHint("esscli list task shows which there are")
	}
	if err != nil {
		return task, Resolved{}, nil, err
	}
	if q.Wait {
		if err := lasting(task); err != nil {
			return task, Resolved{}, nil, err
		}
	}
	resolved, err := r.Resolve(task.Pairs)
	if err != nil {
		return task, resolved, nil, err
	}
	do, err := r.Act(task.Type, task.Options, resolved)
	return task, resolved, do, err
}

// idle refuses a task that is running.
func (r *Runner) idle(task string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.idleLocked(task)
}

func (r *Runner) idleLocked(task string) error {
	key := taskstore.Key(task)
	if other := r.busy[key]; other != nil {
		run := other.snapshot()
		return fault.New(fault.Busy, "task %s is already running: run %s, started at %s by %s",
			run.Task, run.ID, run.Started.Format(time.RFC3339), run.User).
			WithHint("rsQueryComplete %s waits for its copies", run.Task)
	}
	for _, p := range r.lines[key] {
		if p.turn != nil || time.Since(p.absent) < patience {
			return fault.New(fault.Busy, "task %s is already running: run %s of %s stands in line for it",
				p.run.Task, p.run.ID, p.run.User).WithHint("rsExecuteTask --wait-lock stands in line too")
		}
	}
	return nil
}

// newRun is the run that q asks for, about to begin.
func newRun(task taskstore.Task, resolved Resolved, q Request, now time.Time) taskstore.Run {
	return taskstore.Run{
		ID: newID(now), Task: task.Name, Type: task.Type, User: q.User,
		State: taskstore.RunRunning, Wait: q.Wait, Started: now, Pairs: resolved.Named,
		Key: q.Key, Body: q.Body,
	}
}

// take makes the run known, and the task busy, before it is on disk: a second
// run must not slip in while the disk is slow. Afterwards one is added to work.
func (r *Runner) take(l *live) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errStopping()
	}
	if err := r.idleLocked(l.run.Task); err != nil {
		return err
	}
	r.work.Add(1)
	r.live[l.run.ID] = l
	r.busy[taskstore.Key(l.run.Task)] = l
	r.note(l.run)
	return nil
}

// ErrStopping is in the chain of the error of a request that came too late for
// this server. The next one may take it.
var ErrStopping = errors.New("the server is stopping")

func errStopping() error { return fault.New(fault.Server, "%w", ErrStopping) }

// launch records the run, which has its task, and executes it.
func (r *Runner) launch(
	ctx context.Context, l *live, q Request, do act,
) (taskstore.Run, error) {
	r.settle(ctx, l.run.Task)
	steps := r.stepsOf(l.run, q, do)
	before, err := marks(ctx, l.resolved.copying(l.run.Type))
	if err == nil {
		l.change(func(run *taskstore.Run) { run.Before, run.Phase = before, steps[0].phase })
		err = r.store.Runs().Put(l.run)
	}
	if err != nil {
		r.cancel(l)
		return taskstore.Run{}, err
	}
	defer r.work.Done()
	r.proceed(context.WithoutCancel(ctx), l, steps)
	return l.snapshot(), nil
}

// cancel gives the task free and forgets the run, which has not begun.
func (r *Runner) cancel(l *live) {
	if err := r.store.Runs().Delete(l.run.ID); err != nil && fault.KindOf(err) != fault.NotFound {
		r.logger.Error("cannot forget a run that did not begin", "run", l.run.ID, "error", err)
	}
	r.mu.Lock()
	delete(r.busy, taskstore.Key(l.run.Task))
	delete(r.live, l.run.ID)
	if r.keys[l.run.Key] == l.run.ID {
		delete(r.keys, l.run.Key)
	}
	r.stored--
	close(l.acted)
	r.mu.Unlock()
	r.work.Done()
	r.serve(l.run.Task)
}

// newID returns an ID that sorts by time.
func newID(now time.Time) string {
	var b [3]byte
	rand.Read(b[:]) // never fails, see its documentation
	return now.Format("20060102-150405-") + hex.EncodeToString(b[:])
}

// keyAlive reports whether a repeated request with the run's key is still
// answered from memory.
func keyAlive(run taskstore.Run) bool {
	return run.Key != "" && time.Since(run.Started) < taskstore.KeyLifetime
}

// prune shortens the history when it has grown enough.
func (r *Runner) prune() {
	r.mu.Lock()
	long := r.stored > r.keep+pruneSlack
	r.mu.Unlock()
	if !long {
		return
	}
	n, err := taskstore.Prune(r.store.Runs(), r.keep, keyAlive)
	if err != nil {
		r.logger.Error("cannot prune the run history", "error", err)
	}
	r.forget(n)
}

// forget takes n pruned runs from the books.
func (r *Runner) forget(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored -= n
	for key, id := range r.keys {
		if _, err := r.store.Runs().Get(id); err != nil && r.live[id] == nil {
			delete(r.keys, key)
		}
	}
}

// Stop refuses new runs, leaves the copies that runs wait for to the arrays,
// and waits until no run is at work on one, or ctx ends. Runs left running
// are reported as interrupted by the next start.
func (r *Runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	over := make(chan struct{})
	go func() {
		r.work.Wait()
		close(over)
	}()
	select {
	case <-over:
		r.recordLeft()
		return nil
	case <-ctx.Done():
		return fault.New(fault.Server, "a run is still at work on an array")
	}
}
