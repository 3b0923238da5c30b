package filearray

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// destageTracks is how many tracks are destaged while the gate is held in one
// go, and tracksAhead how many more are being read meanwhile.
const (
	destageTracks = 16
	tracksAhead   = 64
)

// resumeDestage lets the background destage what was found staged.
func (v *volume) resumeDestage() {
	v.stage.mu.Lock()
	defer v.stage.mu.Unlock()
	if v.stage.file != nil && v.stage.usedAreas() > 0 {
		v.scheduleDestage()
	}
}

// scheduleDestage lets the background destage. stage.mu is held.
func (v *volume) scheduleDestage() {
	s := &v.stage
	if s.scheduled || v.array.staging.after < 0 {
		return
	}
	s.scheduled = true
	v.array.destages.Go(v.destageInBackground)
}

func (v *volume) destageInBackground() {
	a, s := v.array, &v.stage
	said := ""
	for wait := a.staging.after; a.pauseDestage(wait, s.hurry); {
		wait = a.staging.after
		if err := v.destage(); err != nil {
			if said != err.Error() {
				said = err.Error()
				a.log.Error("staged writes not destaged", "volume", string(v.serial), "error", err)
			}
			wait = destageAgainAfter
		}
		if s.rest(v.err() != nil || a.committer.err() != nil) {
			if err := v.trimStage(); err != nil {
				a.log.Warn("space of the stage not given back", "volume", string(v.serial), "error", err)
			}
			return
		}
	}
}

// pauseDestage waits for d, or less when there is hurry, and reports whether
// the array goes on.
func (a *Array) pauseDestage(d time.Duration, hurry <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurry:
	case <-a.ctx.Done():
	}
	return a.ctx.Err() == nil
}

// rest ends the background's work if there is none left, or no use in it.
func (s *stage) rest(useless bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scheduled = s.usedAreas() > 0
	return !s.scheduled || useless
}

// destage brings to the volume's files what was staged when it was called.
// No gate is held: it takes the volume's for short times, so that others who
// need it do not wait for the disk.
func (v *volume) destage() error {
	newest, used := v.stage.newest()
	errs := make(chan error, destageSteps)
	workers := min(max(used, 1), destageSteps)
	for range workers {
		go func() { errs <- v.destageUpTo(newest) }()
	}
	var err error
	for range workers {
		err = cmp.Or(err, <-errs)
	}
	if !v.stage.leftUpTo(newest) { // another one may have got over the error
		return v.err()
	}
	return err
}

// destageSteps is how many areas can be destaged at a time.
const destageSteps = 3

func (v *volume) destageUpTo(newest uint64) (err error) {
	for more := true; more && err == nil; {
		v.stage.saving.Lock()
		more, err = v.destageArea(newest)
	}
	return err
}

// newest returns the generation of the area that was written to last, and how
// many have records.
func (s *stage) newest() (gen uint64, used int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.areas {
		if a := &s.areas[i]; a.used() {
			gen, used = max(gen, a.gen), used+1
		}
	}
	return gen, used
}

// destageRoom sees that there is room in the stage, which was full, for a
// write of n bytes.
func (v *volume) destageRoom(n int) error {
	s := &v.stage
	s.saving.Lock()
	if s.hasRoom(n) {
		s.saving.Unlock()
		return nil
	}
	more, err := v.destageArea(math.MaxUint64)
	if err == nil && !more {
		err = v.syncStaged()
	}
	return err
}

func (s *stage) hasRoom(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file == nil || s.room(n)
}

