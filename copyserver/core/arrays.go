package core

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/runner"
)

// Array is what an array says of itself.
type Array struct {
	arrayclient.Properties
	Features []string // names of the optional acts that it has
}

func describeArray(ctx context.Context, arr arrayclient.Array) (Array, error) {
	p, err := arr.Properties(ctx)
	return Array{p, arrayclient.Features(arr)}, err
}

// ListArrays returns what the arrays say of themselves.
func (c *Core) ListArrays(ctx context.Context, by Caller) ([]Array, error) {
	if err := by.May(Look); err != nil {
		return nil, err
	}
	var out []Array
	for _, arr := range c.Arrays.All() {
		a, err := describeArray(ctx, arr)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// Array returns what the array of that id says of itself.
func (c *Core) Array(
	ctx context.Context, by Caller, id string,
) (a Array, err error) {
	if err := by.May(Look); err != nil {
		return a, err
	}
	arr, _, err := c.Arrays.Named(id)
	if err != nil {
		return a, err
	}
	return describeArray(ctx, arr)
}

// SetArrayCopyRate bounds all background copying of an array, in bytes a second; 0 is
// no bound, nil an error.
func (c *Core) SetArrayCopyRate(
	ctx context.Context, by Caller, id string, rate *int64,
) (a Array, err error) {
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
	return describeArray(ctx, arr)
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
