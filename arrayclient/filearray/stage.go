package filearray

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/lockorder"
	"copyservices/arrayclient/filearray/segments"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient/fault"
)

// A write to a track that must be saved first would have to wait for two
// syncs. Instead it is staged: appended to the volume's stage file
// (stagefile.go), from which it is destaged in the background together with
// others (destage.go). Until then the volume's own files keep what they had,
// so that targets go on reading the image there, and reads of the volume find
// the staged bytes here.

// staging are the measures of the stages of an array.
type staging struct {
	areas int   // of a file that is made, 2 to maxAreas
	area  int64 // bytes of each, with the header
	// longest is the length of the longest write that is staged. Longer ones
	// share the cost of the syncs among many tracks anyway.
	longest int
	// after is how long writes stay when there is room; less than 0: until
	// there is none, the background does nothing.
	after time.Duration
}

var defaultStaging = staging{
	areas: maxAreas, area: 4 << 20, longest: 1 << 20, after: 200 * time.Millisecond,
}

// maxAreas is how many areas a stage file has at most.
const maxAreas = 16

// destageAgainAfter is how long the background waits after an error, and
// stageAgainAfter how long writes go without a stage that could not be made.
const (
	destageAgainAfter = time.Second
	stageAgainAfter   = time.Second
)

type stage struct {
	pending atomic.Int64 // tracks with staged bytes

	// recycling is held for reading while staged bytes are being read, and
	// for writing while an area is emptied.
	recycling lockorder.RWMutex[recyclingRank]

	mu   lockorder.Mutex[stageRank] // guards all that follows
	file *segments.File             // nil before the first write that is staged
	// refused is why the file could not be made, nil when that was not tried or
	// worked; it is tried again after retry.
	refused error
	retry   time.Time
	// noted is the stamp that the opening found taken down.
	noted uint64
	// announced says that the journal has it that the file must be there.
	announced bool
	size      int64 // of an area, in bytes
	areas     []area
	active    int // the area that takes writes
	heldBack  int // how many want it to stay almost empty
	closed    int // how many want it to stay empty
	tracks    map[int64][]fragment
	past      []bitmap.Range // of writes that are not staged
	buf       []byte

	start      func() // starts the goroutine that destages; see destage.go
	background bool   // it does so without being asked

	running  bool          // it is there
	wanted   uint64        // areas up to this generation are to be empty
	nudge    chan struct{} // that it was raised
	failures int           // of destaging, so far
	failed   error         // the last of them
	// changed is told when an area was emptied, a limit was lifted, or destaging came
	// to an end, good or bad.
	changed sync.Cond
}

// areaState is how far an area is. Only the goroutine that destages goes beyond
// areaSealed.
//
//	empty → open → sealed → saved → marked → applied → empty, of a new generation
//
// After an error an area is taken again from where sealed ones begin: what is saved
// and marked already costs nothing then.
type areaState int

const (
	areaEmpty   areaState = iota
	areaOpen              // has records, and takes more while it is the active one
	areaSealed            // takes no more
	areaSaved             // the targets have what its tracks were
	areaMarked            // and that is durable
	areaApplied           // all of it is in the volume's files
)

// area is a part of the file. Its offsets are relative to its begin. Areas
// with records are older than those without, and older than one another by
// their generations.
type area struct {
	gen, salt uint64
	state     areaState
	end       int64 // behind the last record
	durable   int64 // behind the last record that was synced
	promised  bool  // a flush counts on what is in it
	// unsynced says that its header is not durable: what is in it by an older
	// header must not be written over.
	unsynced bool
	tracks   []int64
}

// used reports whether the area has to be emptied before it takes writes.
func (a *area) used() bool { return a.state != areaEmpty }

// outcome is what put did with a write.
type outcome int

const (
	notStaged     outcome = iota // it goes to the volume, which has no stage to pass
	pastStage                    // it goes past the stage, and passed is to be called after it
	staged                       // it is done
	markAfter                    // it is done when markWritten has been called
	stageFull                    // try again when there is room
	stageBefore                  // try again when what it overlaps has been destaged
	saveBefore                   // try again when saveAhead has been called
	targetBefore                 // try again when readyTarget has been called
	partnerBefore                // try again when makeWay has been called
)

// put stages a write to v if it needs to be. The gate is held.
func (v *volume) put(p []byte, off int64) (outcome, error) {
	s := &v.stage
	first, n := off/trackSize, bitmap.Tracks(off%trackSize+int64(len(p)))
	if len(v.sources) == 0 && s.pending.Load() == 0 {
		return notStaged, nil
	}
	if err := v.data.Err(); err != nil {
		return notStaged, err
	}
	needed := v.needsSaving(first, n)
	s.mu.Lock()
	defer s.mu.Unlock()
	overlaps := s.overlaps(first, n)
	if !needed && !overlaps {
		return s.letPast(first, n), nil
	}
	if err := v.array.committer.err(); err != nil {
		return notStaged, err // it could never be destaged
	}
	if len(p) <= v.array.staging.longest && !s.passing(first, n) && v.stageReady() &&
		recordLength(len(p)) <= s.size-stageStart {
		if !s.room(len(p)) {
			return stageFull, nil
		}
		if v.stageAppend(p, off) == nil {
			s.destageSoon()
			return staged, nil
		}
	}
	if overlaps {
		return stageBefore, nil
	}
	return saveBefore, nil
}