// destageArea keeps the order of the package comment for the oldest area that
// nobody destages, up to generation newest; if there is none, it waits for
// those who do. It reports whether an area up to newest may be left. saving is
// locked, and unlocked on return.
//
// Whoever has the gate to himself may do the same meanwhile; the steps after
// that are then left out.
func (v *volume) destageArea(newest uint64) (more bool, err error) {
	s := &v.stage
	i, gen, ok := s.take(newest)
	var tracks []int64
	var marks []mark
	if ok {
		tracks = s.stagedTracks(i)
		marks, err = v.saveStaged(i, gen, tracks)
	}
	s.marking.Lock()
	s.saving.Unlock()
	if ok && err == nil {
		syncTargets(marks)
		err = v.commitStaged(i, gen, marks)
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	s.marking.Unlock()
	if !ok {
		return s.leftUpTo(newest), nil
	}
	if err == nil && s.isOldest(gen) { // else one before it failed, and is tried again
		err = v.applyArea(i, gen, tracks)
	}
	s.giveBack(i, gen)
	return true, err
}

// take returns the oldest area that nobody has taken, which takes no more
// writes then. saving is locked.
func (s *stage) take(newest uint64) (i int, gen uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, gen, ok = s.seal(func(a *area) bool { return !a.taken && a.gen <= newest })
	if ok {
		s.areas[i].taken = true
	}
	return i, gen, ok
}

func (s *stage) giveBack(i int, gen uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i < len(s.areas) && s.areas[i].gen == gen {
		s.areas[i].taken = false
	}
}

func (s *stage) leftUpTo(newest uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oldest(func(a *area) bool { return a.used() && a.gen <= newest }) >= 0
}

// isOldest reports whether no area older than gen is left.
func (s *stage) isOldest(gen uint64) bool { return !s.leftUpTo(gen - 1) }

// applyArea brings an area to the volume's files, whose tracks are saved and
// marked, and empties it. applying is locked.
func (v *volume) applyArea(i int, gen uint64, tracks []int64) error {
	for part := range slices.Chunk(tracks, destageTracks) {
		for _, t := range part {
			v.share.makeWay(t*trackSize, trackSize)
		}
		err := v.unlessApplied(i, gen, func() error { return v.applyTracks(i, part) })
		if err != nil {
			return err
		}
	}
	return v.finishArea(i, gen)
}

// unlessApplied calls step with the gate held, unless somebody else has applied
// area i of generation gen meanwhile.
func (v *volume) unlessApplied(i int, gen uint64, step func() error) error {
	v.gate.RLock()
	defer v.gate.RUnlock()
	if !v.stage.unapplied(i, gen) {
		return nil
	}
	return step()
}

// maxUnsynced is how many copies of tracks are made before they are synced. When
// much more is in the page cache alone, the system makes all writers wait.
const maxUnsynced = 2048

// saveStaged saves the tracks of an area, a part at a time, while the next one
// is being read.
func (v *volume) saveStaged(i int, gen uint64, tracks []int64) ([]mark, error) {
	var marks []mark
	ahead := 0 // tracks up to there are being read
	synced, copies, targets := 0, int64(0), int64(0)
	for done := 0; done < len(tracks); done += destageTracks {
		next := min(done+destageTracks, len(tracks))
		err := v.unlessApplied(i, gen, func() (err error) {
			for ; ahead < min(next+tracksAhead, len(tracks)); ahead++ {
				v.readAhead(tracks[ahead]*trackSize, trackSize)
			}
			marks, err = v.saveTracks(marks, tracks[done:next])
			targets = int64(len(v.sources))
			return err
		})
		if err != nil {
			return nil, err
		}
		if copies += int64(next-done) * targets; copies >= maxUnsynced {
			syncTargets(marks[synced:])
			synced, copies = len(marks), 0
		}
	}
	return marks, nil
}

// saveTracks saves tracks, which are in order, and appends to marks what is
// to be committed. The gate is held.
func (v *volume) saveTracks(marks []mark, tracks []int64) ([]mark, error) {
	var failures batch
	for len(tracks) > 0 {
		n := int64(1)
		for n < int64(len(tracks)) && tracks[n] == tracks[0]+n {
			n++
		}
		v.saveTogether(tracks[0], n, &marks, &failures)
		tracks = tracks[n:]
	}
	return marks, v.commitFailures(&failures)
}

// saveTogether saves n tracks from first on that no target may change
// meanwhile.
func (v *volume) saveTogether(first, n int64, marks *[]mark, failures *batch) {
	v.tracks.Lock(first, n)
	defer v.tracks.Unlock(first, n)
	v.saveRuns(first, n, marks, failures)
}

// commitStaged makes the marks of an area durable. Their targets are synced.
func (v *volume) commitStaged(i int, gen uint64, marks []mark) error {
	return v.unlessApplied(i, gen, func() error { return v.commitLinked(marks) })
}

// applyTracks writes what area i has of tracks to the volume's files. All of
// them are saved.
func (v *volume) applyTracks(i int, tracks []int64) error {
	s := &v.stage
	buf := trackBuffers.Get().(*[]byte)
	defer trackBuffers.Put(buf)
	var list []fragment
	for _, t := range tracks {
		list = s.fragments(list[:0], t*trackSize, 1)
		for _, f := range list {
			if f.area != uint8(i) {
				continue
			}
			if err := v.roomFor(f.off, int64(f.n)); err != nil {
				return err
			}
			p := (*buf)[:f.n]
			if _, err := s.file.ReadAt(p, f.at); err != nil {
				return err
			}
			if err := v.applyAt(p, f.off); err != nil {
				return err
			}
		}
	}
	return nil
}

// finishArea empties an area that is in the volume's files.
func (v *volume) finishArea(i int, gen uint64) error {
	for synced := false; ; {
		next, err := v.emptyArea(i, gen, synced)
		if err == nil && next == syncFilesFirst {
			synced, err = true, v.syncFiles()
		} else if err == nil {
			err = v.syncStaged()
		}
		if err != nil || next == emptied {
			return err
		}
	}
}

// emptying is what emptyArea did.
type emptying int

const (
	emptied emptying = iota
	syncFilesFirst
	syncStageFirst
)

// emptyArea empties area i unless a flush has promised what is in it and the
// volume's files are not known to be synced since, or an older area might come
// back and this one not.
func (v *volume) emptyArea(i int, gen uint64, synced bool) (emptying, error) {
	s := &v.stage
	s.recycling.Lock()
	defer s.recycling.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil || s.areas[i].gen != gen {
		return emptied, nil // somebody else did
	}
	s.areas[i].applied = true
	if err := v.err(); err != nil {
		return emptied, err // nothing is known about what is in the files
	}
	if s.unsynced() {
		return syncStageFirst, nil
	}
	if !s.areas[i].promised {
		v.expose()
	} else if !synced {
		return syncFilesFirst, nil
	}
	tracks := s.areas[i].tracks
	if err := v.renew(i); err != nil {
		return emptied, err
	}
	s.forget(i, tracks)
	if s.active == i {
		s.moveOn()
	}
	return emptied, nil
}

func (v *volume) syncFiles() error {
	v.files.RLock()
	defer v.files.RUnlock()
	return v.sync()
}

// forget takes the fragments of area i, which are in tracks, out of the index.
func (s *stage) forget(i int, tracks []int64) {
	for _, t := range tracks {
		rest := slices.DeleteFunc(s.tracks[t], func(f fragment) bool { return f.area == uint8(i) })
		if len(rest) == 0 {
			delete(s.tracks, t)
		} else {
			s.tracks[t] = rest
		}
	}
	s.pending.Store(int64(len(s.tracks)))
}

// destageAlone brings all that is staged to the volume's files, and makes it
// durable that the stage is empty. The gate is held for writing.
func (v *volume) destageAlone() error {
	for {
		i, gen, ok := v.stage.sealOldest()
		if !ok {
			return v.syncStaged()
		}
		if v.stage.unapplied(i, gen) {
			if err := v.destageAtOnce(i); err != nil {
				return v.errNotDestaged(err)
			}
		}
		if err := v.finishArea(i, gen); err != nil {
			return v.errNotDestaged(err)
		}
	}
}

func (s *stage) sealOldest() (i int, gen uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seal(func(*area) bool { return true })
}

func (v *volume) destageAtOnce(i int) error {
	tracks := v.stage.stagedTracks(i)
	marks, err := v.saveTracks(nil, tracks)
	if err == nil && len(marks) > 0 {
		syncTargets(marks)
		err = v.array.committer.commit(marks, nil, nil)
	}
	if err != nil {
		return err
	}
	return v.applyTracks(i, tracks)
}

// settle destages and makes all writes that returned before it durable. No
// gate is held.
func (v *volume) settle() error {
	if err := v.destage(); err != nil {
		return v.errNotDestaged(err)
	}
	return v.syncAll()
}

// unsettled reports whether settle has something to do.
func (v *volume) unsettled() bool {
	v.files.RLock()
	defer v.files.RUnlock()
	return v.stage.pending.Load() > 0 || v.isExposed() || v.stageDirty()
}

// settleAll settles volumes side by side; no lock is held, for a disk may take
// its time. What goes wrong shows again when they are used. Until release is
// called they stage no more than two areas take, so that who locks their gates
// then does not hold them long.
func settleAll(list []*volume) (release func()) {
	holdBack := func(n int) {
		for _, v := range list {
			v.stage.mu.Lock()
			v.stage.heldBack += n
			v.stage.mu.Unlock()
		}
	}
	holdBack(1)
	sideBySide(list, func(v *volume) error {
		if v.unsettled() {
			v.settle()
		}
		return nil
	})
	return sync.OnceFunc(func() { holdBack(-1) })
}

func (v *volume) hasStage() bool {
	v.stage.mu.Lock()
	defer v.stage.mu.Unlock()
	return v.stage.file != nil
}

// destageAhead leaves little to destageAll, which is called with the gates
// locked. Errors show again there.
func destageAhead(rels []*relationship) {
	sideBySide(volumesOf(rels), func(v *volume) error {
		if v.stage.pending.Load() == 0 {
			return nil
		}
		return v.destage()
	})
}

// destageAll is destageAlone for all volumes of rels.
func destageAll(rels []*relationship) error {
	list := slices.DeleteFunc(volumesOf(rels), func(v *volume) bool { return !v.hasStage() })
	return sideBySide(list, (*volume).destageAlone)
}
