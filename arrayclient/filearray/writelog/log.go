package writelog

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/lockorder"
	"copyservices/arrayclient/filearray/segments"
)

// Measures are those of the logs of an array.
type Measures struct {
	Areas int   // of a file that is made, 2 to MaxAreas
	Area  int64 // bytes of each, with the header
	// Longest is the length of the longest write that is logged. Longer ones
	// share the cost of the syncs among many tracks anyway.
	Longest int
	// After is how long writes stay when there is room; less than 0: until
	// there is none, the background does nothing.
	After time.Duration
}

// Default is what an array uses.
var Default = Measures{
	Areas: MaxAreas, Area: 4 << 20, Longest: 1 << 20, After: 200 * time.Millisecond,
}

const trackSize = arrayclient.TrackSize

// MaxAreas is how many areas a file has at most.
const MaxAreas = 16

// Volume is what a log needs of the volume whose writes it takes.
type Volume interface {
	// Size is that of the volume in bytes.
	Size() int64
	// Err returns why the volume's files cannot be used any more, nil if they can.
	Err() error
	// Stuck returns why nothing can be marked any more, nil if it can.
	Stuck() error
	// Fail makes the volume take no I/O: nothing is known about what is on the disk.
	Fail(cause error)

	// Save copies what tracks, which are in order, hold to the targets that lack them.
	// mark makes durable that they do not any more.
	Save(tracks []int64) (mark func() error, err error)
	// Apply brings tracks to the volume's files: bring calls write for what is logged of
	// one, in the order in which it was written.
	Apply(tracks []int64, bring func(track int64, write func(p []byte, off int64) error) error) error
	// Sync makes durable what was applied.
	Sync() error
	// Expose notes that what was applied is in no log any more.
	Expose()

	// Announced reports whether the journal has it that the log's file must be there,
	// and Announce sees to that.
	Announced() bool
	Announce() error
	// IfUnused calls f where nothing can be logged meanwhile, for the volume is no source.
	IfUnused(f func() error) error
}

// Config is what a log is made of.
type Config struct {
	Name   string // of the volume, for messages
	Array  string // the serial of the array
	ID     uint16 // of the volume
	UID    uint64
	Stamp  uint64 // the one of the file that was taken down, 0 for none
	FS     disk.FS
	Folder *segments.Folder
	Logger *slog.Logger
	Measures
	// Context ends when nothing is to be done in the background any more, and Go starts
	// what the array waits for when it is closed.
	Context context.Context
	Go      func(func())
}

// Log is the write log of a volume. Its methods may be called from many goroutines, but
// for those that say otherwise.
type Log struct {
	conf   Config
	volume Volume

	// recycling is held for reading while logged bytes are being read, and
	// for writing while an area is emptied.
	recycling lockorder.RWMutex[lockorder.Recycling]

	mu   lockorder.Mutex[lockorder.Log] // guards all that follows
	file *segments.File                 // nil before the first write that is logged
	// refused is why the file could not be made, nil when that was not tried or
	// worked; it is tried again after retry.
	refused  error
	retry    time.Time
	size     int64 // of an area, in bytes
	areas    areas
	active   int            // the area that takes writes
	heldBack int            // how many want it to stay almost empty
	closed   int            // how many want it to stay empty
	index    index          // of what is logged
	past     []bitmap.Range // of writes that go past the log
	buf      []byte

	running  bool          // somebody destages; see pipeline.go
	wanted   uint64        // areas up to this generation are to be empty
	nudge    chan struct{} // that it was raised
	failures int           // of destaging, so far
	failed   error         // the last of them
	// changed is told when an area was emptied, a limit was lifted, or destaging came
	// to an end, good or bad.
	changed sync.Cond
}

// New returns a log without a file. Open takes over one that is there.
func New(c Config, v Volume) *Log {
	l := &Log{conf: c, volume: v, nudge: make(chan struct{}, 1)}
	l.changed.L = &l.mu
	return l
}

// Result is what Put did with a write.
type Result int

// The results.
const (
	// Past: the write goes past the log, and Passed is to be called after it.
	Past Result = iota
	// Logged: the write is done.
	Logged
	// NoRoom: try again when Room has returned.
	NoRoom
	// DestageFirst: try again when Destage has returned.
	DestageFirst
	// TooLong: it is not logged; try again when its tracks are saved.
	TooLong
)

// Tracks returns how many tracks have logged bytes. It takes no lock.
func (l *Log) Tracks() int64 { return l.index.pending.Load() }

// Put logs a write if it needs to be: because its tracks must be saved first, which
// needed says, or because it must not go past what is logged.
func (l *Log) Put(p []byte, off int64, needed bool) (Result, error) {
	first, n := off/trackSize, bitmap.Tracks(off%trackSize+int64(len(p)))
	l.mu.Lock()
	defer l.mu.Unlock()
	overlaps := l.index.overlaps(first, n)
	if !needed && !overlaps {
		return l.letPast(first, n), nil
	}
	if err := l.volume.Stuck(); err != nil {
		return Past, err // it could never be destaged
	}
	if len(p) <= l.conf.Longest && !l.passing(first, n) && l.ready() &&
		recordLength(len(p)) <= l.size-areaStart {
		if !l.room(len(p)) {
			return NoRoom, nil
		}
		if l.append(p, off) == nil {
			l.destageSoon()
			return Logged, nil
		}
	}
	if overlaps {
		return DestageFirst, nil
	}
	return TooLong, nil
}

// PutZeros is Put for what is not logged in any case. The tracks are saved.
func (l *Log) PutZeros(off, n int64) Result {
	first, tracks := off/trackSize, bitmap.Tracks(off%trackSize+n)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index.overlaps(first, tracks) {
		return DestageFirst
	}
	return l.letPast(first, tracks)
}

