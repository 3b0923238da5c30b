package arrayclient

import (
	"context"
	"errors"
	"sync"

	"copyservices/arrayclient/fault"
)

// Call is a call of a method of an array.
type Call struct {
	Name  string // of the method, for people
	Reads bool   // it changes nothing
}

// Through carries a call out by calling do, once. It may do so in a goroutine of its own
// and return an error before do does: what do then comes to is lost.
type Through func(ctx context.Context, call Call, do func(context.Context) error) error

// Around returns an array whose calls all go through the function, those of optional
// acts too. It has the optional acts that array has. Close, and Thaw, which wait for
// nothing, and the content of an open volume go past it.
func Around(array Array, through Through) Array {
	return AroundLater(func() Array { return array }, through)
}

// AroundLater is Around for an array that is not there yet: until it is, behind returns
// nil, and the function lets no call through.
func AroundLater(behind func() Array, through Through) Array { return &around{behind, through} }

type around struct {
	behind  func() Array
	through Through
}

// Unwrap returns the array behind.
func (a *around) Unwrap() Array { return a.behind() }

// Close closes the array behind.
func (a *around) Close() error {
	if array := a.behind(); array != nil {
		return array.Close()
	}
	return nil
}

func read(name string) Call   { return Call{name, true} }
func change(name string) Call { return Call{name, false} }

// answer is what a call with a result comes to. Nothing of the call is looked at when
// it failed, since it may still go on.
func answer[T any](
	ctx context.Context, a *around, call Call, do func(context.Context) (T, error),
) (T, error) {
	var none, out T
	err := a.through(ctx, call, func(ctx context.Context) (err error) {
		out, err = do(ctx)
		return err
	})
	if err != nil {
		return none, err
	}
	return out, nil
}

// optional carries out the call of an act that the array behind may not have. Who found
// it with As has it.
func optional[T any](
	ctx context.Context, a *around, call Call, do func(context.Context, T) error,
) error {
	act, ok := As[T](a.behind())
	if !ok {
		return fault.New(fault.Refused, "the array does not support %s", call.Name)
	}
	return a.through(ctx, call, func(ctx context.Context) error { return do(ctx, act) })
}

func (a *around) Properties(ctx context.Context) (Properties, error) {
	return answer(ctx, a, read("properties"), func(ctx context.Context) (Properties, error) {
		return a.behind().Properties(ctx)
	})
}

func (a *around) Volumes(ctx context.Context) ([]Volume, error) {
	return answer(ctx, a, read("volumes"), func(ctx context.Context) ([]Volume, error) {
		return a.behind().Volumes(ctx)
	})
}

func (a *around) CreateVolumes(ctx context.Context, spec VolumeSpec) ([]Volume, error) {
	return answer(ctx, a, change("create volumes"), func(ctx context.Context) ([]Volume, error) {
		return a.behind().CreateVolumes(ctx, spec)
	})
}

func (a *around) DeleteVolume(ctx context.Context, serial Serial) error {
	return a.through(ctx, change("delete volume"), func(ctx context.Context) error {
		return a.behind().DeleteVolume(ctx, serial)
	})
}

func (a *around) Establish(ctx context.Context, pairs []Pair, opts Options) error {
	return a.through(ctx, change(string(ActEstablish)), func(ctx context.Context) error {
		return a.behind().Establish(ctx, pairs, opts)
	})
}

func (a *around) Withdraw(ctx context.Context, pairs []Pair) ([]Pair, error) {
	return answer(ctx, a, change(string(ActWithdraw)), func(ctx context.Context) ([]Pair, error) {
		return a.behind().Withdraw(ctx, pairs)
	})
}

func (a *around) Relationships(ctx context.Context, serials ...Serial) ([]Relationship, error) {
	return answer(ctx, a, read("relationships"), func(ctx context.Context) ([]Relationship, error) {
		return a.behind().Relationships(ctx, serials...)
	})
}

func (a *around) Resync(ctx context.Context, pairs []Pair) error {
	return optional(ctx, a, change(string(ActResync)), func(ctx context.Context, r Resyncer) error {
		return r.Resync(ctx, pairs)
	})
}

func (a *around) Reverse(ctx context.Context, pairs []Pair) error {
	return optional(ctx, a, change(string(ActReverse)), func(ctx context.Context, r Reverser) error {
		return r.Reverse(ctx, pairs)
	})
}

func (a *around) BackgroundCopy(ctx context.Context, pairs []Pair) error {
	call := change(string(ActBackgroundCopy))
	return optional(ctx, a, call, func(ctx context.Context, b BackgroundCopier) error {
		return b.BackgroundCopy(ctx, pairs)
	})
}

func (a *around) ConsistencyCreated(ctx context.Context, pairs []Pair) error {
	call := change(string(ActConsistencyCreated))
	return optional(ctx, a, call, func(ctx context.Context, f Freezer) error {
		return f.ConsistencyCreated(ctx, pairs)
	})
}

func (a *around) SetCopyRate(ctx context.Context, bytesPerSecond int64, pairs ...Pair) error {
	return optional(ctx, a, change("copy rates"), func(ctx context.Context, r RateSetter) error {
		return r.SetCopyRate(ctx, bytesPerSecond, pairs...)
	})
}

func (a *around) ExpandVolume(ctx context.Context, serial Serial, size int64) error {
	call := change("the expansion of volumes")
	return optional(ctx, a, call, func(ctx context.Context, e Expander) error {
		return e.ExpandVolume(ctx, serial, size)
	})
}

func (a *around) SetLabel(ctx context.Context, serial Serial, label string) error {
	call := change("the change of labels")
	return optional(ctx, a, call, func(ctx context.Context, l Labeler) error {
		return l.SetLabel(ctx, serial, label)
	})
}

func (a *around) Rehearse(ctx context.Context, act Act, pairs []Pair, opts Options) error {
	return optional(ctx, a, read("rehearse"), func(ctx context.Context, r Rehearser) error {
		return r.Rehearse(ctx, act, pairs, opts)
	})
}

func (a *around) OpenVolume(ctx context.Context, serial Serial) (VolumeIO, error) {
	var opened handover
	call := read("open volume")
	err := optional(ctx, a, call, func(ctx context.Context, o Opener) error {
		v, err := o.OpenVolume(ctx, serial)
		if err == nil {
			err = opened.give(v)
		}
		return err
	})
	return opened.take(err)
}

// handover passes an open volume on, or closes one that comes when nobody takes it any
// more.
type handover struct {
	mu     sync.Mutex
	volume VolumeIO
	over   bool
}

func (h *handover) give(v VolumeIO) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return v.Close()
	}
	h.volume = v
	return nil
}

// take returns the volume, unless the call failed with err.
func (h *handover) take(err error) (VolumeIO, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	if err != nil && h.volume != nil {
		err = errors.Join(err, h.volume.Close())
		h.volume = nil
	}
	return h.volume, err
}
