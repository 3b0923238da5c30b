package core

import (
	"context"
	"errors"
	"slices"

	"copyservices/arrayclient/fault"
)

// undo takes back a step of a change that fails later on.
type undo func(context.Context) error

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
