package runner

import (
	"context"
	"time"

	"copyservices/copyserver/arrays"

	"copyservices/arrayclient"
	"copyservices/taskstore"
)

// A run without Wait is done when the array has done its part. How far its copies
// have come since is looked up when somebody asks, and written down before the
// next run of the task takes their targets.

// percents looks up how far copies of runs have come; an array is read once.
type percents struct {
	ctx    context.Context
	arrays *arrays.Registry
	read   map[arrayclient.Array]*arrayState
	silent []string // of the arrays that do not answer, why not
}

// arrayState is what an array held when it was read.
type arrayState struct {
	facts   arrayclient.Properties
	rels    map[arrayclient.Pair]arrayclient.Relationship
	volumes map[arrayclient.Serial]arrayclient.Volume
}

func (r *Runner) percents(ctx context.Context) *percents {
	return &percents{ctx: ctx, arrays: r.arrays, read: map[arrayclient.Array]*arrayState{}}
}

// of returns run with the percentage as of now, where that can be told.
func (p *percents) of(run taskstore.Run) taskstore.Run {
	if run.State != taskstore.RunDone || run.Percent == 100 {
		return run
	}
	if !copies(run.Type) {
		run.Percent = 100
		return run
	}
	resolved, err := resolvedOf(p.arrays, run)
	if err != nil {
		return run
	}
	s := p.stateOf(resolved.Array)
	if s == nil {
		return run
	}
	var tracks, left int64
	for _, pair := range resolved.Pairs {
		t, l, ok := s.progress(pair, run)
		if !ok {
			return run
		}
		tracks, left = tracks+t, left+l
	}
	run.Percent = arrayclient.Relationship{Tracks: tracks, OutOfSync: left}.Percent()
	return run
}

// stateOf returns nil for an array that cannot be read.
func (p *percents) stateOf(arr arrayclient.Array) *arrayState {
	if s, ok := p.read[arr]; ok {
		return s
	}
	p.read[arr] = nil
	facts, err := arr.Properties(p.ctx)
	if err != nil {
		return p.unread(err)
	}
	rels, err := arr.Relationships(p.ctx)
	if err != nil {
		return p.unread(err)
	}
	volumes, err := arr.Volumes(p.ctx)
	if err != nil {
		return p.unread(err)
	}
	s := &arrayState{
		facts, map[arrayclient.Pair]arrayclient.Relationship{},
		map[arrayclient.Serial]arrayclient.Volume{},
	}
	for _, rel := range rels {
		s.rels[rel.Pair] = rel
	}
	for _, v := range volumes {
		s.volumes[v.Serial] = v
	}
	p.read[arr] = s
	return s
}

func (p *percents) unread(err error) *arrayState {
	if isSilent(err) {
		p.silent = append(p.silent, err.Error())
	}
	return nil
}

// progress returns how many tracks the copy of pair that run made has, and how
// many of them are left; ok is false when the target holds another copy by now,
// or one that was ended before it was complete.
func (s *arrayState) progress(pair arrayclient.Pair, run taskstore.Run) (tracks, left int64, ok bool) {
	if rel, exists := s.rels[pair]; exists && isOf(run, rel.Established) {
		return rel.Tracks, rel.OutOfSync, true
	}
	last := s.volumes[pair.Target].LastCopy
	if last == nil || last.Source != pair.Source || !isOf(run, last.Established) ||
		last.Outcome != arrayclient.OutcomeComplete {
		return 0, 0, false
	}
	return s.facts.Tracks(s.volumes[pair.Source].Size), 0, true
}

// isOf reports whether run, which is done, made the copy that was established
// then. A background-copy task finds the copy that it completes.
func isOf(run taskstore.Run, established time.Time) bool {
	if run.Type == taskstore.TaskBackgroundCopy {
		return !established.After(run.Ended)
	}
	// An array may keep times in whole seconds.
	return !established.Before(run.Started.Truncate(clockSlack)) && !established.After(run.Ended)
}

// settle writes down how far the copies of the last run of a task have come.
func (r *Runner) settle(ctx context.Context, task string) {
	runs, err := r.store.Runs().List()
	if err != nil {
		return
	}
	for i := len(runs) - 1; i >= 0; i-- {
		run := runs[i]
		if taskstore.Key(run.Task) != taskstore.Key(task) || run.State != taskstore.RunDone {
			continue
		}
		if now := r.percents(ctx).of(run); now.Percent != run.Percent {
			if err := r.store.Runs().Put(now); err != nil {
				r.logger.Warn("cannot record how far a copy has come", "run", run.ID, "error", err)
			}
		}
		return
	}
}
