package filearray

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/writelog"

	"copyservices/arrayclient"
)

var crashSeeds = flag.Int("crash-seeds", 1, "what the disk keeps is drawn this often per crash")

// The crash test writes sectors that say who they are, so that after a crash
// each sector can be held against the set of what it may be.
const sectorSize = 512

// oracle knows of every sector of a volume which stamps it may carry. Before
// the first crash that is one stamp per write since the last flush, and the
// one before.
type oracle struct {
	may       [][]uint64 // nil: anything
	acked     []uint64   // of the newest write that returned
	undefined bool
}

func newOracle(size int64) *oracle {
	o := &oracle{may: make([][]uint64, size/sectorSize), acked: make([]uint64, size/sectorSize)}
	for i := range o.may {
		o.may[i] = []uint64{0}
	}
	return o
}

func (o *oracle) clone() *oracle {
	c := &oracle{may: slices.Clone(o.may), acked: slices.Clone(o.acked), undefined: o.undefined}
	return c
}

// wrote adds a stamp that is newest.
func (o *oracle) wrote(first, n int64, stamp uint64) {
	for i := first; i < first+n; i++ {
		o.may[i] = append(slices.Clone(o.may[i]), stamp)
	}
}

// flushed leaves the newest stamps alone.
func (o *oracle) flushed() {
	for i, m := range o.may {
		if len(m) > 1 {
			o.may[i] = m[len(m)-1:]
		}
	}
}

// crashRun is one run of the scripted workload up to a crash.
type crashRun struct {
	t       *testing.T
	fsys    *crashFS
	array   *Array
	serials []arrayclient.Serial
	now     map[arrayclient.Serial]*oracle
	// during, when not nil, is what else a volume may be as a whole, because
	// of the operation that was cut off.
	during map[arrayclient.Serial]*oracle
	pairs  map[arrayclient.Pair]bool // true: must exist
	maybe  map[arrayclient.Pair]bool // may or may not
	// atomic are pairs that were being established together and stay.
	atomic []arrayclient.Pair
	stamp  uint64
	// growing is the volume whose expansion was cut off.
	growing arrayclient.Serial
	// extra is a volume that is created and deleted: must it be there, may it?
	extra                  arrayclient.Serial
	extraMust, extraMayNot bool
}

// crashStaging has areas that are full soon, and destages only when it must,
// so that runs are alike.
var crashStaging = writelog.Measures{Areas: 3, Area: 80 << 10, Longest: 48 << 10, After: -1}

const crashVolume = 1<<20 + 3*sectorSize

// setUp makes the array and its volumes; the crash comes later.
func (r *crashRun) setUp() {
	r.fsys = newCrashFS()
	// Journals are read whole at each of thousands of openings.
	if err := Create(r.fsys, CreateOptions{Serial: "13698", journal: 1 << 20}); err != nil {
		r.t.Fatal(err)
	}
	r.array = openStagingArray(r.t, r.fsys, crashStaging)
	r.array.store.Folder.Stamps.After = 0 // each sync gives stamps
	r.serials = mustCreate(r.t, r.array, crashVolume, 4)
	r.now = map[arrayclient.Serial]*oracle{}
	for _, s := range r.serials {
		r.now[s] = newOracle(crashVolume)
	}
	r.pairs, r.maybe = map[arrayclient.Pair]bool{}, map[arrayclient.Pair]bool{}
}

func stampSectors(n int64, stamp uint64) []byte {
	p := make([]byte, n*sectorSize)
	for at := 0; at < len(p); at += 8 {
		binary.LittleEndian.PutUint64(p[at:], stamp)
	}
	return p
}

// write writes n sectors. A write that is cut off counts: it may be there.
func (r *crashRun) write(vol int, first, n int64) bool {
	s := r.serials[vol]
	r.stamp++
	r.now[s].wrote(first, n, r.stamp)
	v, err := r.array.OpenVolume(context.Background(), s)
	if err != nil {
		return false
	}
	defer v.Close()
	if _, err = v.WriteAt(stampSectors(n, r.stamp), first*sectorSize); err != nil {
		return false
	}
	for i := first; i < first+n; i++ {
		r.now[s].acked[i] = r.stamp
	}
	return true
}

