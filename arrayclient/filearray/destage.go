package filearray

import (
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/parallel"
)

// One goroutine at a time destages a volume, for all who want that: they raise
// the generation up to which areas are to be emptied, and wait for what changes.
// It begins with the first staged write and ends when nothing is staged. Areas go
// through three steps, the oldest first and each in one step while the next one is
// in the step before (destageWanted): their tracks are saved to the targets, that is
// marked in the journal, and what hosts wrote is applied to the volume's files.
//
// A relationship begins when nothing is staged for its volumes: their stages are
// closed and emptied before the gates are locked (closeStages), so no area is ever
// on its way while the targets of a volume change from none to some.

// want sees that areas up to generation gen are destaged. mu is held.
func (s *stage) want(gen uint64) {
	s.wanted = max(s.wanted, gen)
	select {
	case s.nudge <- struct{}{}:
	default: // it has not looked yet
	}
	s.startDestager()
}

// startDestager starts the goroutine if it is not there. mu is held.
func (s *stage) startDestager() {
	if !s.running {
		s.running = true
		s.start()
	}
}

// destageSoon lets what is staged be destaged in a while, if the background does that.
// mu is held.
func (s *stage) destageSoon() {
	if s.background {
		s.startDestager()
	}
}

// resumeDestage lets the background destage what was found staged.
func (v *volume) resumeDestage() {
	v.stage.mu.Lock()
	defer v.stage.mu.Unlock()
	if v.stage.usedAreas() > 0 {
		v.stage.destageSoon()
	}
}

func (v *volume) runDestager() {
	a, s := v.array, &v.stage
	said := ""
	for wait := a.staging.after; ; {
		if a.pauseDestage(wait, s.nudge) {
			s.wantAll()
		}
		wait = a.staging.after
		err := v.destageWanted()
		if err != nil { // it may have been of the moment
			err = v.destageWanted()
		}
		if err == nil && s.lacksSync() {
			err = v.syncStaged()
		}
		if err != nil {
			if said != err.Error() {
				said = err.Error()
				a.log.Error("staged writes not destaged", "volume", string(v.serial), "error", err)
			}
			wait = destageAgainAfter
		} else if err := v.trimStage(); err != nil {
			a.log.Warn("space of the stage not given back", "volume", string(v.serial), "error", err)
		}
		if v.destagerEnds(err) {
			return
		}
	}
}

// pauseDestage waits for d, less when it is nudged or the array ends, and reports
// whether the time is over. Without a background it waits for a nudge alone.
func (a *Array) pauseDestage(d time.Duration, nudge <-chan struct{}) bool {
	var over <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-nudge:
	case <-a.ctx.Done():
	}
	return false
}

// lacksSync reports whether there is no room because no empty area has a durable header.
func (s *stage) lacksSync() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file != nil && s.unsynced() && !s.room(1)
}

// destagerEnds reports whether the goroutine that destages ends, and tells those who
// wait how it went. Who wants something after that starts another one.
func (v *volume) destagerEnds(err error) bool {
	s := &v.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed = err
		s.failures++
	}
	s.changed.Broadcast()
	useless := v.data.Err() != nil || v.array.committer.err() != nil
	goesOn := s.background && v.array.ctx.Err() == nil && !useless
	if err == nil && s.leftUpTo(s.wanted) || goesOn && s.usedAreas() > 0 {
		return false
	}
	s.running = false
	return true
}

// await waits until done says so, or for the next failure to destage. stage.mu is
// held, but while it waits.
func (s *stage) await(done func() bool) error {
	for failures := s.failures; !done(); s.changed.Wait() {
		if s.failures != failures {
			return s.failed
		}
	}
	return nil
}

// destage brings to the volume's files what was staged when it was called. No gate is
// held.
func (v *volume) destage() error {
	s := &v.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := s.newest()
	if newest > 0 {
		s.want(newest)
	}
	if err := s.await(func() bool { return !s.leftUpTo(newest) }); err != nil {
		return err
	}
	return v.data.Err()
}

// destageRoom waits until there is room in the stage, which was full, for a write of n
// bytes. No gate is held.
func (v *volume) destageRoom(n int) error {
	s := &v.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.await(func() bool {
		if s.file == nil || s.room(n) {
			return true
		}
		if i := s.oldest((*area).used); i >= 0 {
			s.want(s.areas[i].gen)
		} else if s.unsynced() {
			s.want(s.wanted)
		}
		return false
	})
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
	return v.stage.pending.Load() > 0 || v.data.IsExposed() || v.stageDirty()
}

// settleAll settles volumes side by side; no lock is held, for a disk may take
// its time. What goes wrong shows again when they are used. Until release is
// called they stage no more than two areas take, so that closeStages then has little
// to do.
func settleAll(list []*volume) (release func()) {
	limitStages(list, func(s *stage) { s.heldBack++ })
	parallel.Each(list, func(v *volume) error {
		if v.unsettled() {
			v.settle()
		}
		return nil
	})
	return sync.OnceFunc(func() { limitStages(list, func(s *stage) { s.heldBack-- }) })
}

// limitStages changes what the stages of volumes take, and tells those who wait.
func limitStages(list []*volume, change func(*stage)) {
	for _, v := range list {
		v.stage.mu.Lock()
		change(&v.stage)
		v.stage.changed.Broadcast()
		v.stage.mu.Unlock()
	}
}

// closeStages empties the stages of volumes and keeps them empty until open is called:
// what would have to be staged waits, other writes and all reads go on. That they are
// empty is durable. It is called before gates are locked.
func closeStages(list []*volume) (open func(), err error) {
	limitStages(list, func(s *stage) { s.closed++ })
	open = sync.OnceFunc(func() { limitStages(list, func(s *stage) { s.closed-- }) })
	if err := parallel.Each(list, (*volume).emptyStage); err != nil {
		open()
		return nil, err
	}
	return open, nil
}

// emptyStage destages all, and makes it durable that nothing is staged: what came back
// after a crash would change an image.
func (v *volume) emptyStage() error {
	if !v.hasStage() {
		return nil
	}
	err := v.destage()
	if err == nil {
		err = v.syncStaged()
	}
	if err != nil {
		return v.errNotDestaged(err)
	}
	return nil
}

func (v *volume) hasStage() bool {
	v.stage.mu.Lock()
	defer v.stage.mu.Unlock()
	return v.stage.file != nil
}

// destageAhead leaves little to closeStages, while which writes wait. Errors show again
// there.
func destageAhead(rels []*relationship) {
	parallel.Each(volumesOf(rels), func(v *volume) error {
		if v.stage.pending.Load() == 0 {
			return nil
		}
		return v.destage()
	})
}

// checkEmptied returns an error when something is staged for a volume whose stage is
// closed. Its gate is held.
func checkEmptied(list []*volume) error {
	for _, v := range list {
		if n := v.stage.pending.Load(); n > 0 {
			return fault.New(fault.Server, "volume %s: %d tracks were staged in a closed stage",
				v.serial, n)
		}
	}
	return nil
}
