package filearray

import (
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/parallel"
	"path"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/writelog"

	"copyservices/arrayclient"
)

// gatherFS lets calls on files begin only when some of the same kind have come
// together: who makes them one after the other is found out.
type gatherFS struct {
	*crashFS
	mu    sync.Mutex
	kinds map[string]*gathering // by op and folder
}

// gathered is how many calls must come together, aloneAfter how long they are waited
// for, and aloneOften how often that may be in vain: the last ones are fewer.
const (
	gathered   = 16
	aloneAfter = time.Second
	aloneOften = 2
)

// gathering are the calls of one kind.
type gathering struct {
	calls, running, most int
	alone                int // times that those who waited were too few
	waiting              int
	begin                chan struct{} // closed when those who wait may begin
}

// call waits for others of its kind and returns what is to be called at its end.
func (g *gatherFS) call(op, name string) (end func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	kind := op + " " + path.Dir(name)
	k := g.kinds[kind]
	if k == nil {
		k = &gathering{begin: make(chan struct{})}
		g.kinds[kind] = k
	}
	k.calls++
	k.running++
	k.most = max(k.most, k.running)
	k.waiting++
	if k.waiting == gathered || k.alone > aloneOften {
		k.release()
	} else {
		g.wait(k)
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		k.running--
	}
}

func (k *gathering) release() {
	close(k.begin)
	k.begin, k.waiting = make(chan struct{}), 0
}

// wait waits until k lets the caller begin. mu is held, but not meanwhile.
func (g *gatherFS) wait(k *gathering) {
	begin := k.begin
	g.mu.Unlock()
	defer g.mu.Lock()
	select {
	case <-begin:
	case <-time.After(aloneAfter):
		g.mu.Lock()
		defer g.mu.Unlock()
		if k.begin == begin {
			k.alone++
			k.release()
		}
	}
}

type gatherFile struct {
	disk.File
	fs   *gatherFS
	name string
}

func (g *gatherFS) Open(name string) (disk.File, error) {
	if path.Dir(name) == "." || name == disk.GenerationName {
		return g.crashFS.Open(name)
	}
	defer g.call("open", name)()
	f, err := g.crashFS.Open(name)
	return &gatherFile{f, g, name}, err
}

func (f *gatherFile) Sync() error {
	if path.Dir(f.name) == disk.VolumeDir {
		defer f.fs.call("sync", f.name)()
	}
	return f.File.Sync()
}

// want holds that there were so many calls of a kind at least, and that they were
// made side by side, but not all at once.
func (g *gatherFS) want(t *testing.T, kind string, least int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	k := g.kinds[kind]
	if k == nil || k.calls < least {
		t.Fatalf("%s: too few calls: %+v", kind, k)
	}
	if k.alone > aloneOften || k.most > parallel.Most {
		t.Errorf("%s: of %d calls up to %d were under way, and %d times fewer than %d",
			kind, k.calls, k.most, k.alone, gathered)
	}
}

// TestManyVolumes: what a killed process leaves of thousands of volumes is opened,
// destaged, synced and closed side by side.
func TestManyVolumes(t *testing.T) {
	const volumes, sources, busy = 2000, 1000, 300
	fsys := newCrashFS()
	small := writelog.Measures{Areas: 2, Area: 80 << 10, Longest: 48 << 10, After: -1}
	a := createStagingArray(t, fsys, small)
	v := mustCreate(t, a, MinVolume, volumes)
	var pairs []arrayclient.Pair
	for i := range sources {
		pairs = append(pairs, arrayclient.Pair{Source: v[i], Target: v[sources+i]})
	}
	if err := a.Establish(t.Context(), pairs, arrayclient.Options{NoCopy: true}); err != nil {
		t.Fatal(err)
	}
	if !a.commitCheckpoint() {
		t.Fatal("no checkpoint")
	}
	for i := range busy {
		vol := mustOpen(t, a, v[i])
		mustWrite(t, vol, 3, 512, 1)
		mustFlush(t, vol)
	}
	a.kill()

	g := &gatherFS{crashFS: fsys.afterKill(), kinds: map[string]*gathering{}}
	a = openStagingArray(t, g, small)
	g.want(t, "open "+disk.VolumeDir, volumes)
	g.want(t, "open "+disk.StageDir, busy)
	g.want(t, "open "+bitmap.Dir, sources)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	g.want(t, "sync "+disk.VolumeDir, volumes)
	if problems := Check(fsys); problems != nil {
		t.Fatal(problems)
	}
}
