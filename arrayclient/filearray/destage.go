package filearray

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
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

const (
	emptied emptying = iota
	syncFilesFirst
	syncStageFirst
)

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
