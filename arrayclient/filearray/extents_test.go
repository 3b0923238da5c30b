package filearray

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/filearray/disk"
)

// hookFS calls hook before a search for data in the files of one volume.
type hookFS struct {
	*crashFS
	volume string
	hook   atomic.Pointer[func()]
}

type hookFile struct {
	disk.File
	fs *hookFS
}

func (h *hookFS) Open(name string) (disk.File, error) {
	f, err := h.crashFS.Open(name)
	if err == nil && strings.HasPrefix(name, disk.VolumeDir+"/"+h.volume) {
		f = &hookFile{f, h}
	}
	return f, err
}

func (f *hookFile) NextData(off, end int64) (int64, int64, error) {
	if hook := f.fs.hook.Swap(nil); hook != nil {
		(*hook)()
	}
	return f.File.NextData(off, end)
}

// TestExtentsOfImage: what becomes a hole in the source while the extents of
// the target are read is none in the target.
func TestExtentsOfImage(t *testing.T) {
	fsys := &hookFS{crashFS: newCrashFS(), volume: "000"}
	a := createTestArray(t, fsys)
	defer a.Close()
	v := mustCreate(t, a, 1<<20, 2)
	writeOnes(t, a, v[0], 1)
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	err := a.Establish(context.Background(), pairs, arrayclient.Options{NoCopy: true})
	if err != nil {
		t.Fatal(err)
	}
	source, target := mustOpen(t, a, v[0]), mustOpen(t, a, v[1])
	punch := func() {
		if err := source.Zero(0, 8*trackSize, true); err != nil {
			t.Error(err)
		}
	}
	fsys.hook.Store(&punch)
	var sum int64
	err = target.Extents(0, 1<<20, func(n int64, hole bool) bool {
		if hole {
			t.Errorf("%d bytes at %d are reported a hole", n, sum)
		}
		sum += n
		return true
	})
	if err != nil || sum != 1<<20 {
		t.Fatalf("the extents end at %d: %v", sum, err)
	}
}
