package main

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// span is the median of some values with the least and the greatest of them.
type span struct{ median, low, high float64 }

// spanOf wants at least one value.
func spanOf(values []float64) span {
	return span{median(values), slices.Min(values), slices.Max(values)}
}

// median wants at least one value; of an even number it is the mean of the two
// in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// ratios divides round by round: what slows down a whole round cancels out.
func ratios(numerator, denominator []float64) []float64 {
	out := make([]float64, min(len(numerator), len(denominator)))
	for i := range out {
		out[i] = numerator[i] / denominator[i]
	}
	return out
}

// subject is one of those that do the same work in turns.
type subject struct {
	name    string
	missing string // why it cannot be measured; empty when it can
	// measure does the work once and returns its figure.
	measure func(context.Context) (float64, error)
}

// series is what a subject's rounds gave; no values when it is missing.
type series struct {
	name    string
	missing string
	values  []float64
}

func (s series) span() span { return spanOf(s.values) }

// interleave lets the subjects take turns, for a number of rounds. A subject
// is asked repeats times in a round, in turns with the others as well, and the
// median is its figure of the round.
func interleave(ctx context.Context, rounds, repeats int, subjects []subject) ([]series, error) {
	out := make([]series, len(subjects))
	for i, s := range subjects {
		out[i] = series{name: s.name, missing: s.missing}
	}
	for range rounds {
		figures, err := oneRound(ctx, repeats, subjects)
		if err != nil {
			return nil, err
		}
		for i, f := range figures {
			if len(f) > 0 {
				out[i].values = append(out[i].values, median(f))
			}
		}
	}
	return out, nil
}

func oneRound(ctx context.Context, repeats int, subjects []subject) ([][]float64, error) {
	figures := make([][]float64, len(subjects))
	for range repeats {
		for i, s := range subjects {
			if s.missing != "" {
				continue
			}
			f, err := s.measure(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			figures[i] = append(figures[i], f)
		}
	}
	return figures, nil
}

// percentile calls f so many times and returns the p-th percentile of what it
// returned: the least value that p in a hundred do not exceed.
func percentile(p float64, calls int, f func() (float64, error)) (float64, error) {
	values := make([]float64, calls)
	for i := range values {
		var err error
		if values[i], err = f(); err != nil {
			return 0, err
		}
	}
	slices.Sort(values)
	return values[int(math.Ceil(p/100*float64(calls)))-1], nil
}
