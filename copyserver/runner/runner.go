// Package runner executes stored tasks on arrays: one run of a task at a
// time, each recorded before it begins and when it has ended.
package runner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
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
	arrays *Arrays
	logger *slog.Logger
	keep   int

	stopping context.Context // ends with Stop at the latest: followers leave
	stop     context.CancelFunc
	work     sync.WaitGroup

	recording sync.Mutex // held over changes of runs that are over

	mu     sync.Mutex
	closed bool
	live   map[string]*live  // by run ID: runs that are not over, or not on disk as such
	busy   map[string]*live  // by taskstore.Key of the task
	keys   map[string]string // idempotency key to run ID
	stored int               // runs in the store
}

// Request asks for a run.
type Request struct {
	Task string
	User string
	Wait bool // the run lasts until the copies are complete
	// Key is the idempotency key, empty for none, and Body what its request
	// was. They are durable before the array is touched.
	Key, Body string
}

// New returns a Runner for the tasks in store. Runs that were under way when
// the last one ended become interrupted; the error is that of the store. When
// ctx ends, nobody is left waiting for copies; Stop is needed all the same.
func New(
	ctx context.Context, store taskstore.Store, arrays *Arrays, logger *slog.Logger,
) (*Runner, error) {
	r := &Runner{
		store: store, arrays: arrays, logger: logger, keep: KeepRuns,
		live: map[string]*live{}, busy: map[string]*live{}, keys: map[string]string{},
	}
	r.stopping, r.stop = context.WithCancel(ctx)
	runs, err := store.Runs().List()
	if err != nil {
		return nil, err
	}
	r.stored = len(runs)
	for _, run := range runs {
		if run.Key != "" {
			r.keys[run.Key] = run.ID
		}
		if run.State == taskstore.RunRunning {
			r.interrupted(ctx, run)
		}
	}
	r.prune()
	return r, nil
}

// Arrays returns the arrays it works on.
func (r *Runner) Arrays() *Arrays { return r.arrays }

// Resolve finds the volumes that pairs name now.
func (r *Runner) Resolve(pairs []taskstore.TaskPair) (Resolved, error) {
	return Resolve(r.arrays, r.store.Hosts(), pairs)
}

// DryRun tells what a run would work on, and does nothing. It fails for every
// reason for which a run does not start, and for volumes that do not exist;
// what the array would refuse it does not know.
func (r *Runner) DryRun(ctx context.Context, q Request) (taskstore.Run, error) {
	task, resolved, _, err := r.plan(q)
	if err != nil {
		return taskstore.Run{}, err
	}
	if err := existing(ctx, resolved); err != nil {
		return taskstore.Run{}, err
	}
	now := time.Now().UTC()
	return taskstore.Run{
		ID: newID(now), Task: task.Name, Type: task.Type, User: q.User, State: taskstore.RunDry,
		Wait: q.Wait, Started: now, Ended: now, Pairs: resolved.Named,
	}, nil
}

// Start runs a task. It returns when the array has done its part: the run is
// then done, failed, or, with Wait, running until its copies are complete.
// The error is for a run that did not start, and then none is recorded: of
// kind NotFound, Refused, Busy, or Server when it cannot be recorded. The end
// of ctx does not end the run.
func (r *Runner) Start(ctx context.Context, q Request) (taskstore.Run, error) {
	task, resolved, do, err := r.plan(q)
	if err != nil {
		return taskstore.Run{}, err
	}
	l, err := r.begin(task, resolved, q)
	if err != nil {
		return taskstore.Run{}, err
	}
	defer r.work.Done()
	r.execute(context.WithoutCancel(ctx), l, do)
	return l.snapshot(), nil
}

// plan finds out everything that could keep a run from starting and changes
// nothing.
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
	if err := r.idle(task.Name); err != nil {
		return task, Resolved{}, nil, err
	}
	resolved, err := r.Resolve(task.Pairs)
	if err != nil {
		return task, resolved, nil, err
	}
	do, err := actOf(task, resolved.Array)
	return task, resolved, do, err
}

// idle refuses a task that is running.
func (r *Runner) idle(task string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.idleLocked(task)
}

func (r *Runner) idleLocked(task string) error {
	other := r.busy[taskstore.Key(task)]
	if other == nil {
		return nil
	}
	run := other.snapshot()
	return fault.New(fault.Busy, "task %s is already running: run %s, started at %s by %s",
		run.Task, run.ID, run.Started.Format(time.RFC3339), run.User).
		WithHint("rsQueryComplete %s waits for its copies", run.Task)
}

// begin takes the task and records the run. Afterwards one is added to work.
func (r *Runner) begin(
	task taskstore.Task, resolved Resolved, q Request,
) (*live, error) {
	now := time.Now().UTC()
	l := newLive(taskstore.Run{
		ID: newID(now), Task: task.Name, Type: task.Type, User: q.User,
		State: taskstore.RunRunning, Wait: q.Wait, Started: now, Pairs: resolved.Named,
		Key: q.Key, Body: q.Body,
	}, resolved)
	if err := r.take(l); err != nil {
		return nil, err
	}
	if err := r.store.Runs().Create(l.run); err != nil {
		r.release(l)
		r.work.Done()
		return nil, err
	}
	return l, nil
}

// take makes the run known, and the task busy, before it is on disk: a second
// run must not slip in while the disk is slow.
func (r *Runner) take(l *live) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fault.New(fault.Server, "the server is stopping")
	}
	if err := r.idleLocked(l.run.Task); err != nil {
		return err
	}
	r.work.Add(1)
	r.live[l.run.ID] = l
	r.busy[taskstore.Key(l.run.Task)] = l
	if l.run.Key != "" {
		r.keys[l.run.Key] = l.run.ID
	}
	r.stored++
	return nil
}

// release gives the task free and forgets the run, which is nowhere on disk.
func (r *Runner) release(l *live) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, taskstore.Key(l.run.Task))
	delete(r.live, l.run.ID)
	delete(r.keys, l.run.Key)
	r.stored--
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
	return run.Key != "" && time.Since(run.Started) < api.KeyLifetime
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
