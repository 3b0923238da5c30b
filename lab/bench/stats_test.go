package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1}, 5},
		{[]float64{5, 100, 1}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		before := slices.Clone(c.values)
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("median changed %v to %v", before, c.values)
		}
	}
}

func TestSpanAndRatios(t *testing.T) {
	// The median of the ratios is not the ratio of the medians: 6/4.
	got := spanOf(ratios([]float64{2, 6, 9}, []float64{4, 2, 9}))
	if want := (span{1, 0.5, 3}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// recorder makes subjects that note when they were asked and answer 10, 20, ...
type recorder struct{ calls []string }

func (r *recorder) subject(name string) subject {
	n := 0.0
	return subject{name: name, measure: func(context.Context) (float64, error) {
		r.calls = append(r.calls, name)
		n += 10
		return n, nil
	}}
}

func TestInterleave(t *testing.T) {
	var r recorder
	gone := subject{name: "gone", missing: "not measured: gone"}
	got, err := interleave(t.Context(), 2, 3, []subject{r.subject("A"), gone, r.subject("B")})
	if err != nil {
		t.Fatal(err)
	}
	if calls := strings.Join(r.calls, ""); calls != "ABABABABABAB" {
		t.Errorf("the subjects were asked in the order %s", calls)
	}
	for i, name := range []string{"A", "gone", "B"} {
		if got[i].name != name {
			t.Errorf("series %d is of %s, want %s", i, got[i].name, name)
		}
	}
	if want := []float64{20, 50}; !slices.Equal(got[0].values, want) {
		t.Errorf("rounds of A: %v, want their medians %v", got[0].values, want)
	}
	if len(got[1].values) != 0 || got[1].missing != gone.missing {
		t.Errorf("the missing one has %+v", got[1])
	}
}

func TestInterleaveFails(t *testing.T) {
	var r recorder
	broken := errors.New("broken")
	bad := subject{name: "bad", measure: func(context.Context) (float64, error) { return 0, broken }}
	_, err := interleave(t.Context(), 5, 1, []subject{r.subject("A"), bad})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "bad: ") {
		t.Errorf("the error is %v", err)
	}
	if len(r.calls) != 1 {
		t.Errorf("measuring went on after a failure: %v", r.calls)
	}
}

func TestPercentile(t *testing.T) {
	next := 0.0
	count := func() (float64, error) { next++; return next, nil }
	for calls, want := range map[int]float64{1: 1, 10: 10, 100: 99} {
		next = 0
		if got, err := percentile(99, calls, count); err != nil || got != want {
			t.Errorf("99th of %d: %v, %v, want %v", calls, got, err, want)
		}
	}
	broken := errors.New("broken")
	_, err := percentile(99, 3, func() (float64, error) { return 0, broken })
	if !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}
