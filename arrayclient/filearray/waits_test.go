package filearray

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copyservices/arrayclient/filearray/bitmap"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

// stallFS lets one call wait: the first op on a file whose name begins with
// prefix, once it is armed.
type stallFS struct {
	*crashFS
	clones     bool // files can share blocks
	mu         sync.Mutex
	op, prefix string
	begun      chan struct{}
	release    chan struct{}
}

func (s *stallFS) arm(op, prefix string) (begun chan struct{}, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.op, s.prefix = op, prefix
	s.begun, s.release = make(chan struct{}), make(chan struct{})
	return s.begun, sync.OnceFunc(func() { close(s.release) })
}

func (s *stallFS) call(op, name string) {
	s.mu.Lock()
	if op != s.op || !strings.HasPrefix(name, s.prefix) {
		s.mu.Unlock()
		return
	}
	s.op = ""
	release := s.release
	close(s.begun)
	s.mu.Unlock()
	<-release
}

type stallFile struct {
	disk.File
	fs   *stallFS
	name string
}

func (s *stallFS) Open(name string) (disk.File, error) {
	f, err := s.crashFS.Open(name)
	return &stallFile{f, s, name}, err
}

func (s *stallFS) Create(name string) (disk.File, error) {
	s.call("create", name)
	f, err := s.crashFS.Create(name)
	return &stallFile{f, s, name}, err
}

func (s *stallFS) Remove(name string) error {
	s.call("remove", name)
	return s.crashFS.Remove(name)
}

func (f *stallFile) Sync() error {
	f.fs.call("sync", f.name)
	return f.File.Sync()
}

func (f *stallFile) Clone(src disk.File, off, n int64) error {
	if !f.fs.clones {
		return errors.ErrUnsupported
	}
	return f.File.Clone(src.(*stallFile).File, off, n)
}

// TestNothingWaits: while one act or request waits for the disk, hosts read and
// write the same volumes, others are listed, attached and related.
func TestNothingWaits(t *testing.T) {
	pair := func(v []arrayclient.Serial, s, t int) []arrayclient.Pair {
		return []arrayclient.Pair{{Source: v[s], Target: v[t]}}
	}
	nocopy := arrayclient.Options{NoCopy: true}
	for _, c := range []struct {
		name, op, prefix string
		do               func(a *Array, v []arrayclient.Serial) error
	}{
		{"establish syncs a source", "sync", disk.VolumeDir + "/004", func(a *Array, v []arrayclient.Serial) error {
			writeOnes(t, a, v[4], 2)
			return a.Establish(context.Background(), pair(v, 4, 5), nocopy)
		}},
		{"resync syncs a source", "sync", disk.VolumeDir + "/006", func(a *Array, v []arrayclient.Serial) error {
			writeOnes(t, a, v[6], 2)
			return a.Resync(context.Background(), pair(v, 6, 7))
		}},
		{"trim syncs a target", "sync", disk.VolumeDir + "/001", func(a *Array, v []arrayclient.Serial) error {
			return volumeOf(t, a, v[0]).Zero(0, 1<<20, true)
		}},
		{"a long write syncs a target", "sync", disk.VolumeDir + "/001", func(a *Array, v []arrayclient.Serial) error {
			_, err := volumeOf(t, a, v[0]).WriteAt(make([]byte, 2<<20-trackSize), 0)
			return err
		}},
		{"trim of a target syncs it", "sync", disk.VolumeDir + "/001", func(a *Array, v []arrayclient.Serial) error {
			return volumeOf(t, a, v[1]).Zero(0, 1<<20, true)
		}},
		{"a flush", "sync", disk.VolumeDir + "/003", func(a *Array, v []arrayclient.Serial) error {
			writeOnes(t, a, v[3], 2)
			return volumeOf(t, a, v[3]).Flush()
		}},
		{"files are made", "create", disk.VolumeDir + "/00B", func(a *Array, v []arrayclient.Serial) error {
			_, err := a.CreateVolumes(context.Background(), arrayclient.VolumeSpec{Size: 1 << 20, Count: 2})
			return err
		}},
		{"a file is removed", "remove", disk.VolumeDir + "/008", func(a *Array, v []arrayclient.Serial) error {
			return a.DeleteVolume(context.Background(), v[8])
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := &stallFS{crashFS: newCrashFS()}
			fsys.noClone = true
			a := createTestArray(t, fsys)
			v := mustCreate(t, a, 2<<20, 11)
			writeOnes(t, a, v[0], 1)
			if err := a.Establish(t.Context(), pair(v, 0, 1), nocopy); err != nil {
				t.Fatal(err)
			}
			if err := a.Establish(t.Context(), pair(v, 6, 7), arrayclient.Options{Record: true}); err != nil {
				t.Fatal(err)
			}
			waitComplete(t, a, v[7])
			begun, release := fsys.arm(c.op, c.prefix)
			defer release()
			done := make(chan error, 1)
			go func() { done <- c.do(a, v) }()
			select {
			case <-begun:
			case err := <-done:
				t.Fatalf("it does not come to the %s: %v", c.op, err)
			}
			goesOn(t, a, v)
			release()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if problems := Check(fsys); problems != nil {
				t.Error(problems)
			}
		})
	}
}

