package arrayclient_test

import (
	"context"
	"slices"
	"testing"

	"copyservices/arrayclient"
)

// plain has no optional act.
type plain struct{ arrayclient.Array }

// copier has one.
type copier struct {
	arrayclient.Array
	name string
}

func (copier) BackgroundCopy(context.Context, []arrayclient.Pair) error { return nil }

// front is in front of another array.
type front struct {
	arrayclient.Array
	inner arrayclient.Array
}

func (f front) Unwrap() arrayclient.Array { return f.inner }

// frontCopier changes an act of the one behind it.
type frontCopier struct {
	front
	name string
}

func (frontCopier) BackgroundCopy(context.Context, []arrayclient.Pair) error { return nil }

func TestAs(t *testing.T) {
	inner := copier{name: "inner"}
	for name, c := range map[string]struct {
		array arrayclient.Array
		want  arrayclient.BackgroundCopier
	}{
		"without":      {plain{}, nil},
		"itself":       {inner, inner},
		"behind two":   {front{inner: front{inner: inner}}, inner},
		"none behind":  {front{inner: plain{}}, nil},
		"the first":    {frontCopier{front{inner: inner}, "outer"}, frontCopier{front{inner: inner}, "outer"}},
		"wraps nobody": {front{}, nil},
	} {
		got, ok := arrayclient.As[arrayclient.BackgroundCopier](c.array)
		if ok != (c.want != nil) || got != c.want {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
		want := []string{}
		if c.want != nil {
			want = []string{"background-copy"}
		}
		if got := arrayclient.Features(c.array); !slices.Equal(got, want) {
			t.Errorf("%s: features %v, want %v", name, got, want)
		}
	}
	if _, ok := arrayclient.As[arrayclient.Expander](front{inner: inner}); ok {
		t.Error("an act that nobody has was found")
	}
}
