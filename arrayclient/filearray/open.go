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
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/parallel"
	"copyservices/arrayclient/filearray/records"
	"copyservices/arrayclient/filearray/recovery"
	"copyservices/arrayclient/filearray/segments"
	"copyservices/arrayclient/filearray/writelog"
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
		resume(a.rels[uid])
	}
	return a, nil
}

// openLoaded makes the array in fsys of what was loaded and writes a checkpoint, so that
// nothing is appended behind the torn end of a journal.
func openLoaded(fsys disk.FS, l *recovery.Loaded, opts OpenOptions) (*Array, error) {
	a := &Array{
		configuration: configuration{
			serial: l.Serial, volumes: map[uint16]*volume{}, rels: map[uint64]*relationship{},
			creating: map[uint16]bool{}, nextUID: l.State.NextUID,
		},
		fsys: fsys, log: opts.Logger, now: time.Now,
		slots:         make(chan struct{}, copySlots),
		freezeTimeout: opts.FreezeTimeout, measures: opts.measures,
	}
	a.rate.set(l.State.CopyRate)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.store = records.New(fsys, l, a.log, &a.mu, a.bitmaps)
	a.store.Spare.Open(fsys)
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
	if !a.store.Started() {
		return a, nil // what follows would need it, and can wait
	}
	if err := l.Sweep(); err != nil {
		a.log.Warn("files of volumes that were not created are still there", "error", err)
	}
	a.purge()
	return a, nil
}

// bitmaps returns those of all relationships, between two batches of the committer.
func (a *Array) bitmaps() map[uint64]bitmap.Pair {
	list := make(map[uint64]bitmap.Pair, len(a.rels))
	for uid, r := range a.rels {
		list[uid] = r.bits()
	}
	return list
}

func (a *Array) addRelationship(l *recovery.Loaded, rec *disk.RelationshipRecord) error {
	if a.volumes[rec.Source] == nil || a.volumes[rec.Target] == nil {
		return disk.Corrupt(disk.JournalName(l.Gen),
			"relationship %d has a volume that does not exist", rec.UID)
	}
	link(a.newRelationship(rec, l.Relationships[rec.UID]))
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
	err := a.store.Start(l, gen)
	if err == nil || !disk.IsFull(err) {
		return err
	}
	a.log.Error("the disk under the state folder is full: nothing can be changed", "error", err)
	return l.Journal.Sync()
}

// probeSharing finds out whether volumes can share blocks. Those that were made
// before it was noted who does are taken to share with each other.
func (a *Array) probeSharing() {
	err := disk.ProbeClone(a.fsys, disk.StageDir)
	a.cannotClone.Store(err != nil)
	if a.store.State.SharingSince == 0 {
		a.store.State.SharingSince = a.store.State.NextUID
		if errors.Is(err, errors.ErrUnsupported) {
			a.store.State.SharingSince = 1
		}
	}
}

// syncImages makes the sources durable from which targets are still read,
// where nothing says that the establish did: it may have been cut off.
func (a *Array) syncImages() {
	unsure := func(r *relationship) bool {
		return !r.copied.Full() && !a.store.RelationshipRecord(r.uid).ImageDurable
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
	a.store.Apply(disk.JSONRecord(disk.RecImagesDurable, durable))
}

// openVolumes opens all volumes. One whose files are damaged takes no I/O and is
// listed with the reason; the others have nothing to do with that.
func (a *Array) openVolumes() error {
	ids := sortedKeys(a.store.State.Volumes)
	list := make([]*volume, len(ids))
	err := parallel.Do(len(ids), func(i int) (err error) {
		list[i], err = a.openOrGiveUp(a.store.State.Volumes[ids[i]])
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
	files, err := a.store.Folder.Open(rec, a.store.State)
	if err != nil {
		return nil, err
	}
	return a.newVolume(rec, files), nil
}

func (a *Array) newVolume(rec *disk.VolumeRecord, files []*segments.File) *volume {
	v := &volume{
		array: a, id: rec.ID, uid: rec.UID, serial: arrayclient.MakeSerial(rec.ID, a.serial),
	}
	v.data = a.store.Folder.NewData(rec, a.store.State.SharingSince, v.syncFiles)
	v.log = a.newLog(v, rec)
	v.absent = files == nil
	v.setFiles(rec.Size, files)
	return v
}

func (a *Array) closeVolumes() {
	a.cancel()
	a.store.Spare.Close()
	for _, v := range a.volumes {
		v.log.Drop()
		v.data.Close()
	}
	for _, r := range a.rels {
		r.bits().Each((*bitmap.Bitmap).Close)
	}
}

// purge removes the files of deleted volumes that are still there.
func (a *Array) purge() {
	for _, uid := range sortedKeys(a.store.State.Deleted) {
		a.purgeVolume(a.store.State.Deleted[uid])
	}
}

func (a *Array) purgeVolume(rec *disk.VolumeRecord) {
	err := a.store.Folder.Remove(rec)
	if rm := a.fsys.Remove(disk.StageName(rec.ID, rec.UID)); !disk.IsNotExist(rm) {
		err = errors.Join(err, rm)
	}
	a.store.Spare.Hope()
	if err == nil { // else a crash could bring them back, unknown to the state
		err = a.fsys.SyncDir(disk.VolumeDir)
	}
	if err == nil {
		err = a.store.CommitRecord(disk.JSONRecord(disk.RecPurged, rec.UID), nil)
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
			rec := *a.store.State.Volumes[id]
			rec.Stamps = nil
			a.store.State.Volumes[id] = &rec
		}
	}
}

// Check reads all that describes the array and returns what is wrong with it,
// nothing for a sound one. It changes nothing; the array must not be open. A
// meta file that a crash cut short is sound: the other one and the journals
// hold all that it would.
func Check(fsys disk.FS) []error {
	l, err := recovery.Load(fsys)
	if err != nil {
		return []error{err}
	}
	defer l.Close()
	var problems []error
	folder := segments.NewFolder(fsys, l.Serial, nil)
	for _, id := range sortedKeys(l.State.Volumes) {
		rec := l.State.Volumes[id]
		files, err := folder.Open(rec, l.State)
		if err == nil {
			a := &Array{configuration: configuration{serial: l.Serial}, fsys: fsys}
			a.store = records.New(fsys, l, nil, nil, nil)
			err = a.newVolume(rec, files).log.Check()
			segments.CloseFiles(files)
		}
		if ofVolume(err) {
			err = lostVolume(arrayclient.MakeSerial(id, l.Serial), err)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return append(problems, l.Problems()...)
}
