package rscli

import (
	"context"
	"math/rand/v2"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// How long a command that waits for another run of its task pauses between two
// questions: a run without --wait takes moments, one with it may take hours.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// start starts a task. While another run of it goes on, it asks again for as long
// as --wait-lock says, and once more at the end. Each question has a key of its
// own: the one before was answered. Who waits longest has no right to be next.
func (o *executeOptions) start(
	ctx context.Context, e *Env, s *session, task string,
) (api.Run, error) {
	end := time.Now().Add(o.waitLock.limit)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		run, err := s.RunTask(ctx, task, api.RunRequest{Wait: o.wait, DryRun: o.dryRun})
		busy := run.ID == "" && fault.KindOf(err) == fault.Busy
		left := time.Until(end)
		if busy && o.waitLock.limit > 0 && left <= 0 {
			return run, waitedInVain(err, o.waitLock)
		}
		if !busy || left <= 0 {
			return run, err
		}
		e.Log.Info("waiting for another run of the task", "task", task, "for", left.Round(time.Second))
		// Some chance in it keeps commands that cron started together apart.
		pause = pause/2 + rand.N(pause)
		if err := sleep(ctx, min(pause, left)); err != nil {
			return run, stoppedInLine(ctx, task, o.timeout)
		}
	}
}

func waitedInVain(err error, lock timeout) error {
	d := fault.DetailOf(err)
	d.Message += "; waited " + lock.limit.String() + " for its end"
	return d.Err()
}

// stoppedInLine is the error for a task that did not get its turn.
func stoppedInLine(ctx context.Context, task string, t timeout) error {
	if ctx.Err() == context.Canceled {
		return fault.New(fault.Interrupted, "interrupted while another run of task %s goes on", task)
	}
	return fault.New(fault.TimedOut, "another run of task %s still goes on after %s", task, t.limit).
		WithHint("this one was not started")
}

// sleep pauses; the error is that of ctx when it ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
