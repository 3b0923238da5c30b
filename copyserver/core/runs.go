package core

import (
	"context"
	"time"

	"copyservices/copyserver/runner"
	"copyservices/taskstore"
)

const runHint = "esscli list run shows which there are"

// StartRun runs a task for the caller, as ask says. A run that stands in line has the
// state RunQueued.
func (c *Core) StartRun(
	ctx context.Context, by Caller, ask runner.Request,
) (taskstore.Run, error) {
	if err := by.May(RunTask); err != nil {
		return taskstore.Run{}, err
	}
	ask.User = by.Name
	return c.Runner.Start(ctx, ask)
}

// DryRun tells what a run would work on, or why it would be refused.
func (c *Core) DryRun(
	ctx context.Context, by Caller, ask runner.Request,
) (taskstore.Run, error) {
	if err := by.May(RunTask); err != nil {
		return taskstore.Run{}, err
	}
	ask.User = by.Name
	return c.Runner.DryRun(ctx, ask)
}

// Runs returns the newest runs of a task, of all tasks when it is empty.
func (c *Core) Runs(
	ctx context.Context, by Caller, task string, limit int,
) (runner.RunList, error) {
	if err := by.May(Look); err != nil {
		return runner.RunList{}, err
	}
	return c.Runner.List(ctx, task, limit)
}

// Run returns a run; while it is running, when it has ended, or wait has passed.
func (c *Core) Run(
	ctx context.Context, by Caller, id string, wait time.Duration,
) (taskstore.Run, error) {
	if err := by.May(Look); err != nil {
		return taskstore.Run{}, err
	}
	run, err := c.Runner.Get(ctx, id, wait)
	return run, noSuch(err, runHint)
}

// DeleteRun removes a run that is over from the history. Before is called with it when
// nothing else stands in the way, and nothing is removed when it fails.
func (c *Core) DeleteRun(by Caller, id string, before func(taskstore.Run) error) error {
	if err := by.May(DeleteRun); err != nil {
		return err
	}
	return noSuch(c.Runner.Delete(id, before), runHint)
}

// Completion tells how far the copies that a task started have come; when they are
// complete, or wait has passed.
func (c *Core) Completion(
	ctx context.Context, by Caller, task string, wait time.Duration,
) (runner.Completion, error) {
	if err := by.May(Look); err != nil {
		return runner.Completion{}, err
	}
	done, err := c.Runner.Completion(ctx, task, wait)
	return done, noSuch(err, taskHint)
}
