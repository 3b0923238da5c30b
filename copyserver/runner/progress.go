package runner

import (
	"context"
	"time"

	"copyservices/copyserver/arrays"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// How often a copy is looked at while somebody waits for it.
const (
	firstLook   = 5 * time.Millisecond
	slowestLook = 500 * time.Millisecond
)

// clockSlack: an array may keep times in whole seconds.
const clockSlack = time.Second

// progress is how far the copies of some pairs have come.
type progress struct {
	pairs    []PairCompletion
	complete bool
	percent  int // over all pairs, by tracks
}

// look asks how far the copies of r have come. The error is of kind Refused
// when one of them will never be complete. With since not zero, a copy that
// was established before it does not count.
func look(ctx context.Context, r Resolved, since time.Time) (progress, error) {
	targets := make([]arrayclient.Serial, len(r.Pairs))
	for i, p := range r.Pairs {
		targets[i] = p.Target
	}
	all, err := r.Array.Relationships(ctx, targets...)
	if err != nil {
		return progress{}, err
	}
	e := ended{ctx: ctx, array: r.Array, since: since}
	found := make(map[arrayclient.Pair]arrayclient.Relationship, len(all))
	for _, rel := range all {
		found[rel.Pair] = rel
	}
	var out progress
	var tracks, left int64
	for _, p := range r.Pairs {
		rel, ok := found[p]
		if !ok || rel.Established.Before(since) {
			rel, err = e.relationship(p)
		}
		if err == nil {
			err = hopeless(rel)
		}
		if err != nil {
			return progress{}, err
		}
		tracks, left = tracks+rel.Tracks, left+rel.OutOfSync
		out.pairs = append(out.pairs, completionOf(rel))
	}
	out.complete = left == 0
	out.percent = arrayclient.Relationship{Tracks: tracks, OutOfSync: left}.Percent()
	return out, nil
}

func completionOf(rel arrayclient.Relationship) PairCompletion {
	return PairCompletion{
		Source: string(rel.Source), Target: string(rel.Target), State: string(rel.State),
		Percent: rel.Percent(), Complete: rel.OutOfSync == 0,
	}
}

// hopeless refuses a relationship that will not complete by itself.
func hopeless(rel arrayclient.Relationship) error {
	switch {
	case rel.State == arrayclient.StateFailed:
		return fault.New(fault.Refused, "the copy %s failed: %s", rel.Pair, rel.Reason).
			WithHint("withdraw it, see to the target, and run the task again")
	case rel.State == arrayclient.StateNoCopy,
		rel.State == arrayclient.StateFrozen && rel.Options.NoCopy && rel.OutOfSync > 0:
		return fault.New(fault.Refused, "%s copies nothing in the background: no end to wait for",
			rel.Pair).
			WithHint("the target is good as it is until the relationship is withdrawn")
	}
	return nil
}

// ended tells what became of copies that have no relationship any more. It
// reads the array once, when it must.
type ended struct {
	ctx     context.Context
	array   arrayclient.Array
	since   time.Time
	facts   arrayclient.Properties
	volumes map[arrayclient.Serial]arrayclient.Volume
}

// relationship returns what stands for the ended relationship of p.
func (e *ended) relationship(p arrayclient.Pair) (arrayclient.Relationship, error) {
	rel := arrayclient.Relationship{Pair: p, State: arrayclient.StateComplete}
	if err := e.read(); err != nil {
		return rel, err
	}
	target, ok := e.volumes[p.Target]
	if !ok {
		return rel, arrays.NoVolume(p.Target)
	}
	rel.Tracks = e.facts.Tracks(e.volumes[p.Source].Size)
	last := target.LastCopy
	switch {
	case last == nil || last.Source != p.Source || last.Established.Before(e.since):
		return rel, fault.New(fault.Refused, "%s holds no copy of %s any more", p.Target, p.Source).
			WithHint("run the task again")
	case last.Outcome == arrayclient.OutcomeUndefined:
		return rel, fault.New(fault.Refused, "the copy %s ended before it was complete", p).
			WithHint("the content of %s is undefined; run the task again", p.Target)
	case last.Outcome == arrayclient.OutcomeActive:
		// Established again since the relationships were listed.
		rel.State, rel.OutOfSync = arrayclient.StateCopying, max(1, rel.Tracks)
		rel.Tracks = rel.OutOfSync
	}
	return rel, nil
}

func (e *ended) read() error {
	if e.volumes != nil {
		return nil
	}
	facts, err := e.array.Properties(e.ctx)
	if err != nil {
		return err
	}
	all, err := e.array.Volumes(e.ctx)
	if err != nil {
		return err
	}
	e.facts = facts
	e.volumes = make(map[arrayclient.Serial]arrayclient.Volume, len(all))
	for _, v := range all {
		e.volumes[v.Serial] = v
	}
	return nil
}

// follow looks again and again, telling each what it saw, until the copies
// are complete, hopeless or ctx ends, and returns the last. It looks at once when
// looks, which may be nil, asks it to, and says so if that was not its last look.
// An array that does not answer is waited for; the error says so when ctx ends meanwhile.
func follow(
	ctx context.Context, r Resolved, since time.Time, looks <-chan chan<- struct{},
	each func(progress),
) (progress, error) {
	pause := firstLook
	var asked chan<- struct{}
	for {
		p, err := look(ctx, r, since)
		switch {
		case isSilent(err):
		case err != nil:
			return p, err
		default:
			each(p)
		}
		if p.complete {
			return p, nil
		}
		if asked != nil {
			close(asked)
			asked = nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case asked = <-looks:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			if err == nil {
				err = ctx.Err()
			}
			return p, err
		}
		pause = min(2*pause, slowestLook)
	}
}

// isSilent reports whether err is that of an array that does not answer: what its copies
// do is not known until it does.
func isSilent(err error) bool { return fault.KindOf(err) == fault.Connection }
