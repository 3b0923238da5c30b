package filearray

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"syscall"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/parallel"
	"copyservices/arrayclient/filearray/recovery"
	"copyservices/arrayclient/filearray/segments"
	"copyservices/arrayclient/filearray/writelog"

	"copyservices/arrayclient/filearray/disk"
)

// OpenOptions say how to open an array.
type OpenOptions struct {
	// Logger may be nil.
	Logger *slog.Logger
	// FreezeTimeout is how long a freeze holds writes; 0: FreezeTimeout.
	FreezeTimeout time.Duration

	measures writelog.Measures // the zero value: the default
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
	if opts.measures == (writelog.Measures{}) {
		opts.measures = writelog.Default
	}
	l, err := recovery.Load(fsys)
	if err != nil {
		return nil, err
	}
	a, err := openLoaded(fsys, l, opts)
	if err != nil {
		l.Close()
		return nil, err
	}
	for _, v := range a.volumes {
		v.log.Resume()
	}
	for _, uid := range sortedKeys(a.rels) {
		a.resume(a.rels[uid])
	}
	return a, nil
}

// openLoaded makes the array in fsys of what was loaded and writes a checkpoint, so that
// nothing is appended behind the torn end of a journal.
func openLoaded(fsys disk.FS, l *recovery.Loaded, opts OpenOptions) (*Array, error) {
	a := &Array{
		fsys: fsys, serial: l.Serial, log: opts.Logger, now: time.Now,
		volumes: map[uint16]*volume{}, rels: map[uint64]*relationship{},
		creating: map[uint16]bool{}, nextUID: l.State.NextUID,
		state: l.State, slots: make(chan struct{}, copySlots),
		freezeTimeout: opts.FreezeTimeout, measures: opts.measures,
	}
	a.rate.set(l.State.CopyRate)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.committer.journal = l.Journal
	a.committer.between = a.makeRoom
	a.committer.release = a.spare.Release
	a.folder = segments.NewFolder(a.fsys, a.serial, a.applyState)
	a.committer.stamps = &a.folder.Stamps
	a.spare.Open(a.fsys)
	if err := a.fsys.Mkdir(disk.StageDir); err != nil {
		return nil, err
	}
	a.probeSharing()
	if err := a.openVolumes(); err != nil {
		a.closeVolumes()
		return nil, err
	}
	for _, uid := range sortedKeys(l.State.Relationships) {
		if err := a.addRelationship(l, l.State.Relationships[uid]); err != nil {
			a.closeVolumes()
			return nil, err
		}
	}
	if err := a.firstCheckpoint(l); err != nil {
		a.closeVolumes()
		return nil, err
	}
	a.finishExpansions()
	if a.first != nil {
		return a, nil // what follows would need it, and can wait
	}
	if err := l.Sweep(); err != nil {
		a.log.Warn("files of volumes that were not created are still there", "error", err)
	}
	a.purge()
	return a, nil
}

func (a *Array) addRelationship(l *recovery.Loaded, rec *disk.RelationshipRecord) error {
	if a.volumes[rec.Source] == nil || a.volumes[rec.Target] == nil {
		return disk.Corrupt(disk.JournalName(l.Gen),
			"relationship %d has a volume that does not exist", rec.UID)
	}
	a.newRelationship(rec, l.Relationships[rec.UID]).link()
	return nil
}

