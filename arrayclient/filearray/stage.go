package filearray

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"copyservices/arrayclient/fault"
)

// A write to a track that must be saved first would have to wait for two
// syncs. Instead it is staged: appended to the volume's stage file, from which
// it is destaged in the background together with others (destage.go). Until
// then the volume's own files keep what they had, so that targets go on
// reading the image there, and reads of the volume find the staged bytes here.
//
// The file has two areas: one takes writes while the other is destaged. Each
// begins with a header whose length field is the generation of the area,
// followed by records as in a journal, whose payload is the offset in the
// volume and the data. An area is emptied by giving it a new generation, once
// all of it is in the volume's files and synced. What a process that was
// killed, or a machine that crashed, left in the areas is destaged by the next
// one, the older generation first. So a flush need not destage: it syncs the
// stage file and the volume's. It must sync both, since an area that was
// emptied must not come back after a write that went past the stage.
const (
	stageDir   = "stages"
	stageStart = 4096 // of the records in an area
	// destageAgainAfter is how long the background waits after an error.
	destageAgainAfter = time.Second
)

// staging are the measures of all stages of an array.
type staging struct {
	area int64 // bytes of an area of a file that is made, with the header
	// longest is the length of the longest write that is staged. Longer ones
	// share the cost of the syncs among many tracks anyway.
	longest int
	// after is how long writes stay when there is room; less than 0: until
	// there is none, the background does nothing.
	after time.Duration
}

var defaultStaging = staging{area: 16 << 20, longest: 1 << 20, after: 200 * time.Millisecond}

func stageName(id uint16, uid uint64) string {
	return fmt.Sprintf("%s/%03X.%08d", stageDir, id, uid)
}

type stage struct {
	pending atomic.Int64 // tracks with staged bytes

	// destaging is held by the one that destages, without any gate.
	destaging sync.Mutex
	// recycling is held for reading while staged bytes are being read, and
	// for writing while an area is emptied.
	recycling sync.RWMutex

	mu     sync.Mutex // guards all that follows
	file   *segment   // nil before the first write that is staged
	broken bool       // the file cannot be made
	size   int64      // of an area, in bytes
	areas  [2]area
	active int // the area that takes writes
	tracks map[int64][]fragment
	buf    []byte

	scheduled bool          // the background destages
	hurry     chan struct{} // tells it not to wait
}

// area is one half of the file. Its offsets are relative to its begin.
type area struct {
	gen     uint64
	end     int64 // behind the last record
	durable int64 // behind the last record that was synced
	sealed  bool  // takes no more writes
	applied bool  // all of it is in the volume's files
	tracks  []int64
}

func (a *area) used() bool { return a.end > stageStart }

// fragment is the part of a staged write that is in one track.
type fragment struct {
	off  int64 // in the volume
	at   int64 // in the stage file
	n    int32
	area uint8
}

// outcome is what put did with a write.
type outcome int

const (
	notStaged outcome = iota // it goes past the stage
	staged
	stageFull   // try again when an area has been destaged
	stageBefore // try again when what it overlaps has been destaged
)