// putZeros is put for what is not staged in any case. The tracks are saved.
func (v *volume) putZeros(off, n int64) outcome {
	s := &v.stage
	first, n := off/trackSize, bitmap.Tracks(off%trackSize+n)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overlaps(first, n) {
		return stageBefore
	}
	return s.letPast(first, n)
}

// passed notes that a write is done that went past the stage.
func (v *volume) passed(off, n int64) {
	s := &v.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.past, bitmap.RangeAt(off, n))
	s.past = slices.Delete(s.past, i, i+1)
}

// recordLength is how many bytes a staged write of n bytes takes at most.
func recordLength(n int) int64 { return int64(disk.RecordHeaderSize + 8 + n + 7) }

// stageAppend writes a record. After an error the next one goes to the same
// place.
func (v *volume) stageAppend(p []byte, off int64) error {
	s := &v.stage
	a := &s.areas[s.active]
	var where [8]byte
	binary.LittleEndian.PutUint64(where[:], uint64(off))
	s.buf = disk.AppendRecord(s.buf[:0], a.salt, a.durable, disk.RecStaged, where[:], p)
	begin := s.offset(s.active)
	if err := s.file.Write(s.buf, begin+a.end); err != nil {
		return err
	}
	s.index(s.active, off, begin+a.end+disk.RecordHeaderSize+8, int64(len(p)))
	a.state = areaOpen
	a.end += int64(len(s.buf))
	return nil
}

// syncStaged makes durable what is in the stage, that emptied areas are empty,
// and that the file is there. When a sync fails the volume is failed: nothing is
// known about what is on the disk. Any other error leaves the rest to do for the
// next call.
func (v *volume) syncStaged() error {
	s := &v.stage
	var before [maxAreas]struct {
		gen uint64
		end int64
	}
	s.mu.Lock()
	file, announced := s.file, s.announced
	for i := range s.areas {
		before[i].gen, before[i].end = s.areas[i].gen, s.areas[i].end
	}
	s.mu.Unlock()
	if file == nil {
		return nil
	}
	if err := file.Sync(); err != nil {
		v.data.Fail(err)
		return err
	}
	if !announced {
		if err := v.announceStage(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.announced = true
	for i := range s.areas {
		if a := &s.areas[i]; a.gen == before[i].gen {
			a.durable = max(a.durable, before[i].end)
			a.unsynced = false
		}
	}
	return nil
}

// announceStage makes it durable that the stage file is there, so that it is
// missed when it is not.
func (v *volume) announceStage() error {
	if err := v.array.fsys.SyncDir(disk.StageDir); err != nil {
		if !errors.Is(err, disk.ErrUntried) {
			v.data.Fail(err)
		}
		return err
	}
	changes := []disk.StageChange{{ID: v.id, Staged: true}}
	return v.array.commitRecord(disk.JSONRecord(disk.RecStageChanged, changes), nil)
}

// stageDirty reports whether the stage has something to sync.
func (v *volume) stageDirty() bool {
	v.stage.mu.Lock()
	defer v.stage.mu.Unlock()
	return v.stage.file != nil && v.stage.file.Dirty()
}

// syncAll makes the writes that returned before it durable, staged or not. It
// takes no gate.
func (v *volume) syncAll() error {
	v.files.RLock()
	defer v.files.RUnlock()
	v.stage.promise()
	// Also what has nothing to do is called: another one's sync may be under way.
	if !v.stageDirty() || !v.data.IsExposed() {
		return errors.Join(v.syncStaged(), v.data.Flush())
	}
	done := make(chan error, 1)
	go func() { done <- v.syncStaged() }()
	err := v.data.Flush()
	return errors.Join(err, <-done)
}

// errNotDestaged is a host's or a task's error when staged writes must go to
// the volume first and cannot.
func (v *volume) errNotDestaged(cause error) error {
	return fault.New(fault.Server, "volume %s: staged writes cannot be brought to it: %w",
		v.serial, cause)
}

// overlapsStaged is overlaps for a range of bytes, for who does not hold mu.
func (v *volume) overlapsStaged(off, n int64) bool {
	s := &v.stage
	if s.pending.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overlaps(off/trackSize, bitmap.Tracks(off%trackSize+n))
}

// readStaged reads what hosts see of a volume that is no target. The gate is
// held.
func (v *volume) readStaged(p []byte, off int64) error {
	s := &v.stage
	if s.pending.Load() == 0 {
		return v.data.ReadAt(p, off)
	}
	s.recycling.RLock()
	defer s.recycling.RUnlock()
	// Which bytes are staged must be known before the rest is read: what is
	// destaged meanwhile is then read twice, not missed.
	var few [8]fragment
	list := s.fragments(few[:0], off, int64(len(p)))
	if err := v.data.ReadAt(p, off); err != nil {
		return err
	}
	for _, f := range list {
		from, to := max(f.off, off), min(f.off+int64(f.n), off+int64(len(p)))
		if from >= to {
			continue
		}
		if _, err := s.file.ReadAt(p[from-off:to-off], f.at+from-f.off); err != nil {
			return fmt.Errorf("the staged writes cannot be read: %w", err)
		}
	}
	return nil
}

// stagedBeyond returns how many tracks have staged bytes that are not set in b.
func (v *volume) stagedBeyond(b *bitmap.Bitmap) (n int64) {
	v.stage.mu.Lock()
	defer v.stage.mu.Unlock()
	for t := range v.stage.tracks {
		if !b.IsSet(t) {
			n++
		}
	}
	return n
}
