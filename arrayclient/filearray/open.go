package filearray

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// OpenOptions say how to open an array.
type OpenOptions struct {
	// Logger may be nil.
	Logger *slog.Logger
}

// Open opens the array in fsys and goes on copying where it stopped. Only one
// process may have an array open; keeping others out is the caller's.
func Open(fsys FS, opts OpenOptions) (*Array, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
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
	for _, uid := range sortedKeys(a.rels) {
		a.resume(a.rels[uid])
	}
	return a, nil
}

// resume starts the copying of r if it has to be copied in the background.
func (a *Array) resume(r *relationship) {
	rec := a.relRecord(r.uid)
	if !rec.Options.NoCopy && rec.Failed == "" && rec.Completed.IsZero() {
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
	bitmaps map[uint64]*bitmap
	files   map[uint64]File // of bitmaps
	// stale is what is wrong with the meta file that is not needed.
	stale error
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
		bitmaps: map[uint64]*bitmap{}, files: map[uint64]File{},
	}
	if l.journal, err = openJournal(fsys, l.serial); err != nil {
		return nil, err
	}
	if err := errors.Join(l.readBitmaps(), l.replay()); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *loaded) close() {
	l.journal.close()
	for _, f := range l.files {
		f.Close()
	}
}

// readBitmaps reads the bitmaps of the relationships in the meta file.
func (l *loaded) readBitmaps() error {
	for _, uid := range sortedKeys(l.state.Relationships) {
		rec := l.state.Relationships[uid]
		if err := l.readBitmap(rec); err != nil {
			return err
		}
	}
	return nil
}

func (l *loaded) readBitmap(rec *relRecord) error {
	src := l.state.Volumes[rec.Source]
	if src == nil || l.state.Volumes[rec.Target] == nil {
		return corrupt(metaName(l.gen), "relationship %d has a volume that does not exist", rec.UID)
	}
	b := newBitmap(tracksOf(src.Size))
	l.bitmaps[rec.UID] = b
	if rec.Copied == 0 {
		return nil // the file, if there is one, was not finished
	}
	name := bitmapName(rec.UID)
	f, err := l.fsys.Open(name)
	if isNotExist(err) {
		return corrupt(name, "it is missing")
	}
	if err != nil {
		return err
	}
	l.files[rec.UID] = f
	if err := checkBitmapHeader(f, name, l.serial, rec.UID); err != nil {
		return err
	}
	if err := b.readPages(f, rec.UID); err != nil {
		return err
	}
	if n := b.count.Load(); n < rec.Copied {
		return corrupt(name, "it has %d tracks, the last checkpoint wrote %d", n, rec.Copied)
	}
	return nil
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
	if r.kind == recMarks {
		eachMark(r, func(uid uint64, first, n int64) {
			if b := l.bitmaps[uid]; b != nil {
				b.setRange(first, n)
			}
		})
		return nil
	}
	if err := l.state.apply(r); err != nil {
		return err
	}
	if r.kind == recEstablished {
		return applyEach(r, func(rec *relRecord) {
			if v := l.state.Volumes[rec.Source]; v != nil {
				l.bitmaps[rec.UID] = newBitmap(tracksOf(v.Size))
			}
		})
	}
	return nil
}

// open makes the array of what was loaded and writes a checkpoint, so that
// nothing is appended behind the torn end of a journal.
func (l *loaded) open(opts OpenOptions) (*Array, error) {
	a := &Array{
		fsys: l.fsys, serial: l.serial, log: opts.Logger, now: time.Now,
		volumes: map[uint16]*volume{}, rels: map[uint64]*relationship{},
		state: l.state, slots: make(chan struct{}, copySlots),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.committer.journal = l.journal
	a.committer.between = a.makeRoom
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
	r := a.newRelationship(rec)
	r.copied, r.file = l.bitmaps[rec.UID], l.files[rec.UID]
	delete(l.files, rec.UID)
	r.link()
	return nil
}

// firstCheckpoint goes to generation gen+3: it spares the meta file that was
// read, and no record of that generation can be left in a journal.
func (l *loaded) firstCheckpoint(a *Array) error {
	for uid, r := range a.rels {
		if r.file == nil { // one that is there was not finished
			l.fsys.Remove(bitmapName(uid))
		}
	}
	c := a.newCheckpoint(l.gen + 3)
	if err := a.writeCheckpoint(c); err != nil {
		return err
	}
	for uid, f := range l.files { // of relationships that have ended
		f.Close()
		l.fsys.Remove(bitmapName(uid))
		delete(l.files, uid)
	}
	l.journal.start(c.gen, headerSize)
	return l.journal.note(record{kind: recCheckpointed})
}

func (a *Array) openVolumes() error {
	for id, rec := range a.state.Volumes {
		v, err := a.openVolume(rec)
		if err != nil {
			return err
		}
		a.volumes[id] = v
	}
	return nil
}

func (a *Array) openVolume(rec *volumeRecord) (*volume, error) {
	segs, err := openSegments(a.fsys, a.serial, rec)
	if err != nil {
		return nil, err
	}
	v := &volume{array: a, id: rec.ID, serial: arrayclient.MakeSerial(rec.ID, a.serial)}
	v.size, v.segs = rec.Size, segs
	return v, nil
}

func (a *Array) closeVolumes() {
	a.cancel()
	for _, v := range a.volumes {
		v.close()
	}
	for _, r := range a.rels {
		if r.file != nil {
			r.file.Close()
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
	if err == nil {
		err = a.commitRecord(jsonRecord(recPurged, rec.UID), nil)
	}
	if err != nil {
		a.log.Warn("files of a deleted volume not removed", "volume",
			string(arrayclient.MakeSerial(rec.ID, a.serial)), "error", err)
	}
}
