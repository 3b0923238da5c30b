package copyserver

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/runner"
)

// undo takes back a step of a change that fails later on.
type undo func(context.Context) error

// changeVolume changes all that the request names, or nothing. The volume is
// held against other changes, so that what a failed one takes back is its own.
func (s *Server) changeVolume(q *call) (answer, error) {
	var change api.VolumeChange
	if _, err := q.decode(&change); err != nil {
		return answer{}, err
	}
	serial, err := q.serial()
	if err != nil {
		return answer{}, err
	}
	s.volumesMu.Lock()
	defer s.volumesMu.Unlock()
	// Once begun it is brought to its end, whether the client waits or not.
	ctx := context.WithoutCancel(q.Context())
	v, err := s.oneVolume(ctx, serial)
	if err != nil {
		return answer{}, err
	}
	steps, err := s.volumeSteps(v, change)
	if err != nil {
		return answer{}, err
	}
	if err := all(ctx, steps); err != nil {
		return answer{}, err
	}
	if change.Assigned != nil {
		s.recheckHosts()
	}
	if v, err = s.oneVolume(ctx, serial); err != nil {
		return answer{}, err
	}
	return ok(v)
}

// step does something and returns how to undo it, nil where that cannot be.
type step func(context.Context) (undo, error)

// all does the steps in their order, or none: when one fails, those before it
// are undone.
func all(ctx context.Context, steps []step) error {
	var undos []undo
	for _, do := range steps {
		undo, err := do(ctx)
		if err == nil {
			undos = append(undos, undo)
			continue
		}
		for _, undo := range slices.Backward(undos) {
			if failed := undo(ctx); failed != nil {
				err = fault.New(fault.Server, "%w", errors.Join(err, failed)).
					WithHint("a part of the change was made")
			}
		}
		return err
	}
	return nil
}

// volumeSteps returns what change asks to do to v. The expansion, which has no
// way back, is the last.
func (s *Server) volumeSteps(v api.Volume, change api.VolumeChange) ([]step, error) {
	arr, _, err := s.arrays.Of(v.Serial)
	if err != nil {
		return nil, err
	}
	var steps []step
	if change.Assigned != nil {
		steps = append(steps, s.assign(v.Serial, *change.Assigned))
	}
	if change.Label != nil {
		l, ok := arr.(arrayclient.Labeler)
		if !ok {
			return nil, runner.Unsupported(arr, "the change of labels")
		}
		steps = append(steps, relabel(l, v, *change.Label))
	}
	if change.Size != 0 {
		e, ok := arr.(arrayclient.Expander)
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

func relabel(l arrayclient.Labeler, v api.Volume, label string) step {
	return func(ctx context.Context) (undo, error) {
		back := func(ctx context.Context) error { return l.SetLabel(ctx, v.Serial, v.Label) }
		return back, l.SetLabel(ctx, v.Serial, label)
	}
}

func (s *Server) changeArray(q *call) (answer, error) {
	var change api.ArrayChange
	if _, err := q.decode(&change); err != nil {
		return answer{}, err
	}
	arr, _, err := s.arrays.Named(q.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	if err := setRate(q.Context(), arr, change.CopyRate); err != nil {
		return answer{}, err
	}
	return s.getArray(q)
}

// setRate bounds the copying of pairs, of all of arr when there are none.
func setRate(
	ctx context.Context, arr arrayclient.Array, rate *int64, pairs ...arrayclient.Pair,
) error {
	if rate == nil {
		return fault.New(fault.Usage, "no copy_rate is given").
			WithHint("it is in bytes a second, 0 for no bound")
	}
	setter, ok := arr.(arrayclient.RateSetter)
	if !ok {
		return runner.Unsupported(arr, "copy rates")
	}
	return setter.SetCopyRate(ctx, *rate, pairs...)
}

func (s *Server) setCopyRate(q *call) (answer, error) {
	var req api.CopyRateRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.onPairs(q, body, req.Pairs, http.StatusOK,
		func(ctx context.Context, r runner.Resolved) ([]string, error) {
			return nil, setRate(ctx, r.Array, req.CopyRate, r.Pairs...)
		})
}
