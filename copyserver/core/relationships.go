package core

import (
	"context"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
)

// Relationships returns those of the volumes named, all when none is. The serials must
// be valid. Warnings are of arrays that do not answer; a volume named in one of those is
// an error.
func (c *Core) Relationships(
	ctx context.Context, by Caller, volumes ...arrayclient.Serial,
) (all arrays.Partial[arrayclient.Relationship], err error) {
	if err := by.May(Look); err != nil {
		return all, err
	}
	// Nobody shall take no answer for no relationship.
	if _, err := c.Arrays.VolumesOf(ctx, volumes...); err != nil {
		return all, err
	}
	all, err = arrays.Collect(c.Arrays, func(a arrays.Asked) ([]arrayclient.Relationship, error) {
		mine := c.within(a.Array, volumes)
		if len(mine) == 0 && len(volumes) > 0 {
			return nil, nil
		}
		return a.Relationships(ctx, mine...)
	})
	if err == nil && len(volumes) > 0 && all.Warnings != nil {
		err = fault.New(fault.Connection, "%s", strings.Join(all.Warnings, "; "))
	}
	return all, err
}

// RelationshipsIn returns those of the array of that id, and asks no other array.
func (c *Core) RelationshipsIn(
	ctx context.Context, by Caller, array string,
) (all arrays.Partial[arrayclient.Relationship], err error) {
	if err := by.May(Look); err != nil {
		return all, err
	}
	arr, _, err := c.Arrays.Named(array)
	if err != nil {
		return all, err
	}
	all.All, err = arr.Relationships(ctx)
	return all, err
}

// within returns the volumes that are in arr.
func (c *Core) within(
	arr arrayclient.Array, wanted []arrayclient.Serial,
) []arrayclient.Serial {
	var mine []arrayclient.Serial
	for _, serial := range wanted {
		if other, _, err := c.Arrays.Of(serial); err == nil && other == arr {
			mine = append(mine, serial)
		}
	}
	return mine
}

// PairsResult is what an act on pairs came to.
type PairsResult struct {
	Pairs    []taskstore.ResolvedPair
	Warnings []string // for people
}

// Establish and the methods below act on pairs as tasks of that type do, all or none.
// They need no stored task and leave no run behind.
func (c *Core) Establish(
	by Caller, pairs []taskstore.TaskPair, options arrayclient.Options,
) (Pending[PairsResult], error) {
	return c.asTask(by, taskstore.TaskEstablish, pairs, options)
}

// Withdraw ends relationships, see Establish.
func (c *Core) Withdraw(by Caller, pairs []taskstore.TaskPair) (Pending[PairsResult], error) {
	return c.asTask(by, taskstore.TaskWithdraw, pairs, arrayclient.Options{})
}

// Resync copies the tracks that changed since the images were taken, see Establish.
func (c *Core) Resync(by Caller, pairs []taskstore.TaskPair) (Pending[PairsResult], error) {
	return c.asTask(by, taskstore.TaskResync, pairs, arrayclient.Options{})
}

// Reverse makes sources of targets and copies their changes back, see Establish.
func (c *Core) Reverse(by Caller, pairs []taskstore.TaskPair) (Pending[PairsResult], error) {
	return c.asTask(by, taskstore.TaskReverse, pairs, arrayclient.Options{})
}

// BackgroundCopy starts the copying of relationships that had none, see Establish.
func (c *Core) BackgroundCopy(
	by Caller, pairs []taskstore.TaskPair,
) (Pending[PairsResult], error) {
	return c.asTask(by, taskstore.TaskBackgroundCopy, pairs, arrayclient.Options{})
}

// ConsistencyCreated releases the writes that a freeze holds, see Establish.
func (c *Core) ConsistencyCreated(
	by Caller, pairs []taskstore.TaskPair,
) (Pending[PairsResult], error) {
	return c.asTask(by, taskstore.TaskConsistencyCreated, pairs, arrayclient.Options{})
}

func (c *Core) asTask(
	by Caller, t taskstore.TaskType, pairs []taskstore.TaskPair, options arrayclient.Options,
) (Pending[PairsResult], error) {
	return c.onPairs(by, pairs, func(r runner.Resolved) (actOnPairs, error) {
		return c.Runner.Act(t, options, r)
	})
}

// SetCopyRate bounds the copying of pairs, in bytes a second; 0 is no bound, nil an
// error.
func (c *Core) SetCopyRate(
	by Caller, pairs []taskstore.TaskPair, rate *int64,
) (Pending[PairsResult], error) {
	return c.onPairs(by, pairs, func(runner.Resolved) (actOnPairs, error) {
		return func(ctx context.Context, r runner.Resolved) ([]string, error) {
			return nil, setRate(ctx, r.Array, rate, r.Pairs...)
		}, nil
	})
}

type actOnPairs = func(context.Context, runner.Resolved) (warnings []string, err error)

// onPairs resolves the pairs once, before anything is done: names may mean something
// else when a request is repeated.
func (c *Core) onPairs(
	by Caller, pairs []taskstore.TaskPair, actOn func(runner.Resolved) (actOnPairs, error),
) (Pending[PairsResult], error) {
	if err := by.May(ActOnPairs); err != nil {
		return nil, err
	}
	resolved, err := c.Runner.Resolve(pairs)
	if err != nil {
		return nil, err
	}
	do, err := actOn(resolved)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (PairsResult, error) {
		warnings, err := do(ctx, resolved)
		return PairsResult{resolved.Named, warnings}, err
	}, nil
}
