package runner

import (
	"context"

	"copyservices/copyserver/arrays"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// act is what one type of task does to an array. It may return warnings.
type act func(ctx context.Context, r Resolved) (warnings []string, err error)

// Act returns what tasks of that type do to pairs: those of on, when it is given them.
// It warns of whoever uses volumes that get other content. The error of kind Refused is
// for an array that has no such act.
func (r *Runner) Act(
	t taskstore.TaskType, opts arrayclient.Options, on Resolved,
) (func(context.Context, Resolved) (warnings []string, err error), error) {
	do, err := r.actOf(t, opts, on.Array)
	if err == nil && overwrites(t) {
		do = r.warning(on.copying(t), do)
	}
	return do, err
}

func (r *Runner) actOf(
	t taskstore.TaskType, opts arrayclient.Options, arr arrayclient.Array,
) (act, error) {
	switch t {
	case taskstore.TaskEstablish:
		return establish(opts), nil
	case taskstore.TaskWithdraw:
		return r.endCopies, nil
	case taskstore.TaskResync:
		if a, ok := arrayclient.As[arrayclient.Resyncer](arr); ok {
			return plain(a.Resync), nil
		}
	case taskstore.TaskReverse:
		if a, ok := arrayclient.As[arrayclient.Reverser](arr); ok {
			return plain(a.Reverse), nil
		}
	case taskstore.TaskBackgroundCopy:
		if a, ok := arrayclient.As[arrayclient.BackgroundCopier](arr); ok {
			return plain(a.BackgroundCopy), nil
		}
	case taskstore.TaskConsistencyCreated:
		if a, ok := arrayclient.As[arrayclient.Freezer](arr); ok {
			return plain(a.ConsistencyCreated), nil
		}
	}
	return nil, Unsupported(arr, string(t))
}

// Unsupported is the refusal of an act that arr does not have.
// One that does not answer may have it all the same.
func Unsupported(arr arrayclient.Array, act string) error {
	p, err := arr.Properties(context.Background())
	if isSilent(err) {
		return err
	}
	name := "array " + p.ID.String()
	if err != nil {
		name = "the array"
	}
	return fault.New(fault.Refused, "%s does not support %s", name, act).
		WithHint("esscli show array lists what it does")
}

func establish(opts arrayclient.Options) act {
	return func(ctx context.Context, r Resolved) ([]string, error) {
		return nil, r.Array.Establish(ctx, r.Pairs, opts)
	}
}

// plain is an act that has nothing to warn of.
func plain(do func(context.Context, []arrayclient.Pair) error) act {
	return func(ctx context.Context, r Resolved) ([]string, error) {
		return nil, do(ctx, r.Pairs)
	}
}

// withdraw ends the relationships of r and warns of the targets whose content
// is undefined from then on.
func withdraw(ctx context.Context, r Resolved) (warnings []string, err error) {
	undefined, err := r.Array.Withdraw(ctx, r.Pairs)
	for _, p := range undefined {
		warnings = append(warnings, "the content of "+string(p.Target)+
			" is undefined: its copy of "+string(p.Source)+" was not complete")
	}
	return warnings, err
}

// overwrites reports whether tasks of that type change what their targets read as.
func overwrites(t taskstore.TaskType) bool {
	switch t {
	case taskstore.TaskEstablish, taskstore.TaskResync, taskstore.TaskReverse:
		return true
	}
	return false
}

// warning is do with the warnings of those who use the targets of written while they
// are written.
func (r *Runner) warning(written Resolved, do act) act {
	return func(ctx context.Context, resolved Resolved) ([]string, error) {
		warnings, err := do(ctx, resolved)
		if err != nil || r.Overwritten == nil {
			return warnings, err
		}
		return append(warnings, r.Overwritten(written.Targets())...), nil
	}
}

// Targets returns the target volumes, in the order of the pairs.
func (r Resolved) Targets() []arrayclient.Serial {
	targets := make([]arrayclient.Serial, len(r.Pairs))
	for i, p := range r.Pairs {
		targets[i] = p.Target
	}
	return targets
}

// copies reports whether tasks of that type start copying.
func copies(t taskstore.TaskType) bool {
	switch t {
	case taskstore.TaskEstablish, taskstore.TaskResync, taskstore.TaskReverse,
		taskstore.TaskBackgroundCopy:
		return true
	}
	return false
}

// copying returns r with the pairs in the direction in which a task of that
// type copies.
func (r Resolved) copying(t taskstore.TaskType) Resolved {
	if t != taskstore.TaskReverse {
		return r
	}
	turned := make([]arrayclient.Pair, len(r.Pairs))
	for i, p := range r.Pairs {
		turned[i] = arrayclient.Pair{Source: p.Target, Target: p.Source}
	}
	r.Pairs = turned
	return r
}

// lasting refuses to wait for what never ends or never begins.
func lasting(t taskstore.Task) error {
	if t.Type == taskstore.TaskEstablish && t.Options.NoCopy {
		return fault.New(fault.Refused, "task %s copies nothing in the background: no end to wait for",
			t.Name).
			WithHint("run it without --wait")
	}
	return nil
}

// rehearse returns the error with which the array would refuse the task now, as far
// as it can tell.
func rehearse(ctx context.Context, t taskstore.Task, r Resolved) error {
	array, ok := arrayclient.As[arrayclient.Rehearser](r.Array)
	if !ok {
		return existing(ctx, r)
	}
	return array.Rehearse(ctx, arrayclient.Act(t.Type), r.Pairs, t.Options)
}

// existing refuses pairs with a volume that is not there.
func existing(ctx context.Context, r Resolved) error {
	all, err := r.Array.Volumes(ctx)
	if err != nil {
		return err
	}
	there := make(map[arrayclient.Serial]bool, len(all))
	for _, v := range all {
		there[v.Serial] = true
	}
	for _, p := range r.Pairs {
		for _, serial := range []arrayclient.Serial{p.Source, p.Target} {
			if !there[serial] {
				return arrays.NoVolume(serial)
			}
		}
	}
	return nil
}
