package core

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/runner"
)

// ListArrays returns what the arrays say of themselves.
func (c *Core) ListArrays(ctx context.Context, by Caller) ([]arrayclient.Properties, error) {
	if err := by.May(Look); err != nil {
		return nil, err
	}
	var out []arrayclient.Properties
	for _, arr := range c.Arrays.All() {
		p, err := arr.Properties(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Array returns what the array of that id says of itself.
func (c *Core) Array(
	ctx context.Context, by Caller, id string,
) (p arrayclient.Properties, err error) {
	if err := by.May(Look); err != nil {
		return p, err
	}
	arr, _, err := c.Arrays.Named(id)
	if err != nil {
		return p, err
	}
	return arr.Properties(ctx)
}

// SetArrayCopyRate bounds all background copying of an array, in bytes a second; 0 is
// no bound, nil an error.
func (c *Core) SetArrayCopyRate(
	ctx context.Context, by Caller, id string, rate *int64,
) (p arrayclient.Properties, err error) {
	if err := by.May(ChangeArray); err != nil {
		return p, err
	}
	arr, _, err := c.Arrays.Named(id)
	if err != nil {
		return p, err
	}
	if err := setRate(ctx, arr, rate); err != nil {
		return p, err
	}
	return arr.Properties(ctx)
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
