package core

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// OpenContent opens the content of a volume to read it.
func (c *Core) OpenContent(
	ctx context.Context, by Caller, serial arrayclient.Serial,
) (arrayclient.VolumeIO, error) {
	if err := by.May(ReadContent); err != nil {
		return nil, err
	}
	return c.Arrays.Open(ctx, serial)
}

// ReplaceContent opens the content of a volume to replace it, or a part of it. It
// refuses a volume that is a target, whose relationship that would end, or that a host
// has attached, unless it is forced: what that host writes meanwhile lands in between.
// No host can attach the volume until it is closed.
func (c *Core) ReplaceContent(
	ctx context.Context, by Caller, serial arrayclient.Serial, force bool,
) (arrayclient.VolumeIO, error) {
	if err := by.May(WriteContent); err != nil {
		return nil, err
	}
	release, err := c.importable(ctx, serial, force)
	if err != nil {
		return nil, err
	}
	v, err := c.Arrays.Open(ctx, serial)
	if err != nil {
		release()
		return nil, err
	}
	return arrayclient.OnClose(v, release), nil
}

func (c *Core) importable(
	ctx context.Context, serial arrayclient.Serial, force bool,
) (release func(), err error) {
	arr, _, err := c.Arrays.Of(serial)
	if err != nil {
		return nil, err
	}
	rels, err := arr.Relationships(ctx, serial)
	if err != nil {
		return nil, err
	}
	for _, r := range rels {
		if r.Target == serial {
			return nil, fault.New(fault.Refused, "volume %s is the target of %s", serial, r.Source).
				WithHint("nothing was written; withdraw the relationship first")
		}
	}
	if force {
		return func() {}, nil
	}
	release, err = c.Attached.Claim(serial)
	if err != nil {
		return nil, fault.New(fault.Refused, "%w", err).
			WithHint("nothing was written; detach it there first, or import with --force")
	}
	return release, nil
}
