package core

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/runner"
)

// ListArrays returns what the arrays say of themselves, the server's own first.
func (c *Core) ListArrays(ctx context.Context, by Caller) ([]arrays.Description, error) {
	if err := by.May(Look); err != nil {
		return nil, err
	}
	return c.Arrays.Descriptions(ctx)
}

// Array returns what the array of that id says of itself; the empty one stands for the
// server's own.
func (c *Core) Array(
	ctx context.Context, by Caller, id string,
) (a arrays.Description, err error) {
	if err := by.May(Look); err != nil {
		return a, err
	}
	return c.Arrays.Describe(ctx, id)
}

// SetArrayCopyRate bounds all background copying of an array, in bytes a second; 0 is
// no bound, nil an error.
func (c *Core) SetArrayCopyRate(
	ctx context.Context, by Caller, id string, rate *int64,
) (a arrays.Description, err error) {
	if err := by.May(ChangeArray); err != nil {
		return a, err
	}
	arr, _, err := c.Arrays.Named(id)
	if err != nil {
		return a, err
	}
	if err := setRate(ctx, arr, rate); err != nil {
		return a, err
	}
	return c.Arrays.Describe(ctx, id)
}

// setRate bounds the copying of pairs, of all of arr when there are none.
func setRate(
	ctx context.Context, arr arrayclient.Array, rate *int64, pairs ...arrayclient.Pair,
) error {
	if rate == nil {
		return fault.New(fault.Usage, "no copy_rate is given").
			WithHint("it is in bytes a second, 0 for no bound")
	}
	setter, ok := arrayclient.As[arrayclient.RateSetter](arr)
	if !ok {
		return runner.Unsupported(arr, "copy rates")
	}
	return setter.SetCopyRate(ctx, *rate, pairs...)
}