// goesOn does what may wait for nothing but the disk: to the source v[0], of
// which v[1] is a target, and to others.
func goesOn(t *testing.T, a *Array, v []arrayclient.Serial) {
	t.Helper()
	ctx := context.Background()
	const last = 2<<20 - 4096
	withdrawn := func(pairs []arrayclient.Pair, opts arrayclient.Options) error {
		if err := a.Establish(ctx, pairs, opts); err != nil {
			return err
		}
		if opts.Freeze {
			if err := a.ConsistencyCreated(ctx, pairs); err != nil {
				return err
			}
		}
		_, err := a.Withdraw(ctx, pairs)
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"list volumes", func() error { _, err := a.Volumes(ctx); return err }},
		{"list relationships", func() error { _, err := a.Relationships(ctx); return err }},
		{"facts", func() error { _, err := a.Properties(ctx); return err }},
		{"attach", func() error { return a.attach(v[0]) }},
		{"attach another", func() error { return a.attach(v[9]) }},
		{"establish", func() error {
			p := []arrayclient.Pair{{Source: v[0], Target: v[2]}}
			return withdrawn(p, arrayclient.Options{NoCopy: true})
		}},
		{"write", func() error { _, err := volumeOf(t, a, v[0]).WriteAt(make([]byte, 4096), last); return err }},
		{"read", func() error { _, err := volumeOf(t, a, v[0]).ReadAt(make([]byte, 4096), 0); return err }},
		{"read the target", func() error { _, err := volumeOf(t, a, v[1]).ReadAt(make([]byte, 4096), 0); return err }},
		{"establish others", func() error {
			p := []arrayclient.Pair{{Source: v[9], Target: v[10]}}
			return withdrawn(p, arrayclient.Options{NoCopy: true, Freeze: true})
		}},
		{"create", func() error {
			_, err := a.CreateVolumes(ctx, arrayclient.VolumeSpec{Size: 1 << 20, First: "100"})
			return err
		}},
		{"delete", func() error { return a.DeleteVolume(ctx, arrayclient.MakeSerial(0x100, a.serial)) }},
	} {
		done := make(chan error, 1)
		go func() { done <- step.do() }()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s waits", step.name)
		}
	}
}

func (a *Array) attach(s arrayclient.Serial) error {
	v, err := a.OpenVolume(context.Background(), s)
	if err != nil {
		return err
	}
	v.Size()
	return v.Close()
}

// TestExtentsCallBack: the function that is told extents may read the volume,
// also when an establish waits for the gate meanwhile.
func TestExtentsCallBack(t *testing.T) {
	_, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
	vol := volumeOf(t, a, v[0])
	established := make(chan error, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- vol.Extents(0, vol.Size(), func(int64, bool) bool {
			go func() {
				p := []arrayclient.Pair{{Source: v[0], Target: v[2]}}
				established <- a.Establish(context.Background(), p, arrayclient.Options{NoCopy: true})
			}()
			time.Sleep(50 * time.Millisecond)
			_, err := vol.ReadAt(make([]byte, 512), 0)
			return err == nil
		})
	}()
	for range 2 {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
		case err := <-established:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("they wait for each other")
		}
	}
	a.kill()
}

// slowFS has a disk that takes its time for the volumes' data, and forgets it:
// it knows which tracks there are.
type slowFS struct {
	*crashFS
	mu    sync.Mutex
	files map[string]*bitmap.RangeSet
}

const (
	slowTrack = 25 * time.Microsecond // a read or a write of a track
	slowSync  = 3 * time.Millisecond
)

type slowFile struct {
	disk.File
	data *bitmap.RangeSet
	owed atomic.Int64 // nanoseconds
}

