package segments

import (
	"syscall"
	"testing"

	"copyservices/arrayclient/filearray/disk"
)

// brokenFile fails to sync once.
type brokenFile struct {
	disk.File
	syncs int
}

func (f *brokenFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

func (f *brokenFile) Sync() error {
	if f.syncs++; f.syncs == 1 {
		return syscall.EIO
	}
	return nil
}

// TestSyncFailsForAll: when a sync fails it fails for whoever waited for it,
// too.
func TestSyncFailsForAll(t *testing.T) {
	f := NewFolder(nil, "13698", nil).NewLogFile(&brokenFile{}, 0, 1)
	if err := f.Write([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if f.Sync() == nil {
			t.Fatal("a sync that failed succeeds for the next one")
		}
	}
}
