package filearray

import (
	"errors"
	"slices"
	"sync"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/parallel"
	"copyservices/arrayclient/filearray/records"
	"copyservices/arrayclient/filearray/writelog"
)

// destageTracks is how many tracks are destaged while the gate is held in one
// go, and tracksAhead how many more are being read meanwhile.
const (
	destageTracks = 16
	tracksAhead   = 64
)

// maxUnsynced is how many copies of tracks are made before they are synced. When
// much more is in the page cache alone, the system makes all writers wait.
const maxUnsynced = 2048

// logged is a volume as its write log sees it.
type logged struct{ *volume }

// newLog returns the write log of a volume whose record is rec.
func (a *Array) newLog(v *volume, rec *disk.VolumeRecord) *writelog.Log {
	return writelog.New(writelog.Config{
		Name: string(v.serial), Array: a.serial, ID: v.id, UID: v.uid, Stamp: rec.StageStamp,
		FS: a.fsys, Folder: a.store.Folder, Logger: a.log, Measures: a.measures,
		Context: a.ctx, Go: a.destages.Go,
	}, logged{v})
}

// Err returns why the volume's files cannot be used any more.
func (l logged) Err() error { return l.data.Err() }

// Fail makes the volume take no I/O.
func (l logged) Fail(cause error) { l.data.Fail(cause) }

// Stuck returns why the journal cannot be written any more.
func (l logged) Stuck() error { return l.array.store.Err() }

// Expose notes that what was applied is in no log any more.
func (l logged) Expose() { l.data.Expose() }

// Sync makes durable what was applied.
func (l logged) Sync() error { return l.syncFiles() }

// Announced reports whether the journal has it that the log's file must be there. It
// need not be of a volume that is deleted.
func (l logged) Announced() bool {
	rec := l.array.store.VolumeRecord(l.id)
	return rec != nil && rec.Staged
}

// Announce notes in the journal that the log's file must be there.
func (l logged) Announce() error {
	changes := []disk.StageChange{{ID: l.id, Staged: true}}
	return l.array.store.CommitRecord(disk.JSONRecord(disk.RecStageChanged, changes), nil)
}

// IfUnused calls f with the gate held if the volume is no source.
func (l logged) IfUnused(f func() error) error {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if len(l.sources) > 0 {
		return nil
	}
	return f()
}

// Save copies what tracks hold to the targets that lack them, a part at a time, while the
// next one is being read.
func (l logged) Save(tracks []int64) (func() error, error) {
	var marks []records.Mark
	ahead := 0 // tracks up to there are being read
	synced, copies, targets := 0, int64(0), int64(0)
	for done := 0; done < len(tracks); done += destageTracks {
		next := min(done+destageTracks, len(tracks))
		err := l.withGate(func() (err error) {
			for ; ahead < min(next+tracksAhead, len(tracks)); ahead++ {
				l.data.ReadAhead(tracks[ahead]*trackSize, trackSize)
			}
			marks, err = l.saveTracks(marks, tracks[done:next])
			targets = int64(len(l.sources))
			return err
		})
		if err != nil {
			return nil, err
		}
		if copies += int64(next-done) * targets; copies >= maxUnsynced {
			records.SyncTargets(marks[synced:])
			synced, copies = len(marks), 0
		}
	}
	return func() error { return l.markSaved(marks) }, nil
}

// markSaved makes marks durable, and before that the data that they speak of. It tells
// too that nothing can be marked any more where there is nothing to mark.
func (v *volume) markSaved(marks []records.Mark) error {
	records.SyncTargets(marks)
	return v.withGate(func() error { return v.commitLinked(marks) })
}

