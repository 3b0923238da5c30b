package filearray

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"syscall"
	"time"

	"copyservices/arrayclient/filearray/bitmap"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// OpenOptions say how to open an array.
type OpenOptions struct {
	// Logger may be nil.
	Logger *slog.Logger
	// FreezeTimeout is how long a freeze holds writes; 0: FreezeTimeout.
	FreezeTimeout time.Duration

	staging staging // the zero value: defaultStaging
}

// Open opens the array in fsys and goes on copying where it stopped. Only one
// process may have an array open; keeping others out is the caller's.
func Open(fsys disk.FS, opts OpenOptions) (*Array, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.FreezeTimeout == 0 {
		opts.FreezeTimeout = FreezeTimeout
	}
	if opts.staging == (staging{}) {
		opts.staging = defaultStaging
	}
	l, err := load(fsys)
	if err != nil {
		return nil, err
	}
	a, err := l.open(opts)
	if err != nil {
		l.close()
		return nil, err
	}
	for _, v := range a.volumes {
		v.resumeDestage()
	}
	for _, uid := range sortedKeys(a.rels) {
		a.resume(a.rels[uid])
	}
	return a, nil
}

// resume starts the copying of r if it has to be copied in the background.
func (a *Array) resume(r *relationship) {
	rec := a.RelationshipRecord(r.uid)
	if r.lost() != nil {
		return // it could only fail, for good
	}
	if rec != nil && !rec.Options.NoCopy && rec.Failed == "" && rec.Completed.IsZero() {
		a.startCopy(r)
	}
}

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
		if err := disk.ApplyEach(r, l.succeed); err != nil {
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

// succeed makes the bitmaps of a relationship that takes another's place.
func (l *loaded) succeed(next *disk.Replacement) {
	old := l.rels[next.Old]
	if old.copied == nil || old.changed == nil {
		return
	}
	l.end(next.Old)
	copied, changed := successor(next.New, old.copied, old.changed)
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
	a.stamps.after, a.stamps.apply = stampAfter, a.applyState
	a.committer.stamps = &a.stamps
	a.spare.Open(a.fsys)
	if err := a.fsys.Mkdir(stageDir); err != nil {
		return nil, err
	}
	a.openSharing()
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

// firstCheckpoint is the checkpoint of an opening.
type firstCheckpoint struct {
	*checkpoint
	from *loaded
}

// writeFirst writes the checkpoint of the opening unless that was done. On a full
// disk the array is opened without. What was replayed is made durable by syncing
// the journals then, and stays there alone.
func (a *Array) writeFirst() error {
	c := a.first
	if c == nil {
		return nil
	}
	err := a.spare.Spend(func() error { return c.from.beginSession(c.gen) })
	if err == nil {
		err = a.writeCheckpoint(c.checkpoint)
	}
	if err != nil {
		if disk.IsFull(err) {
			err = disk.FullError(err)
		}
		return err
	}
	for _, b := range c.from.ended {
		if err := b.each(func(b *bitmap.Bitmap) error { return b.Remove(a.fsys) }); err != nil {
			a.log.Warn("bitmap file not removed", "error", err)
		}
	}
	j := a.committer.journal
	j.Start(c.gen, disk.HeaderSize)
	err = j.Note(disk.Record{Kind: disk.RecCheckpointed})
	if errors.Is(err, disk.ErrNoRoom) {
		err = nil
	}
	if err == nil {
		a.first = nil
	}
	return err
}

// syncImages makes the sources durable from which targets are still read,
// where nothing says that the establish did: it may have been cut off.
func (a *Array) syncImages() {
	unsure := func(r *relationship) bool {
		return !r.copied.Full() && !a.RelationshipRecord(r.uid).ImageDurable
	}
	sources := slices.DeleteFunc(a.allVolumes(), func(v *volume) bool {
		return !slices.ContainsFunc(v.sources, unsure)
	})
	sideBySide(sources, (*volume).syncFiles) // an error stays in the volume
	var durable []uint64
	for uid, r := range a.rels {
		if unsure(r) && r.source.err() == nil {
			durable = append(durable, uid)
		}
	}
	a.applyState(disk.JSONRecord(disk.RecImagesDurable, durable))
}

// openVolumes opens all volumes. One whose files are damaged takes no I/O and is
// listed with the reason; the others have nothing to do with that.
func (a *Array) openVolumes() error {
	ids := sortedKeys(a.state.Volumes)
	list := make([]*volume, len(ids))
	err := eachSideBySide(len(ids), func(i int) (err error) {
		list[i], err = a.openOrGiveUp(a.state.Volumes[ids[i]])
		return err
	})
	for i, v := range list {
		if v != nil {
			a.volumes[ids[i]] = v
		}
	}
	if err != nil {
		return err
	}
	a.takeOlder()
	return a.openStages()
}

func (a *Array) openOrGiveUp(rec *disk.VolumeRecord) (*volume, error) {
	v, err := a.openVolume(rec)
	if ofVolume(err) {
		v = a.newVolume(rec, nil)
		v.giveUp(err)
		err = nil
	}
	return v, err
}

// ofVolume reports whether err, of opening a volume's file, is a matter of that
// volume alone: not one of a program that is too old, or of a shortage.
func ofVolume(err error) bool {
	if err == nil || errors.Is(err, disk.ErrNewer) {
		return false
	}
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR} {
		if errors.Is(err, shortage) {
			return false
		}
	}
	return !disk.IsFull(err)
}

// giveUp makes v take no I/O because of what is wrong with one of its files. The
// files stay as they are.
func (v *volume) giveUp(cause error) {
	cause = lostVolume(v.serial, cause)
	v.fail(cause)
	v.array.log.Error("volume failed", "volume", string(v.serial), "error", cause,
		"hint", fault.HintOf(cause))
}

// lostVolume is the error for a volume of which a file is damaged, or older than it
// was.
func lostVolume(serial arrayclient.Serial, cause error) error {
	lost := fault.New(fault.Failed, "volume %s has failed: %w", serial, cause)
	var older *olderFileError
	if errors.As(cause, &older) && !older.staged {
		return lost.WithHint("stop copyserver, put the newest file back and start copyserver again; "+
			"or withdraw the relationships of %s and start copyserver again, to use the file as it is; "+
			"or give the volume up: esscli delete volume %s", serial, serial)
	}
	return lost.WithHint("stop copyserver, put the file back as it was and start copyserver again; "+
		"or give the volume up: esscli delete volume %s", serial)
}

func (a *Array) openVolume(rec *disk.VolumeRecord) (*volume, error) {
	segs, err := openChecked(a.fsys, a.serial, a.state, rec)
	if err != nil {
		return nil, err
	}
	return a.newVolume(rec, segs), nil
}

func (a *Array) newVolume(rec *disk.VolumeRecord, segs []*segment) *volume {
	v := &volume{
		array: a, id: rec.ID, uid: rec.UID, serial: arrayclient.MakeSerial(rec.ID, a.serial),
	}
	if a.sharing != nil {
		v.join(a.sharing, rec, a.state.SharingSince)
	}
	v.stage.noted = rec.StageStamp
	v.absent = segs == nil
	v.setFiles(rec.Size, segs)
	return v
}

func (a *Array) closeVolumes() {
	a.cancel()
	a.spare.Close()
	for _, v := range a.volumes {
		v.dropStage()
		v.close()
	}
	for _, r := range a.rels {
		for _, b := range r.bitmaps() {
			b.Close()
		}
	}
}

// purge removes the files of deleted volumes that are still there.
func (a *Array) purge() {
	for _, uid := range sortedKeys(a.state.Deleted) {
		a.purgeVolume(a.state.Deleted[uid])
	}
}

func (a *Array) purgeVolume(rec *disk.VolumeRecord) {
	err := removeSegments(a.fsys, rec)
	if rm := a.fsys.Remove(stageName(rec.ID, rec.UID)); !disk.IsNotExist(rm) {
		err = errors.Join(err, rm)
	}
	a.spare.Hope()
	if err == nil { // else a crash could bring them back, unknown to the state
		err = a.fsys.SyncDir(disk.VolumeDir)
	}
	if err == nil {
		err = a.commitRecord(disk.JSONRecord(disk.RecPurged, rec.UID), nil)
	}
	if err != nil {
		a.log.Warn("files of a deleted volume not removed", "volume",
			string(arrayclient.MakeSerial(rec.ID, a.serial)), "error", err)
	}
}
