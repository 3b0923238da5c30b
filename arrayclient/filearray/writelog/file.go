package writelog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/segments"
)

// areaStart is where the records of an area begin.
const areaStart = 4096

// tryAgainAfter is how long writes go without a log whose file could not be made.
const tryAgainAfter = time.Second

func (l *Log) name() string { return disk.StageName(l.conf.ID, l.conf.UID) }

func (l *Log) offset(i int) int64 { return int64(i) * l.size }

func (l *Log) header(a *area) disk.Header {
	return disk.Header{
		Magic: disk.MagicStage, ID: l.conf.UID, Length: a.gen, Extra: uint32(l.size),
		Serial: l.conf.Array, Salt: a.salt,
	}
}

// newArea returns an area of generation gen without records.
func newArea(gen uint64) area {
	return area{gen: gen, salt: rand.Uint64() | 1, end: areaStart, unsynced: true}
}

// renew gives area i a new generation.
func (l *Log) renew(i int) error {
	newest := slices.MaxFunc(l.areas, func(a, b area) int { return cmp.Compare(a.gen, b.gen) })
	fresh := newArea(newest.gen + 1)
	err := l.file.Write(l.header(&fresh).Encode(), l.offset(i))
	if err == nil {
		l.areas[i] = fresh
	}
	return err
}

// ready makes the file if there is none yet. A volume whose file cannot
// be made does without for a while.
func (l *Log) ready() bool {
	if l.file != nil || l.refused != nil && time.Now().Before(l.retry) {
		return l.file != nil
	}
	err := l.create()
	if err != nil && l.refused == nil {
		l.conf.Logger.Warn("writes are not staged", "volume", l.conf.Name, "error", err)
	}
	l.refused, l.retry = err, time.Now().Add(tryAgainAfter)
	return err == nil
}

// create syncs nothing: the first flush does. A file that is there is left
// of one that could not be made.
func (l *Log) create() error {
	f, err := disk.CreateAnew(l.conf.FS, l.name())
	if err != nil {
		return err
	}
	l.use(f)
	l.size, l.areas, l.active = l.conf.Area, make([]area, l.conf.Areas), 0
	err = f.Truncate(int64(l.conf.Areas) * l.size)
	if err == nil {
		err = l.file.GiveStamp(l.conf.Stamp)
	}
	for i := range l.areas {
		if err == nil {
			err = l.renew(i)
		}
		l.areas[i].unsynced = false // nothing is in it by another header
	}
	if err != nil {
		l.drop()
		err = errors.Join(err, l.conf.FS.Remove(l.name()))
	}
	return err
}

func (l *Log) use(f disk.File) {
	l.file = l.conf.Folder.NewLogFile(f, l.conf.ID, l.conf.UID)
	l.index.clear()
}

// Sync makes durable what is in the log, that emptied areas are empty,
// and that the file is there. When a sync fails the volume is failed: nothing is
// known about what is on the disk. Any other error leaves the rest to do for the
// next call.
func (l *Log) Sync() error {
	var before [MaxAreas]struct {
		gen uint64
		end int64
	}
	l.mu.Lock()
	file := l.file
	for i := range l.areas {
		before[i].gen, before[i].end = l.areas[i].gen, l.areas[i].end
	}
	l.mu.Unlock()
	if file == nil {
		return nil
	}
	if err := file.Sync(); err != nil {
		l.volume.Fail(err)
		return err
	}
	if err := l.announce(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.areas {
		if a := &l.areas[i]; a.gen == before[i].gen {
			a.durable = max(a.durable, before[i].end)
			a.unsynced = false
		}
	}
	return nil
}

// announce makes it durable that the file is there, so that it is missed when it is not.
func (l *Log) announce() error {
	if l.volume.Announced() {
		return nil
	}
	if err := l.conf.FS.SyncDir(disk.StageDir); err != nil {
		if !errors.Is(err, disk.ErrUntried) {
			l.volume.Fail(err)
		}
		return err
	}
	return l.volume.Announce()
}

// Dirty reports whether Sync has something to do.
func (l *Log) Dirty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file != nil && l.file.Dirty()
}

// IsRetired reports whether the file need not be there any more: it is empty, and durably
// so. Nobody uses the volume any more.
func (l *Log) IsRetired() bool { return l.file != nil && l.areas.inUse() == 0 && !l.areas.unsynced() }

// CloseFile closes the file, and removes it when nothing is in it and the journal does
// not miss it. Nobody uses the volume any more.
func (l *Log) CloseFile() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	if err == nil && !l.volume.Announced() && l.index.pending.Load() == 0 {
		err = l.conf.FS.Remove(l.name())
	}
	l.file = nil
	return err
}

// Drop forgets what is logged for a volume that is deleted.
func (l *Log) Drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.running {
		l.changed.Wait()
	}
	l.drop()
}

func (l *Log) drop() {
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.areas = nil, nil
	l.index.clear()
	l.changed.Broadcast()
}

