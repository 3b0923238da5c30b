package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// administrator acts on volumes.
func (d *drive) administrator(ctx context.Context, rnd *rand.Rand) {
	for pause(ctx, upTo(rnd, 300*time.Millisecond)) {
		d.steady.RLock()
		// What was begun is ended, so that it is known what came of it.
		err := d.actOnce(context.WithoutCancel(ctx), rnd)
		d.steady.RUnlock()
		if err != nil && !errors.Is(err, errRefused) {
			d.fail(err)
		}
	}
}

// actOnce does one random act. It leaves alone what others act on.
func (d *drive) actOnce(ctx context.Context, rnd *rand.Rand) error {
	t := d.volumes[rnd.IntN(len(d.volumes))]
	if !t.admin.TryLock() {
		return nil
	}
	defer t.admin.Unlock()
	list, err := d.server.Load().client.Relationships(ctx, t.serial)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.State == arrayclient.StateFailed {
			return fmt.Errorf("relationship %s:%s failed: %s", r.Source, r.Target, r.Reason)
		}
		if r.Target == t.serial {
			return d.onTarget(ctx, rnd, r, t)
		}
	}
	switch {
	case len(list) > 0:
		return nil
	case rnd.IntN(15) == 0:
		d.counts.add("delete and create")
		return d.recreate(ctx, d.server.Load(), t)
	}
	return d.establishRandom(ctx, rnd, t)
}

// onTarget acts on the relationship whose target is t.
func (d *drive) onTarget(
	ctx context.Context, rnd *rand.Rand, r api.Relationship, t *volume,
) error {
	i := slices.IndexFunc(d.volumes, func(v *volume) bool { return v.serial == r.Source })
	src := d.volumes[i]
	if !src.admin.TryLock() {
		return nil
	}
	defer src.admin.Unlock()
	p := copyPair{src, t}
	switch n := rnd.IntN(10); {
	case n < 3:
		return d.withdraw(ctx, p)
	case r.Options.Record && n < 6:
		return d.resync(ctx, rnd, p)
	case r.Options.Record && r.State == arrayclient.StateComplete && n < 9:
		return d.reverse(ctx, p)
	case r.State == arrayclient.StateNoCopy && n < 5:
		return d.runTask(ctx, taskstore.TaskBackgroundCopy, []copyPair{p})
	}
	return nil
}

// copyPair is a source and its target. The admin of both is held.
type copyPair struct{ source, target *volume }

func taskPairs(list []copyPair) []api.TaskPair {
	out := make([]api.TaskPair, len(list))
	for i, p := range list {
		out[i] = api.TaskPair{Source: string(p.source.serial), Target: string(p.target.serial)}
	}
	return out
}

// establishRandom establishes t, and sometimes another volume too, as targets.
func (d *drive) establishRandom(ctx context.Context, rnd *rand.Rand, t *volume) error {
	free := func() *volume { // locked for the caller
		v := d.volumes[rnd.IntN(len(d.volumes))]
		if v == t || !v.admin.TryLock() {
			return nil
		}
		return v
	}
	src := free()
	if src == nil {
		return nil
	}
	defer src.admin.Unlock()
	pairs := []copyPair{{src, t}}
	var opts arrayclient.Options
	switch rnd.IntN(8) {
	case 0, 1, 2:
		opts.NoCopy = true
	case 3, 4:
		opts.Record = true
	case 5:
		opts.Freeze = true
	}
	if second := free(); second != nil {
		defer second.admin.Unlock()
		if opts.Freeze || rnd.IntN(2) == 0 {
			from := src
			if third := free(); third != nil {
				defer third.admin.Unlock()
				from = third
			}
			pairs = append(pairs, copyPair{from, second})
		}
	}
	return d.establish(ctx, rnd, pairs, opts)
}

// establish makes targets images of their sources.
func (d *drive) establish(
	ctx context.Context, rnd *rand.Rand, pairs []copyPair, opts arrayclient.Options,
) error {
	err := d.copies(ctx, rnd, "establish", pairs, func() error {
		_, err := d.server.Load().client.Establish(ctx,
			api.EstablishRequest{Pairs: taskPairs(pairs), Options: opts})
		return ruled(err)
	})
	if err != nil || !opts.Freeze {
		return err
	}
	return d.runTask(ctx, taskstore.TaskConsistencyCreated, pairs)
}

func (d *drive) resync(ctx context.Context, rnd *rand.Rand, p copyPair) error {
	pairs := []copyPair{p}
	return d.copies(ctx, rnd, "resync", pairs, func() error {
		return d.runTask(ctx, taskstore.TaskResync, pairs)
	})
}

