package filearray

import (
	"slices"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/arraytest"
	"copyservices/arrayclient/filearray/disk"
)

func TestConformance(t *testing.T) {
	arraytest.Run(t, arraytest.Harness{
		Open:    func(t *testing.T) arraytest.Subject { return reopenable(t) },
		MinSize: MinVolume, MaxSize: MaxVolume, Grain: sizeMultiple,
	})
}

// reopenable is an array that a restart finds in its folder.
func reopenable(t *testing.T) arraytest.Subject {
	t.Helper()
	fsys, err := disk.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := createTestArray(t, fsys)
	shut := func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if problems := Check(fsys); problems != nil {
			t.Error(problems)
		}
	}
	t.Cleanup(func() { shut() })
	return arraytest.Subject{Array: a, Reopen: func() arrayclient.Array {
		shut()
		if a, err = Open(fsys, OpenOptions{}); err != nil {
			t.Fatal(err)
		}
		return a
	}}
}

// TestFeatures: the conformance suite skips what an array does not have.
func TestFeatures(t *testing.T) {
	got := arrayclient.Features(&Array{})
	want := []string{
		"background-copy", "resync", "reverse", "freeze", "record", "copy-rate", "expand",
		"label", "content",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the features are %v, want %v", got, want)
	}
}