// put stages a write to v if it needs to be. The gate is held.
func (v *volume) put(p []byte, off int64) (outcome, error) {
	s := &v.stage
	first, n := off/trackSize, tracksOf(off%trackSize+int64(len(p)))
	needed := v.needsSaving(first, n)
	if !needed && s.pending.Load() == 0 {
		return notStaged, nil
	}
	if err := cmp.Or(v.err(), v.array.committer.err()); err != nil {
		return notStaged, err // it could never be destaged
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	overlaps := s.overlaps(first, n)
	if !needed && !overlaps {
		return notStaged, nil
	}
	if len(p) <= v.array.staging.longest && v.stageReady() {
		room, err := v.room(len(p))
		if err == nil && !room {
			return stageFull, nil
		}
		if err == nil && v.stageAppend(p, off) == nil {
			v.scheduleDestage()
			return staged, nil
		}
	}
	if overlaps {
		return stageBefore, nil
	}
	return notStaged, nil
}

// overlaps reports whether any of n tracks has staged bytes.
func (s *stage) overlaps(first, n int64) bool {
	if int64(len(s.tracks)) < n {
		for t := range s.tracks {
			if t >= first && t < first+n {
				return true
			}
		}
		return false
	}
	for t := first; t < first+n; t++ {
		if s.tracks[t] != nil {
			return true
		}
	}
	return false
}

// overlapsStaged is overlaps for a range of bytes, for who does not hold mu.
func (v *volume) overlapsStaged(off, n int64) bool {
	s := &v.stage
	if s.pending.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overlaps(off/trackSize, tracksOf(off%trackSize+n))
}

// stageReady makes the file if there is none yet. A volume whose stage cannot
// be made does without.
func (v *volume) stageReady() bool {
	s := &v.stage
	if s.file != nil || s.broken {
		return s.file != nil
	}
	f, err := v.createStage()
	if err != nil {
		v.array.log.Warn("writes are not staged", "volume", string(v.serial), "error", err)
		s.broken = true
		return false
	}
	s.open(f)
	s.areas = [2]area{{gen: 1, end: stageStart}, {gen: 2, end: stageStart}}
	return true
}

func (s *stage) open(f File) {
	s.file = &segment{File: f}
	s.file.dirty.Store(true)
	s.tracks = map[int64][]fragment{}
	s.hurry = make(chan struct{}, 1)
}

func (v *volume) createStage() (File, error) {
	a, s := v.array, &v.stage
	name := stageName(v.id, v.uid)
	s.size = a.staging.area
	f, err := a.fsys.Create(name)
	if err != nil {
		return nil, err
	}
	// Where there is a header the file is known to have its length.
	if err = f.Truncate(2 * s.size); err == nil {
		err = f.Sync()
	}
	for i := range 2 {
		if err == nil {
			_, err = f.WriteAt(v.stageHeader(uint64(i+1)).encode(), s.offset(i))
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = a.fsys.SyncDir(stageDir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), a.fsys.Remove(name))
	}
	return f, nil
}

func (s *stage) offset(i int) int64 { return int64(i) * s.size }

func (v *volume) stageHeader(gen uint64) header {
	return header{
		magic: magicStage, id: v.uid, length: gen, extra: uint32(v.stage.size),
		serial: v.array.serial,
	}
}

// room reports whether a write of n bytes fits, if need be into the other
// area.
func (v *volume) room(n int) (bool, error) {
	s := &v.stage
	need := int64(recordHeader + 8 + n + 7)
	for range 2 {
		a := &s.areas[s.active]
		if !a.sealed && a.end+need <= s.size {
			return true, nil
		}
		if s.areas[1-s.active].used() {
			return false, nil
		}
		a.sealed = true
		if err := v.activate(1 - s.active); err != nil {
			return false, err
		}
		select {
		case s.hurry <- struct{}{}:
		default:
		}
	}
	return false, nil
}

// stageAppend writes a record. After an error the next one goes to the same place.
func (v *volume) stageAppend(p []byte, off int64) error {
	s := &v.stage
	a := &s.areas[s.active]
	var where [8]byte
	binary.LittleEndian.PutUint64(where[:], uint64(off))
	s.buf = appendRecord(s.buf[:0], a.gen, a.durable, recStaged, where[:], p)
	if err := s.file.write(s.buf, s.offset(s.active)+a.end); err != nil {
		return err
	}
	s.index(s.active, off, s.offset(s.active)+a.end+recordHeader+8, int64(len(p)))
	a.end += int64(len(s.buf))
	return nil
}

// index notes that n bytes of the volume from off are in area i, at offset at
// of the file.
func (s *stage) index(i int, off, at, n int64) {
	a := &s.areas[i]
	for n > 0 {
		t := off / trackSize
		part := min(n, (t+1)*trackSize-off)
		list := s.tracks[t]
		if len(list) == 0 || list[len(list)-1].area != uint8(i) {
			a.tracks = append(a.tracks, t)
		}
		s.tracks[t] = append(list, fragment{off, at, int32(part), uint8(i)})
		off, at, n = off+part, at+part, n-part
	}
	s.pending.Store(int64(len(s.tracks)))
}

// readStaged reads what hosts see of a volume that is no target. The gate is
// held.
func (v *volume) readStaged(p []byte, off int64) error {
	s := &v.stage
	if s.pending.Load() == 0 {
		return v.readAt(p, off)
	}
	s.recycling.RLock()
	defer s.recycling.RUnlock()
	// Which bytes are staged must be known before the rest is read: what is
	// destaged meanwhile is then read twice, not missed.
	var few [8]fragment
	list := s.fragments(few[:0], off, int64(len(p)))
	if err := v.readAt(p, off); err != nil {
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

// fragments appends the fragments of the tracks of a range, oldest first in
// each track.
func (s *stage) fragments(list []fragment, off, n int64) []fragment {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := off / trackSize; t <= (off+n-1)/trackSize; t++ {
		list = append(list, s.tracks[t]...)
	}
	return list
}

// stagedBeyond returns how many tracks have staged bytes that are not set in b.
func (v *volume) stagedBeyond(b *bitmap) (n int64) {
	v.stage.mu.Lock()
	defer v.stage.mu.Unlock()
	for t := range v.stage.tracks {
		if !b.isSet(t) {
			n++
		}
	}
	return n
}

// syncStaged makes durable what is in the stage and that emptied areas are
// empty. When it fails the volume is failed: nothing is known about what is on
// the disk.
func (v *volume) syncStaged() error {
	s := &v.stage
	s.mu.Lock()
	file, before := s.file, s.areas
	s.mu.Unlock()
	if file == nil {
		return nil
	}
	if err := file.sync(); err != nil {
		v.fail(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range before {
		if a := &s.areas[i]; a.gen == before[i].gen {
			a.durable = max(a.durable, before[i].end)
		}
	}
	return nil
}

// stageDirty reports whether the stage has something to sync.
func (v *volume) stageDirty() bool {
	v.stage.mu.Lock()
	defer v.stage.mu.Unlock()
	return v.stage.file != nil && v.stage.file.dirty.Load()
}

// syncAll makes the writes that returned before it durable, staged or not. It
// takes no gate.
func (v *volume) syncAll() error {
	v.files.RLock()
	defer v.files.RUnlock()
	// Also what is not dirty is called: another one's sync may be under way.
	if !v.stageDirty() || !v.isDirty() {
		return errors.Join(v.syncStaged(), v.sync())
	}
	done := make(chan error, 1)
	go func() { done <- v.syncStaged() }()
	err := v.sync()
	return errors.Join(err, <-done)
}

// loadStage takes over what is left in a stage file. Nobody else uses the
// volume yet.
func (v *volume) loadStage(f File, name string) error {
	s := &v.stage
	made, err := v.readStage(f, name)
	if err != nil {
		return err
	}
	if !made {
		s.file = nil
		return errors.Join(f.Close(), v.array.fsys.Remove(name))
	}
	if !s.areas[s.active].used() {
		return v.activate(s.active)
	}
	return nil
}

// activate lets area i, which is empty, take the writes. They are newer than
// what is in the other one.
func (v *volume) activate(i int) error {
	s := &v.stage
	if other := &s.areas[1-i]; other.used() && s.areas[i].gen < other.gen {
		if err := v.writeStageHeader(i, other.gen+1); err != nil {
			return err
		}
		s.areas[i].gen = other.gen + 1
	}
	s.active = i
	return nil
}

// readStage reads a stage file and changes nothing in it. When its making was
// cut off, so that it cannot have been used, made is false.
func (v *volume) readStage(f File, name string) (made bool, err error) {
	s := &v.stage
	s.open(f)
	if made, err = v.readAreas(name); err != nil {
		return false, err
	}
	a, b := &s.areas[0], &s.areas[1]
	if a.gen == b.gen {
		return false, corrupt(name, "both areas have generation %d", a.gen)
	}
	s.active = 1
	if a.gen > b.gen {
		s.active = 0
	}
	for range 2 { // a fragment list has the older area first
		s.active = 1 - s.active
		if err := v.indexArea(s.active, name); err != nil {
			return false, err
		}
	}
	if !made && (a.gen != 1 || b.gen != 2 || a.used() || b.used()) {
		return false, corrupt(name, "an area has no header")
	}
	if !s.areas[1-s.active].used() {
		s.active = 1 - s.active
	}
	return made, nil
}

// readAreas reads the headers of both areas. One that is missing has the
// generation it would begin with; made is false then.
func (v *volume) readAreas(name string) (made bool, err error) {
	s := &v.stage
	s.size, made = v.array.staging.area, true
	for i := range s.areas {
		s.areas[i] = area{gen: uint64(i + 1), end: stageStart}
		b := make([]byte, headerSize)
		_, err := s.file.ReadAt(b, s.offset(i))
		if err != nil && err != io.EOF {
			return false, err
		}
		if bytes.Equal(b, zeros[:headerSize]) {
			made = false
			continue
		}
		h, err := readHeader(s.file, name, s.offset(i), magicStage, v.array.serial)
		if err != nil {
			return false, err
		}
		s.size = int64(h.extra)
		if want := v.stageHeader(h.length); h != want || s.size <= stageStart {
			return false, corrupt(name, "area %d belongs to another volume", i)
		}
		if size, err := s.file.Size(); err != nil || size != 2*s.size {
			return false, cmp.Or(err, corrupt(name, "it has %d bytes, not %d", size, 2*s.size))
		}
		s.areas[i].gen = h.length
	}
	return made, nil
}

func (v *volume) writeStageHeader(i int, gen uint64) error {
	s := &v.stage
	return s.file.write(v.stageHeader(gen).encode(), s.offset(i))
}

// indexArea reads the records of an area.
func (v *volume) indexArea(i int, name string) error {
	s, a := &v.stage, &v.stage.areas[i]
	begin := s.offset(i)
	size, err := s.file.Size()
	if err != nil {
		return err
	}
	b := make([]byte, max(0, min(s.size, size-begin)))
	if _, err := s.file.ReadAt(b, begin); err != nil && err != io.EOF {
		return err
	}
	for a.end < int64(len(b)) {
		r, n, _, ok := decodeRecord(b[a.end:], a.gen)
		if !ok {
			break
		}
		if len(r.payload) <= 8 || r.kind != recStaged {
			return corrupt(name, "the record at offset %d is none of a write", begin+a.end)
		}
		off := int64(binary.LittleEndian.Uint64(r.payload))
		length := int64(len(r.payload) - 8)
		if err := v.check(off, length); err != nil {
			return corrupt(name, "the write at offset %d is beyond the end of the volume", begin+a.end)
		}
		s.index(i, off, begin+a.end+recordHeader+8, length)
		a.end += int64(n)
	}
	if a.end < int64(len(b)) && wasDurable(b, int(a.end), a.gen) {
		return corrupt(name, "the record at offset %d has a wrong checksum", begin+a.end)
	}
	a.sealed = a.used() // what is behind the last record is not known to be nothing
	return nil
}

// closeStage closes the file, and removes it when nothing is left in it. What
// was emptied must have been synced.
func (v *volume) closeStage() error {
	s := &v.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	if err == nil && !s.areas[0].used() && !s.areas[1].used() && v.err() == nil {
		err = v.array.fsys.Remove(stageName(v.id, v.uid))
	}
	return err
}

// dropStage forgets what is staged for a volume that is deleted.
func (v *volume) dropStage() {
	s := &v.stage
	s.destaging.Lock()
	defer s.destaging.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
	s.pending.Store(0)
}

// errNotDestaged is a host's or a task's error when staged writes must go to
// the volume first and cannot.
func (v *volume) errNotDestaged(cause error) error {
	return fault.New(fault.Server, "volume %s: staged writes cannot be brought to it: %w",
		v.serial, cause)
}

// sealStage returns the area that is next to be destaged, after which it
// takes no more writes; ok is false when both are empty.
func (v *volume) sealStage() (i int, gen uint64, ok bool, err error) {
	s := &v.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return 0, 0, false, nil
	}
	i = 1 - s.active
	if !s.areas[i].used() {
		i = s.active
		if !s.areas[i].used() {
			return 0, 0, false, nil
		}
		if err := v.activate(1 - i); err != nil {
			return 0, 0, false, err
		}
	}
	s.areas[i].sealed = true
	return i, s.areas[i].gen, true, nil
}

// stagedTracks returns the tracks of area i in order.
func (s *stage) stagedTracks(i int) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.areas[i].tracks)
	slices.Sort(list)
	return slices.Compact(list)
}

// unapplied reports whether area i still is of generation gen and has to be
// applied. A gate must be held for the answer to last.
func (s *stage) unapplied(i int, gen uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file != nil && s.areas[i].gen == gen && !s.areas[i].applied
}
