package core

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/runner"
	"copyservices/export"
	"copyservices/taskstore"
)

// Volume is a volume of an array with who uses it.
type Volume struct {
	arrays.Found
	Seen     []string               // by primed hosts, as host:device
	Assigned []taskstore.HostAccess // who may attach it where hosts show credentials
	Attached []export.Attachment    // who has it attached now
}

// Volumes returns the volumes named, in that order; all of them, ordered by array and
// serial, when none is. The serials must be valid. Warnings are of arrays that do not
// answer; the volumes named in one of those are an error.
func (c *Core) Volumes(
	ctx context.Context, by Caller, serials ...arrayclient.Serial,
) (all arrays.Partial[Volume], err error) {
	if err := by.May(Look); err != nil {
		return all, err
	}
	var found arrays.Partial[arrays.Found]
	if len(serials) == 0 {
		found, err = c.Arrays.Volumes(ctx)
	} else {
		found.All, err = c.Arrays.VolumesOf(ctx, serials...)
	}
	if err != nil {
		return all, err
	}
	all.Warnings = found.Warnings
	all.All, err = c.describeVolumes(found.All)
	return all, err
}

// VolumesIn returns the volumes of the array of that id, and asks no other array.
func (c *Core) VolumesIn(
	ctx context.Context, by Caller, array string,
) (all arrays.Partial[Volume], err error) {
	if err := by.May(Look); err != nil {
		return all, err
	}
	arr, id, err := c.Arrays.Named(array)
	if err != nil {
		return all, err
	}
	volumes, err := arr.Volumes(ctx)
	if err != nil {
		return all, err
	}
	found := make([]arrays.Found, len(volumes))
	for i, v := range volumes {
		found[i] = arrays.Found{Volume: v, Array: id}
	}
	all.All, err = c.describeVolumes(found)
	return all, err
}

func (c *Core) describeVolumes(found []arrays.Found) ([]Volume, error) {
	seen, err := c.seen()
	if err != nil {
		return nil, err
	}
	assignments, err := c.Store.Assignments().List()
	if err != nil {
		return nil, err
	}
	assigned := make(map[arrayclient.Serial][]taskstore.HostAccess, len(assignments))
	for _, a := range assignments {
		assigned[a.Volume] = a.Hosts
	}
	out := make([]Volume, len(found))
	for i, f := range found {
		out[i] = Volume{f, seen[f.Serial], assigned[f.Serial], c.Attached.Of(f.Serial)}
	}
	return out, nil
}

// seen returns for each volume the devices of primed hosts that it is.
func (c *Core) seen() (map[arrayclient.Serial][]string, error) {
	hosts, err := c.Store.Hosts().List()
	seen := map[arrayclient.Serial][]string{}
	for _, h := range hosts {
		for _, d := range h.Devices {
			name := taskstore.Endpoint{Host: h.Name, Device: d.Name}.String()
			seen[d.Serial] = append(seen[d.Serial], name)
		}
	}
	return seen, err
}

func (c *Core) volume(ctx context.Context, serial arrayclient.Serial) (Volume, error) {
	found, err := c.Arrays.VolumesOf(ctx, serial)
	if err != nil {
		return Volume{}, err
	}
	all, err := c.describeVolumes(found)
	if err != nil {
		return Volume{}, err
	}
	return all[0], nil
}

// Volume returns one volume. The serial must be valid.
func (c *Core) Volume(
	ctx context.Context, by Caller, serial arrayclient.Serial,
) (Volume, error) {
	if err := by.May(Look); err != nil {
		return Volume{}, err
	}
	return c.volume(ctx, serial)
}