// firstCheckpoint writes that of generation gen+3: it spares the meta file that was
// read, and no record of that generation can be left in a journal. If only the
// process died, what was read may not be on the disk yet: the meta file must
// be before the other one is written, and so must the sources of images.
func (a *Array) firstCheckpoint(l *recovery.Loaded) error {
	if err := disk.SyncMeta(a.fsys, l.Gen); err != nil {
		return err
	}
	a.syncImages()
	gen := disk.OpeningAfter(l.Gen)
	a.state.Session = gen
	a.first = &firstCheckpoint{a.newCheckpoint(gen), l}
	err := a.writeFirst()
	if err == nil || !disk.IsFull(err) {
		return err
	}
	a.log.Error("the disk under the state folder is full: nothing can be changed", "error", err)
	return l.Journal.Sync()
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

// firstCheckpoint is the checkpoint of an opening.
type firstCheckpoint struct {
	*checkpoint
	from *recovery.Loaded
}

// writeFirst writes the checkpoint of the opening unless that was done. On a full
// disk the array is opened without. What was replayed is made durable by syncing
// the journals then, and stays there alone.
func (a *Array) writeFirst() error {
	c := a.first
	if c == nil {
		return nil
	}
	err := a.spare.Spend(func() error { return c.from.BeginSession(c.gen) })
	if err == nil {
		err = a.writeCheckpoint(c.checkpoint)
	}
	if err != nil {
		if disk.IsFull(err) {
			err = disk.FullError(err)
		}
		return err
	}
	for _, b := range c.from.Ended {
		if err := b.Each(func(b *bitmap.Bitmap) error { return b.Remove(a.fsys) }); err != nil {
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

// probeSharing finds out whether volumes can share blocks. Those that were made
// before it was noted who does are taken to share with each other.
func (a *Array) probeSharing() {
	err := disk.ProbeClone(a.fsys, disk.StageDir)
	a.cannotClone.Store(err != nil)
	if a.state.SharingSince == 0 {
		a.state.SharingSince = a.state.NextUID
		if errors.Is(err, errors.ErrUnsupported) {
			a.state.SharingSince = 1
		}
	}
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
	parallel.Each(sources, (*volume).syncFiles) // an error stays in the volume
	var durable []uint64
	for uid, r := range a.rels {
		if unsure(r) && r.source.data.Err() == nil {
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
	err := parallel.Do(len(ids), func(i int) (err error) {
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
	return a.openLogs()
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

// lostVolume is the error for a volume of which a file is damaged, or older than it
// was.
func lostVolume(serial arrayclient.Serial, cause error) error {
	lost := fault.New(fault.Failed, "volume %s has failed: %w", serial, cause)
	var older *segments.OlderError
	if errors.As(cause, &older) && !older.Staged {
		return lost.WithHint("stop copyserver, put the newest file back and start copyserver again; "+
			"or withdraw the relationships of %s and start copyserver again, to use the file as it is; "+
			"or give the volume up: esscli delete volume %s", serial, serial)
	}
	return lost.WithHint("stop copyserver, put the file back as it was and start copyserver again; "+
		"or give the volume up: esscli delete volume %s", serial)
}

func (a *Array) openVolume(rec *disk.VolumeRecord) (*volume, error) {
	files, err := a.folder.Open(rec, a.state)
	if err != nil {
		return nil, err
	}
	return a.newVolume(rec, files), nil
}

func (a *Array) newVolume(rec *disk.VolumeRecord, files []*segments.File) *volume {
	v := &volume{
		array: a, id: rec.ID, uid: rec.UID, serial: arrayclient.MakeSerial(rec.ID, a.serial),
	}
	v.data = a.folder.NewData(rec, a.state.SharingSince, v.syncFiles)
	v.log = a.newLog(v, rec)
	v.absent = files == nil
	v.setFiles(rec.Size, files)
	return v
}

func (a *Array) closeVolumes() {
	a.cancel()
	a.spare.Close()
	for _, v := range a.volumes {
		v.log.Drop()
		v.data.Close()
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
	err := a.folder.Remove(rec)
	if rm := a.fsys.Remove(disk.StageName(rec.ID, rec.UID)); !disk.IsNotExist(rm) {
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

// takeOlder forgets what was taken down of files that are older and were not
// refused. Nobody else uses the array yet.
func (a *Array) takeOlder() {
	for id, v := range a.volumes {
		if v.data.Older() {
			a.log.Warn("an older file is taken as it is", "volume", string(v.serial))
			rec := *a.state.Volumes[id]
			rec.Stamps = nil
			a.state.Volumes[id] = &rec
		}
	}
}