func (s *slowFS) Open(name string) (disk.File, error) {
	f, err := s.crashFS.Open(name)
	if err != nil || !strings.HasPrefix(name, disk.VolumeDir) {
		return f, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[name] == nil {
		s.files[name] = &bitmap.RangeSet{}
	}
	return &slowFile{File: f, data: s.files[name]}, nil
}

var someData = slices.Repeat([]byte{0xa5}, bufferTracks*trackSize)

// takeTime lets n bytes take their time, a millisecond at a time.
func (f *slowFile) takeTime(n int64) {
	const least = int64(time.Millisecond)
	took := int64(slowTrack) * n / trackSize
	if owed := f.owed.Add(took); owed/least > (owed-took)/least {
		time.Sleep(time.Millisecond)
	}
}

func (f *slowFile) ReadAt(p []byte, off int64) (int, error) {
	if data, _ := f.data.Run(off/trackSize, 1); !data {
		return f.File.ReadAt(p, off)
	}
	f.takeTime(int64(len(p)))
	for at := 0; at < len(p); at += copy(p[at:], someData) {
	}
	return len(p), nil
}

func (f *slowFile) WriteAt(p []byte, off int64) (int, error) {
	f.takeTime(int64(len(p)))
	f.data.Add(off/trackSize, bitmap.Tracks(off%trackSize+int64(len(p))))
	return len(p), nil
}

func (f *slowFile) Punch(off, n int64) error {
	f.takeTime(n / 64)
	f.data.Remove(off/trackSize, n/trackSize)
	return nil
}

func (f *slowFile) NextData(off, end int64) (start, stop int64, err error) {
	for start = off; start < end; {
		data, n := f.data.Run(start/trackSize, bitmap.Tracks(end-start)+1)
		stop = min(end, (start/trackSize+n)*trackSize)
		if data {
			return start, stop, nil
		}
		start = stop
	}
	return end, end, nil
}

func (f *slowFile) Sync() error {
	time.Sleep(slowSync)
	return nil
}

func (f *slowFile) Clone(disk.File, int64, int64) error { return errors.ErrUnsupported }

// latencies are how long calls of one kind took.
type latencies struct {
	mu   sync.Mutex
	list []time.Duration
}

// repeat calls f until stop is closed.
func (l *latencies) repeat(t *testing.T, stop <-chan struct{}, f func() error) {
	for {
		begin := time.Now()
		if err := f(); err != nil {
			t.Error(err)
			return
		}
		l.mu.Lock()
		l.list = append(l.list, time.Since(begin))
		l.mu.Unlock()
		select {
		case <-stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// percentile returns the latency that so many of a hundred calls did not exceed.
func (l *latencies) percentile(p int) time.Duration {
	slices.Sort(l.list)
	return l.list[(len(l.list)-1)*p/100]
}

// TestLongTrim: while data is trimmed that a target must get first, and images
// are taken again and again, nobody waits long.
func TestLongTrim(t *testing.T) {
	const size = 2 << 30
	fsys := &slowFS{crashFS: newCrashFS(), files: map[string]*bitmap.RangeSet{}}
	a := createTestArray(t, fsys)
	defer a.kill()
	v := mustCreate(t, a, size, 4)
	fsys.files[disk.SegmentName(a.store.State.Volumes[0], 0)].Add(0, size/trackSize)
	pairs := func(target int) []arrayclient.Pair {
		return []arrayclient.Pair{{Source: v[0], Target: v[target]}}
	}
	nocopy := arrayclient.Options{NoCopy: true}
	if err := a.Establish(t.Context(), pairs(1), nocopy); err != nil {
		t.Fatal(err)
	}
	source, other := mustOpen(t, a, v[0]), mustOpen(t, a, v[3])
	ctx, block := context.Background(), make([]byte, 4096)
	var control latencies // of what waits for nothing but the processor
	calls := []struct {
		name       string
		percentile int
		bar        time.Duration
		do         func() error
		latencies
	}{
		{name: "reads", percentile: 99, bar: 100 * time.Millisecond, do: func() error {
			_, err := source.ReadAt(make([]byte, 4096), 0)
			return err
		}},
		{name: "writes", percentile: 99, bar: 100 * time.Millisecond, do: func() error {
			_, err := source.WriteAt(block, size-8192)
			return err
		}},
		{name: "listing", percentile: 100, bar: 200 * time.Millisecond, do: func() error {
			_, err := a.Volumes(ctx)
			return err
		}},
		{name: "attaching", percentile: 100, bar: 200 * time.Millisecond, do: func() error {
			return a.attach(v[3])
		}},
		{name: "establish and withdraw", percentile: 100, bar: time.Second, do: func() error {
			if err := a.Establish(ctx, pairs(2), nocopy); err != nil {
				return err
			}
			_, err := a.Withdraw(ctx, pairs(2))
			return err
		}},
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		control.repeat(t, stop, func() error {
			_, err := other.ReadAt(make([]byte, 4096), 0)
			return err
		})
	})
	for i := range calls {
		c := &calls[i]
		running.Go(func() { c.repeat(t, stop, c.do) })
	}
	begin := time.Now()
	if err := source.Zero(0, size-1<<20, true); err != nil {
		t.Error(err)
	}
	t.Logf("trimmed in %v", time.Since(begin))
	close(stop)
	running.Wait()
	late := 4 * control.percentile(100)
	for i := range calls {
		c := &calls[i]
		worst := c.latencies.percentile(c.percentile)
		t.Logf("%s: %v, %d calls", c.name, worst, len(c.list))
		if worst > c.bar+late {
			t.Errorf("%s: %d %% took up to %v, more than %v and %v for the processor",
				c.name, c.percentile, worst, c.bar, late)
		}
	}
	if r := relOf(t, a, v[1]); r.OutOfSync > 17 {
		t.Errorf("%d tracks were not saved", r.OutOfSync)
	}
}