// CreateVolumes creates volumes in the array of that id; the empty one stands for the
// server's own.
func (c *Core) CreateVolumes(
	by Caller, array string, spec arrayclient.VolumeSpec,
) (Pending[[]Volume], error) {
	if err := by.May(ChangeVolume); err != nil {
		return nil, err
	}
	arr, id, err := c.Arrays.Named(array)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]Volume, error) {
		volumes, err := arr.CreateVolumes(ctx, spec)
		if err != nil {
			return nil, err
		}
		out := make([]Volume, len(volumes))
		for i, v := range volumes {
			out[i] = Volume{Found: arrays.Found{Volume: v, Array: id}}
		}
		return out, nil
	}, nil
}

// DeleteVolume leaves it to the array to refuse a volume in use. The hosts lose
// it first: one that takes its serial later must not be theirs.
func (c *Core) DeleteVolume(
	ctx context.Context, by Caller, serial arrayclient.Serial,
) error {
	if err := by.May(ChangeVolume); err != nil {
		return err
	}
	arr, _, err := c.Arrays.Of(serial)
	if err != nil {
		return err
	}
	if by := c.Attached.Of(serial); by != nil {
		return export.InUse(serial, by)
	}
	c.volumes.Lock()
	defer c.volumes.Unlock()
	return all(context.WithoutCancel(ctx), []step{
		c.assign(serial, nil),
		func(ctx context.Context) (undo, error) { return nil, arr.DeleteVolume(ctx, serial) },
	})
}

// VolumeChange is what becomes of a volume; what is not given stays as it is.
type VolumeChange struct {
	Label *string
	// Size in bytes to which the volume grows; 0 is not given.
	Size int64
	// Assigned replaces the hosts that may attach the volume; empty: nobody.
	Assigned *[]taskstore.HostAccess
}

// ChangeVolume changes all that is asked for, or nothing. The volume is held against
// other changes, so that what a failed one takes back is its own. Once begun it is
// brought to its end, whether the caller waits or not.
func (c *Core) ChangeVolume(
	ctx context.Context, by Caller, serial arrayclient.Serial, change VolumeChange,
) (Volume, error) {
	if err := by.May(ChangeVolume); err != nil {
		return Volume{}, err
	}
	c.volumes.Lock()
	defer c.volumes.Unlock()
	ctx = context.WithoutCancel(ctx)
	v, err := c.volume(ctx, serial)
	if err != nil {
		return v, err
	}
	steps, err := c.volumeSteps(v, change)
	if err != nil {
		return v, err
	}
	err = all(ctx, steps)
	if change.Assigned != nil {
		c.Access.Changed() // whatever came of it: a host may have come in meanwhile
	}
	if err != nil {
		return v, err
	}
	return c.volume(ctx, serial)
}

// volumeSteps returns what change asks to do to v. The expansion, which has no
// way back, is the last.
func (c *Core) volumeSteps(v Volume, change VolumeChange) ([]step, error) {
	arr, _, err := c.Arrays.Of(v.Serial)
	if err != nil {
		return nil, err
	}
	var steps []step
	if change.Assigned != nil {
		steps = append(steps, c.assign(v.Serial, *change.Assigned))
	}
	if change.Label != nil {
		l, ok := arrayclient.As[arrayclient.Labeler](arr)
		if !ok {
			return nil, runner.Unsupported(arr, "the change of labels")
		}
		steps = append(steps, relabel(l, v, *change.Label))
	}
	if change.Size != 0 {
		e, ok := arrayclient.As[arrayclient.Expander](arr)
		if !ok {
			return nil, runner.Unsupported(arr, "the expansion of volumes")
		}
		steps = append(steps, func(ctx context.Context) (undo, error) {
			return nil, e.ExpandVolume(ctx, v.Serial, change.Size)
		})
	}
	if steps == nil {
		return nil, fault.New(fault.Usage, "no change of volume %s is asked for", v.Serial)
	}
	return steps, nil
}

func relabel(l arrayclient.Labeler, v Volume, label string) step {
	return func(ctx context.Context) (undo, error) {
		back := func(ctx context.Context) error { return l.SetLabel(ctx, v.Serial, v.Label) }
		return back, l.SetLabel(ctx, v.Serial, label)
	}
}
