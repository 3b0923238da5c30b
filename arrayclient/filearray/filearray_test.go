package filearray

import (
	"slices"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/arraytest"
)

func TestConformance(t *testing.T) {
	arraytest.Run(t, func(t *testing.T) arrayclient.Array { return realArray(t) })
}

// TestFeatures: the conformance suite skips what an array does not have.
func TestFeatures(t *testing.T) {
	got := arrayclient.Features(&Array{})
	want := []string{
		"background-copy", "resync", "reverse", "freeze", "record", "copy-rate", "expand",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the features are %v, want %v", got, want)
	}
}
