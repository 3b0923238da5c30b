package filearray

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"syscall"
	"time"

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
func Open(fsys FS, opts OpenOptions) (*Array, error) {
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
	rec := a.relRecord(r.uid)
	if r.lost() != nil {
		return // it could only fail, for good
	}
	if rec != nil && !rec.Options.NoCopy && rec.Failed == "" && rec.Completed.IsZero() {
		a.startCopy(r)
	}
}

// loaded is what the files of an array say, before anything is changed.
type loaded struct {
	fsys    FS
	serial  string
	gen     uint64 // of the meta file
	state   *state
	journal *journal
	// rels are the bitmaps of the relationships; those that ended in the
	// journal are in ended, as long as they have files.
	rels    map[uint64]loadedBitmaps
	ended   []loadedBitmaps
	durable uint64 // of generationName
	// stale is what is wrong with the meta file that is not needed.
	stale error
}

type loadedBitmaps struct{ copied, changed *bitmap }

func (b loadedBitmaps) each(f func(*bitmap) error) error {
	err := f(b.copied)
	if b.changed != nil {
		err = errors.Join(err, f(b.changed))
	}
	return err
}

func load(fsys FS) (*loaded, error) {
	meta, other, err := readMeta(fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no array: meta.0 and meta.1 are missing")
	}
	if err != nil {
		return nil, err
	}
	l := &loaded{
		fsys: fsys, serial: meta.serial, gen: meta.gen, state: meta.state, stale: other,
		rels: map[uint64]loadedBitmaps{},
	}
	if l.journal, err = openJournal(fsys, l.serial); err != nil {
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
	for slot, begun := range l.journal.begun {
		if err := l.checkSession(journalName(uint64(slot)), begun); err != nil {
			return err
		}
	}
	if err := errors.Join(l.readBitmaps(), l.replay()); err != nil {
		return err
	}
	return l.checkUIDs()
}

func (l *loaded) close() {
	l.journal.close()
	for _, b := range l.rels {
		b.each((*bitmap).close)
	}
	for _, b := range l.ended {
		b.each((*bitmap).close)
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
			return corrupt(metaName(l.gen), "relationship %d has a volume that does not exist", uid)
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

func (l *loaded) readBitmap(rec *relRecord, b loadedBitmaps) error {
	err := l.readPages(b.copied, rec.Copied)
	if b.changed != nil && err == nil {
		err = l.readPages(b.changed, rec.Changed)
	}
	return err
}

// readPages reads a bitmap that has at least want bits. When it has none the
// file, if there is one, was not finished.
func (l *loaded) readPages(b *bitmap, want int64) error {
	if want == 0 {
		return l.checkPages(b)
	}
	if err := b.open(l.fsys, l.serial); err != nil {
		return err
	}
	if err := b.readPages(l.gen); err != nil {
		return err
	}
	if n := b.count.Load(); n < want {
		return corrupt(b.name, "it has %d tracks, the last checkpoint wrote %d", n, want)
	}
	return nil
}

// checkPages looks whether the file of a bitmap that has no bits yet, if it can be
// read, is newer than the meta file.
func (l *loaded) checkPages(b *bitmap) error {
	later := newBitmap(b.name, b.uid, b.tracks)
	if later.open(l.fsys, l.serial) != nil {
		return nil
	}
	return errors.Join(later.readPages(l.gen), later.close())
}

// replay applies the journal that follows the meta file, and the one that
// follows that if a checkpoint was being written.
func (l *loaded) replay() error {
	if _, err := l.journal.read(l.gen, l.apply); err != nil {
		return err
	}
	next := l.gen + 1
	begun, err := l.journal.begunAfter(l.gen)
	if err != nil {
		return err
	}
	if begun > next {
		return l.missingMeta(begun)
	}
	_, err = l.journal.read(next, func(r record) error {
		if r.kind == recCheckpointed {
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
	return corrupt(metaName(gen), "it is missing or too old")
}

func (l *loaded) apply(r record) error {
	switch r.kind {
	case recMarks, recChangedMarks:
		eachMark(r, func(uid uint64, first, n int64) {
			l.applyMark(l.rels[uid], r.kind == recChangedMarks, first, n)
		})
		return nil
	case recSucceeded:
		if err := applyEach(r, l.succeed); err != nil {
			return err
		}
	}
	if err := l.state.apply(r); err != nil {
		return err
	}
	switch r.kind {
	case recEstablished:
		return applyEach(r, l.establish)
	case recEnded:
		return applyEach(r, func(e *relEnd) { l.end(e.UID) })
	}
	return nil
}

func (l *loaded) applyMark(b loadedBitmaps, changed bool, first, n int64) {
	switch {
	case changed && b.changed != nil:
		b.changed.setRange(first, n)
	case !changed && b.copied != nil:
		b.copied.setRange(first, n)
	}
}

func (l *loaded) establish(rec *relRecord) {
	if v := l.state.Volumes[rec.Source]; v != nil {
		copied, changed := newBitmaps(rec, v.Size)
		l.rels[rec.UID] = loadedBitmaps{copied, changed}
	}
}

// succeed makes the bitmaps of a relationship that takes another's place.
func (l *loaded) succeed(next *relSuccession) {
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
	a.committer.release = a.spare.release
	a.stamps.after, a.stamps.apply = stampAfter, a.applyState
	a.committer.stamps = &a.stamps
	a.spare.open(a.fsys)
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

func (l *loaded) addRelationship(a *Array, rec *relRecord) error {
	if a.volumes[rec.Source] == nil || a.volumes[rec.Target] == nil {
		return corrupt(journalName(l.gen), "relationship %d has a volume that does not exist", rec.UID)
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
	if err := syncMeta(l.fsys, l.gen); err != nil {
		return err
	}
	a.syncImages()
	gen := openingAfter(l.gen)
	a.state.Session = gen
	a.first = &firstCheckpoint{a.newCheckpoint(gen), l}
	err := a.writeFirst()
	if err == nil || !isFull(err) {
		return err
	}
	a.log.Error("the disk under the state folder is full: nothing can be changed", "error", err)
	return l.journal.sync()
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
	err := a.spare.spend(func() error { return c.from.beginSession(c.gen) })
	if err == nil {
		err = a.writeCheckpoint(c.checkpoint)
	}
	if err != nil {
		if isFull(err) {
			err = errFull(err)
		}
		return err
	}
	for _, b := range c.from.ended {
		if err := b.each(func(b *bitmap) error { return b.remove(a.fsys) }); err != nil {
			a.log.Warn("bitmap file not removed", "error", err)
		}
	}
	j := a.committer.journal
	j.start(c.gen, headerSize)
	err = j.note(record{kind: recCheckpointed})
	if errors.Is(err, errNoRoom) {
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
		return !r.copied.full() && !a.relRecord(r.uid).ImageDurable
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
	a.applyState(jsonRecord(recImagesDurable, durable))
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

func (a *Array) openOrGiveUp(rec *volumeRecord) (*volume, error) {
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
	if err == nil || errors.Is(err, errNewer) {
		return false
	}
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR} {
		if errors.Is(err, shortage) {
			return false
		}
	}
	return !isFull(err)
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

func (a *Array) openVolume(rec *volumeRecord) (*volume, error) {
	segs, err := openChecked(a.fsys, a.serial, a.state, rec)
	if err != nil {
		return nil, err
	}
	return a.newVolume(rec, segs), nil
}

func (a *Array) newVolume(rec *volumeRecord, segs []*segment) *volume {
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
	a.spare.close()
	for _, v := range a.volumes {
		v.dropStage()
		v.close()
	}
	for _, r := range a.rels {
		for _, b := range r.bitmaps() {
			b.close()
		}
	}
}

// purge removes the files of deleted volumes that are still there.
func (a *Array) purge() {
	for _, uid := range sortedKeys(a.state.Deleted) {
		a.purgeVolume(a.state.Deleted[uid])
	}
}

func (a *Array) purgeVolume(rec *volumeRecord) {
	err := removeSegments(a.fsys, rec)
	if rm := a.fsys.Remove(stageName(rec.ID, rec.UID)); !isNotExist(rm) {
		err = errors.Join(err, rm)
	}
	a.spare.hope()
	if err == nil { // else a crash could bring them back, unknown to the state
		err = a.fsys.SyncDir(volumeDir)
	}
	if err == nil {
		err = a.commitRecord(jsonRecord(recPurged, rec.UID), nil)
	}
	if err != nil {
		a.log.Warn("files of a deleted volume not removed", "volume",
			string(arrayclient.MakeSerial(rec.ID, a.serial)), "error", err)
	}
}