// zero zeroes n sectors, which then carry the stamp 0, as they did at first.
func (r *crashRun) zero(vol int, first, n int64) bool {
	s := r.serials[vol]
	r.now[s].wrote(first, n, 0)
	for i := first; i < first+n; i++ {
		r.now[s].acked[i] = 0
	}
	v, err := r.array.OpenVolume(context.Background(), s)
	if err != nil {
		return false
	}
	defer v.Close()
	return v.Zero(first*sectorSize, n*sectorSize, true) == nil
}

func (r *crashRun) flush(vol int) bool {
	v, err := r.array.OpenVolume(context.Background(), r.serials[vol])
	if err != nil {
		return false
	}
	defer v.Close()
	if v.Flush() != nil {
		return false
	}
	r.now[r.serials[vol]].flushed()
	return true
}

func (r *crashRun) destage(vol int) bool {
	return r.array.volumes[r.serials[vol].VolumeID()].log.Destage() == nil
}

func (r *crashRun) pair(src, tgt int) arrayclient.Pair {
	return arrayclient.Pair{Source: r.serials[src], Target: r.serials[tgt]}
}

func (r *crashRun) establish(opts arrayclient.Options, pairs ...arrayclient.Pair) bool {
	r.during = map[arrayclient.Serial]*oracle{}
	for _, p := range pairs {
		r.during[p.Target] = r.now[p.Source].clone()
		r.maybe[p] = true
	}
	if opts.NoCopy || opts.Persistent {
		r.atomic = pairs
	}
	if r.array.Establish(context.Background(), pairs, opts) != nil {
		return false
	}
	r.during, r.atomic = nil, nil
	for _, p := range pairs {
		r.now[p.Source].flushed() // an image never changes after a crash
		r.now[p.Target] = r.now[p.Source].clone()
		delete(r.maybe, p)
		r.pairs[p] = opts.NoCopy || opts.Persistent
	}
	return true
}

func (r *crashRun) withdraw(src, tgt int) bool {
	p := r.pair(src, tgt)
	must := r.pairs[p]
	delete(r.pairs, p)
	r.maybe[p] = true
	rels, _ := r.array.Relationships(context.Background(), p.Target)
	if len(rels) > 0 && rels[0].OutOfSync > 0 {
		r.now[p.Target].undefined = true
	}
	_, err := r.array.Withdraw(context.Background(), []arrayclient.Pair{p})
	if err == nil {
		delete(r.maybe, p)
	}
	return err == nil || !must
}

// refresh resyncs the pair, or reverses it.
func (r *crashRun) refresh(src, tgt int, reverse bool) bool {
	p, next := r.pair(src, tgt), r.pair(src, tgt)
	what := r.array.Resync
	if reverse {
		what, next = r.array.Reverse, r.pair(tgt, src)
	}
	must := r.pairs[p]
	delete(r.pairs, p)
	r.maybe[p], r.maybe[next] = true, true
	r.during = map[arrayclient.Serial]*oracle{next.Target: r.now[next.Source].clone()}
	if what(context.Background(), []arrayclient.Pair{p}) != nil {
		return false
	}
	r.during = nil
	r.now[next.Source].flushed()
	r.now[next.Target] = r.now[next.Source].clone()
	delete(r.maybe, p)
	delete(r.maybe, next)
	r.pairs[next] = must
	return true
}

// expand makes a volume larger. While it is at it, it may be either size.
func (r *crashRun) expand(vol int, size int64) bool {
	s := r.serials[vol]
	r.growing = s
	if r.array.ExpandVolume(context.Background(), s, size) != nil {
		return false
	}
	r.growing = ""
	for int64(len(r.now[s].may)) < size/sectorSize {
		r.now[s].may = append(r.now[s].may, []uint64{0})
		r.now[s].acked = append(r.now[s].acked, 0)
	}
	return true
}

// create and remove make a volume and delete it.
func (r *crashRun) create() bool {
	r.extra = arrayclient.MakeSerial(4, "13698")
	_, err := r.array.CreateVolumes(context.Background(),
		arrayclient.VolumeSpec{Size: crashVolume, Count: 1, First: "004"})
	r.extraMust = err == nil
	return err == nil
}

func (r *crashRun) remove() bool {
	r.extraMust = false
	err := r.array.DeleteVolume(context.Background(), r.extra)
	r.extraMayNot = err == nil
	return err == nil
}