// Apply brings tracks to the volume's files.
func (l logged) Apply(
	tracks []int64, bring func(track int64, write func(p []byte, off int64) error) error,
) error {
	for part := range slices.Chunk(tracks, destageTracks) {
		for _, t := range part {
			l.data.MakeWay(t*trackSize, trackSize)
		}
		err := l.withGate(func() error {
			for _, t := range part {
				if err := bring(t, l.apply); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *volume) apply(p []byte, off int64) error {
	if err := v.roomFor(off, int64(len(p))); err != nil {
		return err
	}
	return v.data.ApplyAt(p, off)
}

// withGate calls step with the gate held for reading.
func (v *volume) withGate(step func() error) error {
	v.gate.RLock()
	defer v.gate.RUnlock()
	return step()
}

// errNotDestaged is a host's or a task's error when logged writes must go to
// the volume first and cannot.
func (v *volume) errNotDestaged(cause error) error {
	return fault.New(fault.Server, "volume %s: logged writes cannot be brought to it: %w",
		v.serial, cause)
}

// syncAll makes the writes that returned before it durable, logged or not. It
// takes no gate.
func (v *volume) syncAll() error {
	v.files.RLock()
	defer v.files.RUnlock()
	v.log.Promise()
	// Also what has nothing to do is called: another one's sync may be under way.
	if !v.log.Dirty() || !v.data.IsExposed() {
		return errors.Join(v.log.Sync(), v.data.Flush())
	}
	done := make(chan error, 1)
	go func() { done <- v.log.Sync() }()
	err := v.data.Flush()
	return errors.Join(err, <-done)
}

func (v *volume) syncFiles() error {
	v.files.RLock()
	defer v.files.RUnlock()
	return v.data.Sync()
}

// settle destages and makes all writes that returned before it durable. No
// gate is held.
func (v *volume) settle() error {
	if err := v.log.Destage(); err != nil {
		return v.errNotDestaged(err)
	}
	return v.syncAll()
}

// unsettled reports whether settle has something to do.
func (v *volume) unsettled() bool {
	v.files.RLock()
	defer v.files.RUnlock()
	return v.log.Tracks() > 0 || v.data.IsExposed() || v.log.Dirty()
}

// settleAll settles volumes side by side; no lock is held, for a disk may take
// its time. What goes wrong shows again when they are used. Until release is
// called their logs stay almost empty, so that closeLogs then has little to do.
func settleAll(list []*volume) (release func()) {
	var releases []func()
	for _, v := range list {
		releases = append(releases, v.log.HoldBack())
	}
	parallel.Each(list, func(v *volume) error {
		if v.unsettled() {
			v.settle()
		}
		return nil
	})
	return undoAll(releases)
}

// undoAll returns what calls all of list, once.
func undoAll(list []func()) func() {
	return sync.OnceFunc(func() {
		for _, undo := range list {
			undo()
		}
	})
}

// destageAhead leaves little to closeLogs, while which writes wait. Errors show again
// there.
func destageAhead(rels []*relationship) {
	parallel.Each(volumesOf(rels), func(v *volume) error {
		if v.log.Tracks() == 0 {
			return nil
		}
		return v.log.Destage()
	})
}

// closeLogs empties the write logs of volumes and keeps them empty until reopen is
// called; see writelog. It is called before gates are locked.
func closeLogs(list []*volume) (reopen func(), err error) {
	closed := make([]func(), len(list))
	err = parallel.Do(len(list), func(i int) (err error) {
		if closed[i], err = list[i].log.Close(); err != nil {
			return list[i].errNotDestaged(err)
		}
		return nil
	})
	closed = slices.DeleteFunc(closed, func(f func()) bool { return f == nil })
	if reopen = undoAll(closed); err != nil {
		reopen()
		return nil, err
	}
	return reopen, nil
}

// checkEmptied returns an error when something is logged for a volume whose log is
// closed. Its gate is held.
func checkEmptied(list []*volume) error {
	for _, v := range list {
		if n := v.log.Tracks(); n > 0 {
			return fault.New(fault.Server, "volume %s: %d tracks were logged in a closed log",
				v.serial, n)
		}
	}
	return nil
}

// openLogs takes over what a process that did not end well left logged.
func (a *Array) openLogs() error {
	names, err := a.fsys.List(disk.StageDir)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, name := range names {
		there[disk.StageDir+"/"+name] = true
	}
	return parallel.Each(a.allVolumes(), func(v *volume) error {
		if v.data.Err() != nil {
			return nil
		}
		err := v.log.Open(there)
		if ofVolume(err) {
			v.giveUp(err)
			err = nil
		}
		return err
	})
}

// retireLogs notes that the files of logs need not be there any more, those that
// are empty and durably so. They are removed when the volumes are closed.
func (a *Array) retireLogs() error {
	var changes []disk.StageChange
	for _, id := range sortedKeys(a.volumes) {
		if l := a.volumes[id].log; a.store.VolumeRecord(id).Staged && l.IsRetired() {
			changes = append(changes, disk.StageChange{ID: id})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return a.store.CommitRecord(disk.JSONRecord(disk.RecStageChanged, changes), nil)
}
