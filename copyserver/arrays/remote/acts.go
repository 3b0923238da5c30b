package remote

import (
	"context"
	"slices"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// front is an array in front of the plain one, with one optional act. Each act that the
// array has there is such a front, so that arrayclient.As finds those and no others.
type front struct {
	arrayclient.Array
	on *array
}

// Unwrap returns the array behind.
func (f front) Unwrap() arrayclient.Array { return f.Array }

type (
	resyncer   struct{ front }
	reverser   struct{ front }
	copier     struct{ front }
	freezer    struct{ front }
	rateSetter struct{ front }
	expander   struct{ front }
	labeler    struct{ front }
	opener     struct{ front }
)

// optional lists the acts that the API has.
var optional = []func(front) arrayclient.Array{
	func(f front) arrayclient.Array { return resyncer{f} },
	func(f front) arrayclient.Array { return reverser{f} },
	func(f front) arrayclient.Array { return copier{f} },
	func(f front) arrayclient.Array { return freezer{f} },
	func(f front) arrayclient.Array { return rateSetter{f} },
	func(f front) arrayclient.Array { return expander{f} },
	func(f front) arrayclient.Array { return labeler{f} },
}

// with returns a with the acts that features name. Content needs NBD too.
func (a *array) with(features []string, exports bool) arrayclient.Array {
	acts := optional
	if exports {
		acts = append(slices.Clone(acts), func(f front) arrayclient.Array { return opener{f} })
	}
	var arr arrayclient.Array = a
	for _, act := range acts {
		lacks := func(feature string) bool { return !slices.Contains(features, feature) }
		if !slices.ContainsFunc(arrayclient.Features(act(front{})), lacks) {
			arr = act(front{arr, a})
		}
	}
	return arr
}

// Resync copies recorded tracks there.
func (f resyncer) Resync(ctx context.Context, pairs []arrayclient.Pair) error {
	return f.on.onPairs(ctx, pairs, f.on.client.Resync)
}

// Reverse copies changes back there.
func (f reverser) Reverse(ctx context.Context, pairs []arrayclient.Pair) error {
	return f.on.onPairs(ctx, pairs, f.on.client.Reverse)
}

// BackgroundCopy starts the copying there.
func (f copier) BackgroundCopy(ctx context.Context, pairs []arrayclient.Pair) error {
	return f.on.onPairs(ctx, pairs, f.on.client.BackgroundCopy)
}

// ConsistencyCreated releases the writes there.
func (f freezer) ConsistencyCreated(ctx context.Context, pairs []arrayclient.Pair) error {
	return f.on.onPairs(ctx, pairs, f.on.client.ConsistencyCreated)
}

// SetCopyRate bounds the copying there.
func (f rateSetter) SetCopyRate(
	ctx context.Context, bytesPerSecond int64, pairs ...arrayclient.Pair,
) error {
	if len(pairs) == 0 {
		_, err := f.on.client.ChangeArray(ctx, f.on.id.String(), api.ArrayChange{CopyRate: &bytesPerSecond})
		return f.on.told(err)
	}
	named, err := f.on.named(pairs)
	if err != nil {
		return err
	}
	_, err = f.on.client.SetCopyRate(ctx, api.CopyRateRequest{Pairs: named, CopyRate: &bytesPerSecond})
	return f.on.told(err)
}

// ExpandVolume makes the volume larger there.
func (f expander) ExpandVolume(ctx context.Context, serial arrayclient.Serial, size int64) error {
	if size == 0 { // which the API takes for no size at all
		return fault.New(fault.Usage, "a volume of no size cannot be made")
	}
	return f.on.change(ctx, serial, api.VolumeChange{Size: size})
}

// SetLabel changes the label there.
func (f labeler) SetLabel(ctx context.Context, serial arrayclient.Serial, label string) error {
	return f.on.change(ctx, serial, api.VolumeChange{Label: &label})
}

func (a *array) change(
	ctx context.Context, serial arrayclient.Serial, change api.VolumeChange,
) error {
	if err := a.owns(serial); err != nil {
		return err
	}
	_, err := a.client.ChangeVolume(ctx, serial, change)
	return a.told(err)
}