// endsByItself notes that a relationship may be gone from now on.
func (r *crashRun) endsByItself(p arrayclient.Pair) {
	r.maybe[p] = true
	delete(r.pairs, p)
}

// waitCopied waits until no relationship copies any more.
func (r *crashRun) waitCopied() bool {
	r.array.copies.Wait()
	return r.array.store.Commit(nil, nil, nil) == nil
}

// script is the workload: every kind of change, in an order that has each
// follow the others. It stops where the power goes.
func (r *crashRun) script() {
	nocopy := arrayclient.Options{NoCopy: true}
	const track = trackSize / sectorSize
	steps := []func() bool{
		func() bool { return r.write(0, 0, 3*track+5) },
		func() bool { return r.flush(0) },
		func() bool { return r.write(0, track/2, 4) },
		func() bool { return r.establish(nocopy, r.pair(0, 1), r.pair(0, 2)) },
		func() bool { return r.write(0, 1, 2*track) },
		func() bool { return r.write(1, track+3, 2) },
		func() bool { return r.write(2, 2*track, 2*track) },
		func() bool { return r.flush(2) },
		func() bool { return r.write(0, crashVolume/sectorSize-2, 2) },
		func() bool { return r.flush(0) },
		func() bool { return r.write(0, 6*track, 3) },
		func() bool { return r.destage(0) },
		func() bool { return r.write(0, 6*track+1, 1) },
		func() bool { return r.write(0, 6*track+100, 60) },
		func() bool { return r.write(0, 7*track+100, 60) },
		func() bool { return r.flush(0) },
		func() bool { return r.write(0, 8*track-30, 90) },
		func() bool { return r.write(0, 8*track-10, 20) },
		func() bool { return r.write(0, 10*track, 96) },
		func() bool { return r.destage(0) },
		func() bool { return r.write(0, 8*track-12, 2) },
		func() bool { return r.flush(0) },
		func() bool { return r.write(0, 12*track, 5) },
		func() bool { return r.array.commitCheckpoint() },
		func() bool { return r.write(0, 5*track, 1) },
		func() bool { return r.withdraw(0, 1) },
		func() bool {
			return r.establish(arrayclient.Options{Persistent: true}, r.pair(0, 1), r.pair(0, 3))
		},
		func() bool { return r.write(0, 2*track+1, track) },
		func() bool { return r.write(3, 7, 1) },
		func() bool { return r.waitCopied() },
		func() bool { return r.write(0, 9*track, 3) },
		func() bool { return r.withdraw(0, 3) },
		func() bool { return r.establish(arrayclient.Options{}, r.pair(0, 3)) },
		func() bool { return r.write(0, 0, 1) },
		func() bool { return r.waitCopied() },
		func() bool { return r.write(3, 0, 2) },
		func() bool { return r.withdraw(0, 1) },
		func() bool { return r.withdraw(0, 2) },
		func() bool { return r.establish(arrayclient.Options{Record: true}, r.pair(0, 1)) },
		func() bool { return r.write(0, 4*track+1, 2) },
		func() bool { return r.waitCopied() },
		func() bool { return r.write(0, 11*track, 2) },
		func() bool { return r.write(1, 4*track, 1) },
		func() bool { return r.refresh(0, 1, false) },
		func() bool { return r.write(0, 11*track+5, 1) },
		func() bool { return r.waitCopied() },
		func() bool { return r.write(0, 7*track, 2*track) },
		func() bool { return r.array.commitCheckpoint() },
		func() bool { return r.write(1, 6*track, 1) },
		func() bool { return r.refresh(0, 1, true) },
		func() bool { return r.write(1, 7*track, 1) },
		func() bool { return r.write(0, 7*track+2, 1) },
		func() bool { return r.waitCopied() },
		func() bool { return r.flush(0) },
		func() bool { return r.refresh(1, 0, true) },
		func() bool { return r.withdraw(0, 3) },
		func() bool { return r.create() },
		func() bool { return r.write(0, 3*track+7, 9) },
		func() bool {
			return r.establish(arrayclient.Options{NoCopy: true, Freeze: true}, r.pair(0, 2), r.pair(0, 3))
		},
		func() bool {
			return r.array.ConsistencyCreated(context.Background(),
				[]arrayclient.Pair{r.pair(0, 2), r.pair(0, 3)}) == nil
		},
		func() bool { return r.write(0, 3*track+9, 3) },
		func() bool { return r.array.SetCopyRate(context.Background(), 1<<30) == nil },
		func() bool { return r.array.SetLabel(context.Background(), r.serials[0], "label") == nil },
		func() bool { return r.remove() },
		func() bool {
			r.endsByItself(r.pair(0, 2))
			return r.array.BackgroundCopy(context.Background(), []arrayclient.Pair{r.pair(0, 2)}) == nil
		},
		func() bool { return r.write(0, 3*track+9, 1) },
		func() bool { return r.waitCopied() },
		func() bool { return r.write(2, 3*track+9, 1) },
		func() bool { return r.withdraw(0, 3) },
		func() bool { return r.expand(3, crashVolume+3*trackSize) },
		func() bool { return r.write(3, crashVolume/sectorSize-1, 3) },
		func() bool { return r.flush(3) },
		func() bool { return r.array.Close() == nil },
	}
	r.run(steps)
}

