package writelog

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/segments"
)

// fakeVolume is a volume in memory without targets: there is nothing to save.
type fakeVolume struct {
	mu        sync.Mutex
	content   []byte
	announced atomic.Bool
	source    atomic.Bool
	saving    chan struct{} // unless nil, saving waits for it to be closed
}

func (v *fakeVolume) Size() int64  { return int64(len(v.content)) }
func (v *fakeVolume) Err() error   { return nil }
func (v *fakeVolume) Stuck() error { return nil }
func (v *fakeVolume) Fail(error)   {}
func (v *fakeVolume) Sync() error  { return nil }
func (v *fakeVolume) Expose()      {}

func (v *fakeVolume) Save([]int64) (func() error, error) {
	if v.saving != nil {
		<-v.saving
	}
	return func() error { return nil }, nil
}

func (v *fakeVolume) Apply(
	tracks []int64, bring func(int64, func([]byte, int64) error) error,
) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range tracks {
		err := bring(t, func(p []byte, off int64) error {
			copy(v.content[off:], p)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *fakeVolume) Announced() bool { return v.announced.Load() }

func (v *fakeVolume) Announce() error {
	v.announced.Store(true)
	return nil
}

func (v *fakeVolume) IfUnused(f func() error) error {
	if v.source.Load() {
		return nil
	}
	return f()
}

// shortFS is a file system on a disk that is full while full is set.
type shortFS struct {
	disk.FS
	full atomic.Bool
}

type shortFile struct {
	disk.File
	fsys *shortFS
}

func (f *shortFS) wrap(file disk.File, err error) (disk.File, error) {
	if err != nil {
		return nil, err
	}
	return shortFile{file, f}, nil
}

func (f *shortFS) Open(name string) (disk.File, error)   { return f.wrap(f.FS.Open(name)) }
func (f *shortFS) Create(name string) (disk.File, error) { return f.wrap(f.FS.Create(name)) }

func (f shortFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fsys.full.Load() {
		return 0, disk.FullError(syscall.ENOSPC)
	}
	return f.File.WriteAt(p, off)
}

// world is a log in a folder.
type world struct {
	*Log
	t      *testing.T
	volume *fakeVolume
	fsys   *shortFS
}

// fourAreas have room for one write of 8 KiB each.
var fourAreas = Measures{Areas: 4, Area: areaStart + 8400, Longest: 8 << 10, After: -1}

func newWorld(t *testing.T, m Measures) *world {
	t.Helper()
	fsys, err := disk.OS(t.TempDir())
	if err == nil {
		err = fsys.Mkdir(disk.StageDir)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, fsys: &shortFS{FS: fsys}, volume: &fakeVolume{content: make([]byte, 4<<20)}}
	w.volume.source.Store(true)
	w.begin(m)
	return w
}

// begin has another process begin, which finds what the one before left.
func (w *world) begin(m Measures) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	w.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	w.Log = New(Config{
		Name: "vol", Array: "12345", UID: 1, FS: w.fsys, Measures: m, Context: ctx, Go: running.Go,
		Folder: segments.NewFolder(w.fsys, "12345", func(disk.Record) {}),
		Logger: slog.New(slog.DiscardHandler),
	}, w.volume)
	if err := w.Open(map[string]bool{w.name(): w.volume.announced.Load()}); err != nil {
		w.t.Fatal(err)
	}
}

// put logs 8 KiB of a byte at a track and returns what became of that.
func (w *world) put(track int64, b byte) Result {
	w.t.Helper()
	how, err := w.Put(bytes.Repeat([]byte{b}, 8<<10), track*trackSize, true)
	if err != nil {
		w.t.Fatal(err)
	}
	return how
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// want checks what hosts see at a track.
func (w *world) want(track int64, b byte) {
	w.t.Helper()
	p, off := make([]byte, 8<<10), track*trackSize
	w.must(w.Read(p, off, func() error {
		w.volume.mu.Lock()
		defer w.volume.mu.Unlock()
		copy(p, w.volume.content[off:])
		return nil
	}))
	if p[0] != b || p[len(p)-1] != b {
		w.t.Fatalf("track %d has %d and %d, not %d", track, p[0], p[len(p)-1], b)
	}
}

func (w *world) used() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.areas.inUse()
}

func (w *world) hasRoom() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.room(512)
}
