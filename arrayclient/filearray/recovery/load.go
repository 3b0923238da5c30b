package recovery

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/parallel"
)

// Loaded is what the files of an array say, before anything is changed.
type Loaded struct {
	// Serial is that of the array, Gen the generation of the meta file.
	Serial  string
	Gen     uint64
	State   *disk.State
	Journal *disk.Journal
	// Relationships has the bitmaps of the relationships; those that ended in the
	// journal are in Ended, as long as they have files.
	Relationships map[uint64]bitmap.Pair
	Ended         []bitmap.Pair

	fsys    disk.FS
	durable uint64 // of disk.GenerationName
	// stale is what is wrong with the meta file that is not needed.
	stale error
}

// Load reads the meta file, the bitmaps and the journals of the array in fsys, and finds
// out whether they belong together.
func Load(fsys disk.FS) (*Loaded, error) {
	meta, other, err := disk.ReadMeta(fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no array: meta.0 and meta.1 are missing")
	}
	if err != nil {
		return nil, err
	}
	l := &Loaded{
		fsys: fsys, Serial: meta.Serial, Gen: meta.Gen, State: meta.State, stale: other,
		Relationships: map[uint64]bitmap.Pair{},
	}
	if l.Journal, err = disk.OpenJournal(fsys, l.Serial); err != nil {
		return nil, err
	}
	if err := l.read(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// read reads what belongs to the meta file, and finds out whether it does.
func (l *Loaded) read() error {
	if err := l.checkGeneration(); err != nil {
		return err
	}
	for slot, begun := range l.Journal.Begun {
		if err := l.checkSession(disk.JournalName(uint64(slot)), begun); err != nil {
			return err
		}
	}
	if err := errors.Join(l.readBitmaps(), l.replay()); err != nil {
		return err
	}
	return l.checkUIDs()
}

// Close closes the files.
func (l *Loaded) Close() {
	l.Journal.Close()
	for _, b := range l.Relationships {
		b.Each((*bitmap.Bitmap).Close)
	}
	for _, b := range l.Ended {
		b.Each((*bitmap.Bitmap).Close)
	}
}

// readBitmaps reads the bitmaps of the relationships in the meta file.
func (l *Loaded) readBitmaps() error {
	var list []bitmap.Pair
	uids := slices.Sorted(maps.Keys(l.State.Relationships))
	for _, uid := range uids {
		rec := l.State.Relationships[uid]
		src := l.State.Volumes[rec.Source]
		if src == nil || l.State.Volumes[rec.Target] == nil {
			return disk.Corrupt(disk.MetaName(l.Gen),
				"relationship %d has a volume that does not exist", uid)
		}
		b := bitmap.NewPair(rec, src.Size)
		l.Relationships[uid] = b
		list = append(list, b)
	}
	return parallel.Do(len(uids), func(i int) error {
		return l.readBitmap(l.State.Relationships[uids[i]], list[i])
	})
}

func (l *Loaded) readBitmap(rec *disk.RelationshipRecord, b bitmap.Pair) error {
	err := l.readPages(b.Copied, rec.Copied)
	if b.Changed != nil && err == nil {
		err = l.readPages(b.Changed, rec.Changed)
	}
	return err
}

// readPages reads a bitmap that has at least want bits. When it has none the
// file, if there is one, was not finished.
func (l *Loaded) readPages(b *bitmap.Bitmap, want int64) error {
	if want == 0 {
		return l.checkPages(b)
	}
	if err := b.Open(l.fsys, l.Serial); err != nil {
		return err
	}
	if err := b.ReadPages(l.Gen); err != nil {
		return err
	}
	if n := b.Count.Load(); n < want {
		return disk.Corrupt(b.Name, "it has %d tracks, the last checkpoint wrote %d", n, want)
	}
	return nil
}

// checkPages looks whether the file of a bitmap that has no bits yet, if it can be
// read, is newer than the meta file.
func (l *Loaded) checkPages(b *bitmap.Bitmap) error {
	later := bitmap.New(b.Name, b.UID, b.Tracks)
	if later.Open(l.fsys, l.Serial) != nil {
		return nil
	}
	return errors.Join(later.ReadPages(l.Gen), later.Close())
}

// replay applies the journal that follows the meta file, and the one that
// follows that if a checkpoint was being written.
func (l *Loaded) replay() error {
	if _, err := l.Journal.Read(l.Gen, l.apply); err != nil {
		return err
	}
	next := l.Gen + 1
	begun, err := l.Journal.BegunAfter(l.Gen)
	if err != nil {
		return err
	}
	if begun > next {
		return l.missingMeta(begun)
	}
	_, err = l.Journal.Read(next, func(r disk.Record) error {
		if r.Kind == disk.RecCheckpointed {
			return l.missingMeta(next)
		}
		return l.apply(r)
	})
	return err
}

// missingMeta is the error for a meta file that was whole once.
func (l *Loaded) missingMeta(gen uint64) error {
	if l.stale != nil {
		return l.stale
	}
	return disk.Corrupt(disk.MetaName(gen), "it is missing or too old")
}

func (l *Loaded) apply(r disk.Record) error {
	switch r.Kind {
	case disk.RecMarks, disk.RecChangedMarks:
		disk.EachMark(r, func(uid uint64, first, n int64) {
			l.applyMark(l.Relationships[uid], r.Kind == disk.RecChangedMarks, first, n)
		})
		return nil
	case disk.RecReplaced:
		if err := disk.ApplyEach(r, l.replace); err != nil {
			return err
		}
	}
	if err := l.State.Apply(r); err != nil {
		return err
	}
	switch r.Kind {
	case disk.RecEstablished:
		return disk.ApplyEach(r, l.establish)
	case disk.RecEnded:
		return disk.ApplyEach(r, func(e *disk.End) { l.end(e.UID) })
	}
	return nil
}

func (l *Loaded) applyMark(b bitmap.Pair, changed bool, first, n int64) {
	switch {
	case changed && b.Changed != nil:
		b.Changed.SetRange(first, n)
	case !changed && b.Copied != nil:
		b.Copied.SetRange(first, n)
	}
}

func (l *Loaded) establish(rec *disk.RelationshipRecord) {
	if v := l.State.Volumes[rec.Source]; v != nil {
		l.Relationships[rec.UID] = bitmap.NewPair(rec, v.Size)
	}
}

// replace makes the bitmaps of a relationship that takes another's place.
func (l *Loaded) replace(next *disk.Replacement) {
	old := l.Relationships[next.Old]
	if old.Copied == nil || old.Changed == nil {
		return
	}
	l.end(next.Old)
	l.Relationships[next.New.UID] = old.Next(next.New)
}

func (l *Loaded) end(uid uint64) {
	if b, ok := l.Relationships[uid]; ok {
		l.Ended = append(l.Ended, b)
		delete(l.Relationships, uid)
	}
}