// trim gives back the space of a log that is empty and not needed.
func (l *Log) trim() error {
	return l.volume.IfUnused(func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.file == nil || l.areas.inUse() > 0 || l.areas.unsynced() {
			return nil
		}
		var errs []error
		for i := range l.areas {
			errs = append(errs, l.file.Punch(l.offset(i)+areaStart, l.size-areaStart))
		}
		return errors.Join(errs...)
	})
}

// Open takes over the file that a process left, whose name is among those that are
// there. Nobody else uses the volume yet.
func (l *Log) Open(there map[string]bool) error {
	switch announced := l.volume.Announced(); {
	case there[l.name()]:
		return l.load(announced)
	case announced:
		return disk.Corrupt(l.name(), "it is missing")
	}
	return nil
}

func (l *Log) load(announced bool) error {
	f, err := l.conf.FS.Open(l.name())
	if err != nil {
		return err
	}
	if err := l.read(f); err != nil {
		l.drop()
		var damage *disk.CorruptError
		var older *segments.OlderError
		if !announced && (errors.As(err, &damage) || errors.As(err, &older)) {
			return l.conf.FS.Remove(l.name())
		}
		return err
	}
	for i := range l.areas {
		// Behind the end there may be records of the same salt, and what is
		// before it may have been promised.
		if a := &l.areas[i]; a.used() {
			a.state, a.promised, a.durable = sealed, true, a.end
		} else if err := l.renew(i); err != nil && disk.IsFull(err) {
			a.state = applied // it takes no writes before it has a new header
		} else if err != nil {
			return err
		}
	}
	l.moveOn()
	return nil
}

// Check reads the file, if it is there, and changes nothing.
func (l *Log) Check() error {
	announced := l.volume.Announced()
	f, err := l.conf.FS.Open(l.name())
	if disk.IsNotExist(err) && announced {
		return disk.Corrupt(l.name(), "it is missing")
	}
	if disk.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err = l.read(f); announced {
		return err
	}
	return nil
}

// read reads a file and changes nothing in it.
func (l *Log) read(f disk.File) error {
	l.use(f)
	if err := l.readHeaders(); err != nil {
		return err
	}
	if err := l.file.OpenStamp(l.name(), l.conf.Stamp); err != nil {
		return err
	}
	order := make([]int, len(l.areas)) // a track's older fragments come first
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(l.areas[i].gen, l.areas[j].gen) })
	for n, i := range order {
		if n > 0 && l.areas[i].gen == l.areas[order[n-1]].gen {
			return disk.Corrupt(l.name(), "two areas have generation %d", l.areas[i].gen)
		}
		if err := l.indexArea(i); err != nil {
			return err
		}
	}
	return nil
}

// readHeaders reads the headers of all areas.
func (l *Log) readHeaders() error {
	first, err := disk.ReadHeader(l.file, l.name(), 0, disk.MagicStage, l.conf.Array)
	if err != nil {
		return err
	}
	l.size = int64(first.Extra)
	if l.size <= areaStart {
		return disk.Corrupt(l.name(), "its areas have %d bytes", l.size)
	}
	size, err := l.file.Size()
	if err != nil {
		return err
	}
	if size%l.size != 0 || size/l.size < 2 || size/l.size > MaxAreas {
		return disk.Corrupt(l.name(),
			"it has %d bytes, which is not 2 to %d times %d", size, MaxAreas, l.size)
	}
	l.areas = make([]area, size/l.size)
	for i := range l.areas {
		h := first
		if i > 0 {
			h, err = disk.ReadHeader(l.file, l.name(), l.offset(i), disk.MagicStage, l.conf.Array)
		}
		if err != nil {
			return err
		}
		l.areas[i] = area{gen: h.Length, salt: h.Salt, end: areaStart}
		if h != l.header(&l.areas[i]) {
			return disk.Corrupt(l.name(), "area %d belongs to another volume", i)
		}
	}
	return nil
}

// indexArea reads the records of an area.
func (l *Log) indexArea(i int) error {
	a, begin := &l.areas[i], l.offset(i)
	b, err := disk.ReadData(l.file, begin, l.size)
	if err != nil {
		return err
	}
	for a.end < int64(len(b)) {
		b = disk.WholeRecord(b, a.end, l.size, a.salt)
		r, n, _, ok := disk.DecodeRecord(b[a.end:], a.salt)
		if !ok {
			break
		}
		if len(r.Payload) <= 8 || r.Kind != disk.RecStaged {
			return disk.Corrupt(l.name(), "the record at offset %d is none of a write", begin+a.end)
		}
		off := int64(binary.LittleEndian.Uint64(r.Payload))
		length := int64(len(r.Payload) - 8)
		if off < 0 || off > l.volume.Size()-length {
			return disk.Corrupt(l.name(),
				"the write at offset %d is beyond the end of the volume", begin+a.end)
		}
		l.index.add(a, i, off, begin+a.end+disk.RecordHeaderSize+8, length)
		a.state = open
		a.end += int64(n)
	}
	if a.end < int64(len(b)) && disk.WasDurable(b, int(a.end), a.salt) {
		return disk.Corrupt(l.name(), "the record at offset %d has a wrong checksum", begin+a.end)
	}
	return nil
}
