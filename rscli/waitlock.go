package rscli

import (
	"context"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
)

// start starts a task. While another run of it goes on it stands in the server's
// line for as long as --wait-lock says: all its requests have one key, by which
// the server knows whose place it is.
func (o *executeOptions) start(
	ctx context.Context, e *program.Env, s *connect.Session, task string,
) (api.Run, error) {
	if o.wait || o.waitLock.Limit > 0 {
		ctx = api.Patient(ctx)
	}
	ctx = api.WithKey(ctx, api.NewKey())
	end := time.Now().Add(o.waitLock.Limit)
	for asked := 1; ; asked++ {
		req := api.RunRequest{Wait: o.wait, DryRun: o.dryRun, Line: max(0, time.Until(end))}
		run, err := s.RunTask(ctx, task, req)
		switch {
		case err == nil && run.State == taskstore.RunQueued && asked > 1:
		case err == nil && run.State == taskstore.RunQueued:
			e.Log.Info("waiting for another run of the task", "task", task, "for", req.Line)
		case fault.KindOf(err) == fault.Busy && run.ID == "" && o.waitLock.Limit > 0 && !time.Now().Before(end):
			return run, waitedInVain(err, o.waitLock)
		case err != nil && ctx.Err() != nil && o.waitLock.Limit > 0:
			return run, o.leaveLine(ctx, s, task, asked > 1, err)
		default:
			return run, err
		}
	}
}

func waitedInVain(err error, lock connect.Timeout) error {
	d := fault.DetailOf(err)
	d.Message += "; waited " + lock.Limit.String() + " for its end"
	return d.Err()
}

// leaveTime bounds the last request of a command that leaves the line.
const leaveTime = time.Second

// leaveLine ends the waiting of a command whose time is up; inLine says that the
// server had told of its place. The server would notice by itself that it is gone,
// but only after a while.
func (o *executeOptions) leaveLine(
	ctx context.Context, s *connect.Session, task string, inLine bool, err error,
) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	run, left := s.LeaveLine(last, task, api.RunRequest{Wait: o.wait, DryRun: o.dryRun})
	if run.ID != "" { // its turn came at the last moment
		return stillRunning(ctx, task, o.timeout)
	}
	if kind := fault.KindOf(left); kind == fault.Busy || kind == fault.TimedOut && inLine {
		return stoppedInLine(ctx, task, o.timeout)
	}
	return err
}

// stoppedInLine is the error for a task that did not get its turn.
func stoppedInLine(ctx context.Context, task string, t connect.Timeout) error {
	if ctx.Err() == context.Canceled {
		return fault.New(fault.Interrupted, "interrupted while another run of task %s goes on", task)
	}
	return fault.New(fault.TimedOut, "another run of task %s still goes on after %s", task, t.Limit).
		WithHint("this one was not started")
}