// reverse makes the source an image of its target.
func (d *drive) reverse(ctx context.Context, p copyPair) error {
	back := []copyPair{{p.target, p.source}}
	return d.copies(ctx, nil, "reverse", back, func() error {
		return d.runTask(ctx, taskstore.TaskReverse, []copyPair{p})
	})
}

// copies notes that do makes the targets images of their sources. Hosts write to
// the sources meanwhile, or not, as rnd decides; to the targets they do not.
func (d *drive) copies(
	ctx context.Context, rnd *rand.Rand, name string, pairs []copyPair, do func() error,
) error {
	a := &act{name: name}
	quiet := rnd == nil || rnd.IntN(2) == 0
	for _, v := range involved(pairs, quiet) {
		v.quiet.Lock()
		defer v.quiet.Unlock()
	}
	a.from = d.device.log.position()
	answered := map[*volume]snapshot{}
	for _, p := range pairs {
		answered[p.source] = p.source.life.answered()
		a.volumes = append(a.volumes, p.target.life)
	}
	if err := do(); err != nil {
		return err
	}
	images := make([]image, len(pairs))
	for i, p := range pairs {
		images[i] = p.source.life.imageSince(answered[p.source])
	}
	a.to = d.device.log.position()
	for i, p := range pairs {
		p.target.life.become(a, images[i])
		p.source.life.promise(answered[p.source], a.to)
	}
	d.counts.add(name)
	if quiet || rnd.IntN(2) == 0 {
		return nil
	}
	return d.look(a, pairs)
}

// involved returns the targets of pairs, and the sources if asked for.
func involved(pairs []copyPair, sources bool) []*volume {
	var out []*volume
	for _, p := range pairs {
		out = append(out, p.target)
		if sources && !slices.Contains(out, p.source) {
			out = append(out, p.source)
		}
	}
	return out
}

// look reads the images that an act made while hosts wrote. From now on they
// must stay as they were seen.
func (d *drive) look(a *act, pairs []copyPair) error {
	for _, p := range pairs {
		var wrong error
		c, err := attach(d.server.Load().nbd, string(p.target.serial))
		if err != nil {
			return err
		}
		err = c.readPages(func(block int, page []byte) {
			t, at, whole := readPage(page)
			good := whole && (t == zeros || int(at.block) == block)
			if wrong == nil && !(good && p.target.life.found(a, block, t)) {
				wrong = fmt.Errorf("block %d of %s is not of the image of %s: it holds %s",
					block, p.target.serial, p.source.serial, describePage(page))
			}
		})
		c.close()
		if err = errors.Join(err, wrong); err != nil {
			return err
		}
		d.counts.add("look at an image")
	}
	return nil
}

// withdraw ends a relationship, after which an incomplete target may hold
// anything.
func (d *drive) withdraw(ctx context.Context, p copyPair) error {
	p.target.quiet.Lock()
	defer p.target.quiet.Unlock()
	a := &act{name: "withdraw", from: d.device.log.position(), volumes: []*life{p.target.life}}
	result, err := d.server.Load().client.Withdraw(ctx,
		api.PairsRequest{Pairs: taskPairs([]copyPair{p})})
	if err != nil {
		return ruled(err)
	}
	a.to = d.device.log.position()
	if len(result.Warnings) > 0 {
		p.target.life.becomeUnknown(a)
	}
	d.counts.add("withdraw")
	return nil
}

// runTask does what only tasks do.
func (d *drive) runTask(ctx context.Context, kind taskstore.TaskType, pairs []copyPair) error {
	c := d.server.Load().client
	name := fmt.Sprintf("task-%d", d.tasks.Add(1))
	_, err := c.PutTask(ctx, api.Task{Name: name, Type: kind, Pairs: taskPairs(pairs)})
	if err != nil {
		return err
	}
	run, err := c.RunTask(ctx, name, api.RunRequest{})
	for err == nil && run.State == taskstore.RunRunning {
		if run, err = c.Run(ctx, run.ID, time.Minute); err == nil {
			err = api.RunError(run)
		}
	}
	if err == nil {
		d.counts.add(string(kind) + " task")
	}
	return errors.Join(ruled(err), c.DeleteTask(ctx, name))
}

// ruled turns the error of an act that is against the rules of FlashCopy into
// errRefused.
func ruled(err error) error {
	if err == nil {
		return nil
	}
	switch fault.KindOf(err) {
	case fault.Refused, fault.NotFound, fault.Busy:
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}
