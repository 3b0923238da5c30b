package filearray

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/segments"
)

// loaded is what the files of an array say, before anything is changed.
type loaded struct {
	fsys    disk.FS
	serial  string
	gen     uint64 // of the meta file
	state   *disk.State
	journal *disk.Journal
	// rels are the bitmaps of the relationships; those that ended in the
	// journal are in ended, as long as they have files.
	rels    map[uint64]loadedBitmaps
	ended   []loadedBitmaps
	durable uint64 // of disk.GenerationName
	// stale is what is wrong with the meta file that is not needed.
	stale error
}

type loadedBitmaps struct{ copied, changed *bitmap.Bitmap }

func (b loadedBitmaps) each(f func(*bitmap.Bitmap) error) error {
	err := f(b.copied)
	if b.changed != nil {
		err = errors.Join(err, f(b.changed))
	}
	return err
}

func load(fsys disk.FS) (*loaded, error) {
	meta, other, err := disk.ReadMeta(fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no array: meta.0 and meta.1 are missing")
	}
	if err != nil {
		return nil, err
	}
	l := &loaded{
		fsys: fsys, serial: meta.Serial, gen: meta.Gen, state: meta.State, stale: other,
		rels: map[uint64]loadedBitmaps{},
	}
	if l.journal, err = disk.OpenJournal(fsys, l.serial); err != nil {
		return nil, err
	}
	if err := l.read(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// read reads what belongs to the meta file, and finds out whether it does.
func (l *loaded) read() error {
	if err := l.checkGeneration(); err != nil {
		return err
	}
	for slot, begun := range l.journal.Begun {
		if err := l.checkSession(disk.JournalName(uint64(slot)), begun); err != nil {
			return err
		}
	}
	if err := errors.Join(l.readBitmaps(), l.replay()); err != nil {
		return err
	}
	return l.checkUIDs()
}

func (l *loaded) close() {
	l.journal.Close()
	for _, b := range l.rels {
		b.each((*bitmap.Bitmap).Close)
	}
	for _, b := range l.ended {
		b.each((*bitmap.Bitmap).Close)
	}
}

// readBitmaps reads the bitmaps of the relationships in the meta file.
func (l *loaded) readBitmaps() error {
	var list []loadedBitmaps
	uids := sortedKeys(l.state.Relationships)
	for _, uid := range uids {
		rec := l.state.Relationships[uid]
		src := l.state.Volumes[rec.Source]
		if src == nil || l.state.Volumes[rec.Target] == nil {
			return disk.Corrupt(disk.MetaName(l.gen),
				"relationship %d has a volume that does not exist", uid)
		}
		var b loadedBitmaps
		b.copied, b.changed = newBitmaps(rec, src.Size)
		l.rels[uid] = b
		list = append(list, b)
	}
	return eachSideBySide(len(uids), func(i int) error {
		return l.readBitmap(l.state.Relationships[uids[i]], list[i])
	})
}

func (l *loaded) readBitmap(rec *disk.RelationshipRecord, b loadedBitmaps) error {
	err := l.readPages(b.copied, rec.Copied)
	if b.changed != nil && err == nil {
		err = l.readPages(b.changed, rec.Changed)
	}
	return err
}

// readPages reads a bitmap that has at least want bits. When it has none the
// file, if there is one, was not finished.
func (l *loaded) readPages(b *bitmap.Bitmap, want int64) error {
	if want == 0 {
		return l.checkPages(b)
	}
	if err := b.Open(l.fsys, l.serial); err != nil {
		return err
	}
	if err := b.ReadPages(l.gen); err != nil {
		return err
	}
	if n := b.Count.Load(); n < want {
		return disk.Corrupt(b.Name, "it has %d tracks, the last checkpoint wrote %d", n, want)
	}
	return nil
}

// checkPages looks whether the file of a bitmap that has no bits yet, if it can be
// read, is newer than the meta file.
func (l *loaded) checkPages(b *bitmap.Bitmap) error {
	later := bitmap.New(b.Name, b.UID, b.Tracks)
	if later.Open(l.fsys, l.serial) != nil {
		return nil
	}
	return errors.Join(later.ReadPages(l.gen), later.Close())
}

// replay applies the journal that follows the meta file, and the one that
// follows that if a checkpoint was being written.
func (l *loaded) replay() error {
	if _, err := l.journal.Read(l.gen, l.apply); err != nil {
		return err
	}
	next := l.gen + 1
	begun, err := l.journal.BegunAfter(l.gen)
	if err != nil {
		return err
	}
	if begun > next {
		return l.missingMeta(begun)
	}
	_, err = l.journal.Read(next, func(r disk.Record) error {
		if r.Kind == disk.RecCheckpointed {
			return l.missingMeta(next)
		}
		return l.apply(r)
	})
	return err
}

// missingMeta is the error for a meta file that was whole once.
func (l *loaded) missingMeta(gen uint64) error {
	if l.stale != nil {
		return l.stale
	}
	return disk.Corrupt(disk.MetaName(gen), "it is missing or too old")
}

func (l *loaded) apply(r disk.Record) error {
	switch r.Kind {
	case disk.RecMarks, disk.RecChangedMarks:
		disk.EachMark(r, func(uid uint64, first, n int64) {
			l.applyMark(l.rels[uid], r.Kind == disk.RecChangedMarks, first, n)
		})
		return nil
	case disk.RecReplaced:
		if err := disk.ApplyEach(r, l.replace); err != nil {
			return err
		}
	}
	if err := l.state.Apply(r); err != nil {
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

func (l *loaded) applyMark(b loadedBitmaps, changed bool, first, n int64) {
	switch {
	case changed && b.changed != nil:
		b.changed.SetRange(first, n)
	case !changed && b.copied != nil:
		b.copied.SetRange(first, n)
	}
}

func (l *loaded) establish(rec *disk.RelationshipRecord) {
	if v := l.state.Volumes[rec.Source]; v != nil {
		copied, changed := newBitmaps(rec, v.Size)
		l.rels[rec.UID] = loadedBitmaps{copied, changed}
	}
}

// replace makes the bitmaps of a relationship that takes another's place.
func (l *loaded) replace(next *disk.Replacement) {
	old := l.rels[next.Old]
	if old.copied == nil || old.changed == nil {
		return
	}
	l.end(next.Old)
	copied, changed := replacementBitmaps(next.New, old.copied, old.changed)
	l.rels[next.New.UID] = loadedBitmaps{copied, changed}
}

func (l *loaded) end(uid uint64) {
	if b, ok := l.rels[uid]; ok {
		l.ended = append(l.ended, b)
		delete(l.rels, uid)
	}
}

// open makes the array of what was loaded and writes a checkpoint, so that
// nothing is appended behind the torn end of a journal.
func (l *loaded) open(opts OpenOptions) (*Array, error) {
	a := &Array{
		fsys: l.fsys, serial: l.serial, log: opts.Logger, now: time.Now,
		volumes: map[uint16]*volume{}, rels: map[uint64]*relationship{},
		creating: map[uint16]bool{}, nextUID: l.state.NextUID,
		state: l.state, slots: make(chan struct{}, copySlots),
		freezeTimeout: opts.FreezeTimeout, staging: opts.staging,
	}
	a.rate.set(l.state.CopyRate)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.committer.journal = l.journal
	a.committer.between = a.makeRoom
	a.committer.release = a.spare.Release
	a.folder = segments.NewFolder(a.fsys, a.serial, a.applyState)
	a.committer.stamps = &a.folder.Stamps
	a.spare.Open(a.fsys)
	if err := a.fsys.Mkdir(stageDir); err != nil {
		return nil, err
	}
	a.probeSharing()
	if err := a.openVolumes(); err != nil {
		a.closeVolumes()
		return nil, err
	}
	for _, uid := range sortedKeys(l.state.Relationships) {
		if err := l.addRelationship(a, l.state.Relationships[uid]); err != nil {
			a.closeVolumes()
			return nil, err
		}
	}
	if err := l.firstCheckpoint(a); err != nil {
		a.closeVolumes()
		return nil, err
	}
	a.finishExpansions()
	if a.first != nil {
		return a, nil // what follows would need it, and can wait
	}
	if err := l.sweep(); err != nil {
		a.log.Warn("files of volumes that were not created are still there", "error", err)
	}
	a.purge()
	return a, nil
}

func (l *loaded) addRelationship(a *Array, rec *disk.RelationshipRecord) error {
	if a.volumes[rec.Source] == nil || a.volumes[rec.Target] == nil {
		return disk.Corrupt(disk.JournalName(l.gen),
			"relationship %d has a volume that does not exist", rec.UID)
	}
	b := l.rels[rec.UID]
	a.newRelationship(rec, b.copied, b.changed).link()
	return nil
}

// firstCheckpoint goes to generation gen+3: it spares the meta file that was
// read, and no record of that generation can be left in a journal. If only the
// process died, what was read may not be on the disk yet: the meta file must
// be before the other one is written, and so must the sources of images.
func (l *loaded) firstCheckpoint(a *Array) error {
	if err := disk.SyncMeta(l.fsys, l.gen); err != nil {
		return err
	}
	a.syncImages()
	gen := disk.OpeningAfter(l.gen)
	a.state.Session = gen
	a.first = &firstCheckpoint{a.newCheckpoint(gen), l}
	err := a.writeFirst()
	if err == nil || !disk.IsFull(err) {
		return err
	}
	a.log.Error("the disk under the state folder is full: nothing can be changed", "error", err)
	return l.journal.Sync()
}