// letPast notes that a write to n tracks goes past the log.
func (l *Log) letPast(first, n int64) Result {
	l.past = append(l.past, bitmap.Range{First: first, N: n})
	return Past
}

// passing reports whether a write to any of n tracks is on its way past the
// log. Another one must not be logged then: it would be applied before the
// other is done, and show until it is.
func (l *Log) passing(first, n int64) bool {
	return slices.ContainsFunc(l.past, bitmap.Range{First: first, N: n}.Overlaps)
}

// Passed notes that a write is done that went past the log.
func (l *Log) Passed(off, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.past, bitmap.RangeAt(off, n))
	l.past = slices.Delete(l.past, i, i+1)
}

// recordLength is how many bytes a logged write of n bytes takes at most.
func recordLength(n int) int64 { return int64(disk.RecordHeaderSize + 8 + n + 7) }

// append writes a record. After an error the next one goes to the same
// place.
func (l *Log) append(p []byte, off int64) error {
	a := &l.areas[l.active]
	var where [8]byte
	binary.LittleEndian.PutUint64(where[:], uint64(off))
	l.buf = disk.AppendRecord(l.buf[:0], a.salt, a.durable, disk.RecStaged, where[:], p)
	begin := l.offset(l.active)
	if err := l.file.Write(l.buf, begin+a.end); err != nil {
		return err
	}
	l.index.add(a, l.active, off, begin+a.end+disk.RecordHeaderSize+8, int64(len(p)))
	a.state = open
	a.end += int64(len(l.buf))
	return nil
}

// Overlaps reports whether a track of a range of bytes has logged bytes.
func (l *Log) Overlaps(off, n int64) bool {
	if l.index.pending.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.overlaps(off/trackSize, bitmap.Tracks(off%trackSize+n))
}

// Read reads a range: rest fills p from the volume's files, then what is logged goes over
// that.
func (l *Log) Read(p []byte, off int64, rest func() error) error {
	if l.index.pending.Load() == 0 {
		return rest()
	}
	l.recycling.RLock()
	defer l.recycling.RUnlock()
	// No area is emptied meanwhile, so what is destaged meanwhile is read twice, not
	// missed.
	var few [8]fragment
	list := l.fragments(few[:0], off, int64(len(p)))
	if err := rest(); err != nil {
		return err
	}
	for _, f := range list {
		from, to := max(f.off, off), min(f.off+int64(f.n), off+int64(len(p)))
		if from >= to {
			continue
		}
		if _, err := l.file.ReadAt(p[from-off:to-off], f.at+from-f.off); err != nil {
			return fmt.Errorf("the staged writes cannot be read: %w", err)
		}
	}
	return nil
}

// Beyond returns how many tracks have logged bytes that are not set in b.
func (l *Log) Beyond(b *bitmap.Bitmap) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.beyond(b)
}

// fragments appends the fragments of the tracks of a range, oldest first in each track.
func (l *Log) fragments(list []fragment, off, n int64) []fragment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.of(list, off, n)
}

// room reports whether a write of n bytes, which fits into an empty area, fits
// now, if need be into another area.
func (l *Log) room(n int) bool {
	a := &l.areas[l.active]
	full := a.unsynced || a.state > open || a.end+recordLength(n) > l.size
	if full && a.state == open {
		a.state = sealed
	}
	switch {
	case l.closed > 0:
		return false
	case l.heldBack > 0 && (full || !a.used()) && l.areas.inUse() > 1:
		return false
	case !full:
		return true
	case !l.moveOn():
		return false
	}
	if l.inBackground() { // the area before need not wait for its time
		l.want(l.areas[l.active].gen - 1)
	}
	return true
}

// moveOn makes the oldest empty area the active one and reports whether it
// takes writes.
func (l *Log) moveOn() bool {
	i := l.areas.oldest(func(a *area) bool { return !a.used() })
	if i < 0 {
		return false
	}
	l.active = i
	return !l.areas[i].unsynced
}

// seal returns the oldest area that f picks of those in use; after that it takes no
// more writes, and its steps begin anew. It is -1 when there is none.
func (l *Log) seal(f func(*area) bool) int {
	i := l.areas.oldest(func(a *area) bool { return a.used() && f(a) })
	if i < 0 {
		return i
	}
	l.areas[i].state = sealed
	if i == l.active {
		l.moveOn()
	}
	return i
}

// Sealed returns how many areas take no more writes: they are full or on their way.
func (l *Log) Sealed() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.areas {
		if l.areas[i].state >= sealed {
			n++
		}
	}
	return n
}

// Promise notes that a flush counts on what is logged.
func (l *Log) Promise() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.areas {
		if a := &l.areas[i]; a.used() {
			a.promised = true
		}
	}
}

// limit changes how many want the log almost empty and how many want it empty, and tells
// those who wait for room.
func (l *Log) limit(heldBack, closed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heldBack += heldBack
	l.closed += closed
	l.changed.Broadcast()
}

// HoldBack lets the log take no more than two areas until release is called, so that
// closing it later does not take long.
func (l *Log) HoldBack() (release func()) {
	l.limit(1, 0)
	return func() { l.limit(-1, 0) }
}

// Close empties the log and keeps it empty until reopen is called. That it is empty is
// durable: what came back after a crash would change an image. No gate is held.
func (l *Log) Close() (reopen func(), err error) {
	l.limit(0, 1)
	reopen = func() { l.limit(0, -1) }
	if l.isThere() {
		err = l.Destage()
	}
	if err == nil {
		err = l.Sync()
	}
	if err != nil {
		reopen()
		return nil, err
	}
	return reopen, nil
}

func (l *Log) isThere() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file != nil
}