// run takes steps until the power goes.
func (r *crashRun) run(steps []func() bool) {
	for _, step := range steps {
		if !step() {
			return
		}
	}
	r.t.Log("the script came to its end")
}

// verify opens what the disk holds after the crash and checks all of it.
// After a kill, writes that returned are there, flushed or not.
func (r *crashRun) verify(fsys *crashFS, killed bool, what string) {
	r.t.Helper()
	if problems := Check(fsys); problems != nil {
		r.t.Fatalf("%s: check: %v", what, problems)
	}
	a := openStagingArray(r.t, fsys, crashStaging)
	defer a.kill()
	rels, err := a.Relationships(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	found := map[arrayclient.Pair]bool{}
	for _, rel := range rels {
		found[rel.Pair] = true
		if _, known := r.pairs[rel.Pair]; !known && !r.maybe[rel.Pair] {
			r.t.Fatalf("%s: relationship %s came from nowhere", what, rel.Pair)
		}
		if rel.State == arrayclient.StateFailed {
			r.t.Fatalf("%s: relationship %s failed: %s", what, rel.Pair, rel.Reason)
		}
	}
	there := slices.DeleteFunc(slices.Clone(r.atomic), func(p arrayclient.Pair) bool {
		return !found[p]
	})
	if len(there) > 0 && len(there) < len(r.atomic) {
		r.t.Fatalf("%s: of %v there are only %v", what, r.atomic, there)
	}
	for _, p := range there { // the image is there, too, not what was before
		if err := r.during[p.Target].holds(r.read(a, p.Target), killed); err != nil {
			r.t.Fatalf("%s: image of %s: %v", what, p, err)
		}
	}
	r.verifyExtra(a, what)
	for p, must := range r.pairs {
		if must && !found[p] {
			r.t.Fatalf("%s: relationship %s is lost", what, p)
		}
	}
	for _, s := range r.serials {
		r.verifyVolume(a, s, killed, what)
	}
	before := r.readVolumes(a)
	for _, s := range r.serials {
		if err := a.volumes[s.VolumeID()].log.Destage(); err != nil {
			r.t.Fatalf("%s: %s is not destaged: %v", what, s, err)
		}
	}
	for i, p := range r.readVolumes(a) {
		if !bytes.Equal(p, before[i]) {
			r.t.Fatalf("%s: destaging changed volume %s", what, r.serials[i])
		}
	}
}

// verifyExtra looks which volumes there are.
func (r *crashRun) verifyExtra(a *Array, what string) {
	r.t.Helper()
	var found bool
	list, err := a.Volumes(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, v := range list {
		found = found || v.Serial == r.extra
		if v.Serial != r.extra && !slices.Contains(r.serials, v.Serial) {
			r.t.Fatalf("%s: volume %s came from nowhere", what, v.Serial)
		}
	}
	if r.extraMust && !found || r.extraMayNot && found {
		r.t.Fatalf("%s: the volume that is created and deleted is there: %t", what, found)
	}
}

func (r *crashRun) readVolumes(a *Array) (list [][]byte) {
	r.t.Helper()
	for _, s := range r.serials {
		list = append(list, r.read(a, s))
	}
	return list
}

func (r *crashRun) read(a *Array, s arrayclient.Serial) []byte {
	r.t.Helper()
	v, err := a.OpenVolume(context.Background(), s)
	if err != nil {
		r.t.Fatal(err)
	}
	defer v.Close()
	p := make([]byte, v.Size())
	if _, err := v.ReadAt(p, 0); err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *crashRun) verifyVolume(a *Array, s arrayclient.Serial, killed bool, what string) {
	r.t.Helper()
	v, err := a.OpenVolume(context.Background(), s)
	if err != nil {
		r.t.Fatal(err)
	}
	defer v.Close()
	p := make([]byte, v.Size())
	if _, err := v.ReadAt(p, 0); err != nil {
		r.t.Fatalf("%s: %s: %v", what, s, err)
	}
	if n := len(r.now[s].may) * sectorSize; len(p) != n && s != r.growing {
		r.t.Fatalf("%s: %s has %d bytes, not %d", what, s, len(p), n)
	} else if !bytes.Equal(p[n:], disk.Zeros[:len(p)-n]) {
		r.t.Fatalf("%s: what was added to %s does not read as zeros", what, s)
	}
	err = r.now[s].holds(p, killed)
	if other := r.during[s]; err != nil && other != nil {
		err = other.holds(p, killed)
	}
	if err != nil {
		r.t.Fatalf("%s: volume %s: %v", what, s, err)
	}
}

// holds checks content against what it may be.
func (o *oracle) holds(p []byte, killed bool) error {
	if o.undefined {
		return nil
	}
	for i, may := range o.may {
		sector := p[i*sectorSize : (i+1)*sectorSize]
		stamp := binary.LittleEndian.Uint64(sector)
		if !slices.Contains(may, stamp) {
			return fmt.Errorf("sector %d (track %d) has stamp %d, may have %v",
				i, i*sectorSize/trackSize, stamp, may)
		}
		if killed && stamp < o.acked[i] {
			return fmt.Errorf("sector %d (track %d) has stamp %d, although %d was written",
				i, i*sectorSize/trackSize, stamp, o.acked[i])
		}
		for at := 8; at < sectorSize; at += 8 {
			if binary.LittleEndian.Uint64(sector[at:]) != stamp {
				return fmt.Errorf("sector %d is mixed", i)
			}
		}
	}
	return nil
}

// TestCrash loses the power at every change of the disk that the script
// makes, and opens what may be left.
func TestCrash(t *testing.T) { crashEverywhere(t, (*crashRun).script) }

func crashEverywhere(t *testing.T, script func(*crashRun)) {
	rng := newRand(t)
	count := func() int {
		r := &crashRun{t: t}
		r.setUp()
		before := r.fsys.changes
		script(r)
		r.array.kill()
		return r.fsys.changes - before
	}()
	t.Logf("%d changes", count)
	if count < 50 {
		t.Fatalf("the script makes only %d changes", count)
	}
	for k := 1; k <= count; k++ {
		r := &crashRun{t: t}
		r.setUp()
		r.fsys.crashAt = r.fsys.changes + k
		script(r)
		r.array.kill()
		for i := range *crashSeeds {
			seed := rng.Uint64()
			what := fmt.Sprintf("crash at change %d, draw %d, seed %d", k, i, seed)
			r.verify(r.fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))), false, what)
		}
		what := fmt.Sprintf("kill at change %d", k)
		r.verify(r.fsys.afterKill(), true, what)
		seed := rng.Uint64()
		what += fmt.Sprintf(", then crash, seed %d", seed)
		r.verify(r.fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))), false, what)
	}
}

// TestCrashInCreate loses the power at every change that making an array
// makes: the next start makes it, or finds it.
func TestCrashInCreate(t *testing.T) {
	rng := newRand(t)
	opts := CreateOptions{Serial: "13698"}
	whole := newCrashFS()
	if err := Create(whole, opts); err != nil {
		t.Fatal(err)
	}
	for k := 1; k <= whole.changes; k++ {
		for range 3 {
			fsys, seed := newCrashFS(), rng.Uint64()
			fsys.crashAt = k
			if Create(fsys, opts) == nil {
				t.Fatalf("the power at change %d was not needed", k)
			}
			fsys = fsys.afterCrash(rand.New(rand.NewPCG(seed, 1)))
			there, err := Exists(fsys)
			if err == nil && !there {
				err = Create(fsys, opts)
			}
			if err != nil {
				t.Fatalf("crash at change %d, seed %d: %v", k, seed, err)
			}
			a := openTestArray(t, fsys)
			mustCreate(t, a, 1<<20, 1)
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
