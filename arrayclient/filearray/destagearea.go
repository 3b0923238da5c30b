package filearray

import (
	"cmp"
	"slices"
	"sync"
)

// destageTracks is how many tracks are destaged while the gate is held in one
// go, and tracksAhead how many more are being read meanwhile.
const (
	destageTracks = 16
	tracksAhead   = 64
)

// job is an area on its way through the steps.
type job struct {
	i      int
	gen    uint64
	tracks []int64 // in order
	marks  []mark  // of what was saved
}

// destageWanted destages the areas that are wanted, in three steps side by side. After
// an error nothing more is begun: what was saved or marked stays so, and the area is
// taken again the next time, after which it is the oldest again.
func (v *volume) destageWanted() error {
	saved, marked := make(chan *job), make(chan *job)
	var first firstError
	var steps sync.WaitGroup
	steps.Go(func() {
		defer close(marked)
		for j := range saved {
			first.unless(func() error { return v.markArea(j) })
			marked <- j
		}
	})
	steps.Go(func() {
		for j := range marked {
			first.unless(func() error { return v.applyArea(j) })
		}
	})
	for j := v.nextJob(0); j != nil; j = v.nextJob(j.gen) {
		if first.unless(func() error { return v.saveArea(j) }); first.get() != nil {
			break
		}
		saved <- j
	}
	close(saved)
	steps.Wait()
	return first.get()
}

// firstError keeps the first error of several steps.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// unless does a step unless one before it failed.
func (f *firstError) unless(step func() error) {
	if f.get() != nil {
		return
	}
	if err := step(); err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.err = cmp.Or(f.err, err)
	}
}

// nextJob takes the oldest wanted area that is newer than after; nil when there is none.
func (v *volume) nextJob(after uint64) *job {
	s := &v.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	i, gen, ok := s.seal(func(a *area) bool { return a.gen > after && a.gen <= s.wanted })
	if !ok {
		return nil
	}
	return &job{i: i, gen: gen, tracks: s.stagedTracks(i)}
}

// withGate calls step with the gate held for reading.
func (v *volume) withGate(step func() error) error {
	v.gate.RLock()
	defer v.gate.RUnlock()
	return step()
}

// markArea makes it durable that the tracks of an area are saved.
func (v *volume) markArea(j *job) error {
	syncTargets(j.marks)
	if err := v.withGate(func() error { return v.commitLinked(j.marks) }); err != nil {
		return err
	}
	v.stage.setState(j.i, areaMarked)
	return nil
}

// applyArea brings an area to the volume's files, whose tracks are saved and
// marked, and empties it.
func (v *volume) applyArea(j *job) error {
	for part := range slices.Chunk(j.tracks, destageTracks) {
		for _, t := range part {
			v.data.MakeWay(t*trackSize, trackSize)
		}
		if err := v.withGate(func() error { return v.applyTracks(j.i, part) }); err != nil {
			return err
		}
	}
	v.stage.setState(j.i, areaApplied)
	return v.finishArea(j.i)
}

// maxUnsynced is how many copies of tracks are made before they are synced. When
// much more is in the page cache alone, the system makes all writers wait.
const maxUnsynced = 2048

// saveArea saves the tracks of an area, a part at a time, while the next one is being
// read.
func (v *volume) saveArea(j *job) error {
	tracks := j.tracks
	ahead := 0 // tracks up to there are being read
	synced, copies, targets := 0, int64(0), int64(0)
	for done := 0; done < len(tracks); done += destageTracks {
		next := min(done+destageTracks, len(tracks))
		err := v.withGate(func() (err error) {
			for ; ahead < min(next+tracksAhead, len(tracks)); ahead++ {
				v.data.ReadAhead(tracks[ahead]*trackSize, trackSize)
			}
			j.marks, err = v.saveTracks(j.marks, tracks[done:next])
			targets = int64(len(v.sources))
			return err
		})
		if err != nil {
			return err
		}
		if copies += int64(next-done) * targets; copies >= maxUnsynced {
			syncTargets(j.marks[synced:])
			synced, copies = len(j.marks), 0
		}
	}
	v.stage.setState(j.i, areaSaved)
	return nil
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
			if err := v.data.ApplyAt(p, f.off); err != nil {
				return err
			}
		}
	}
	return nil
}

// finishArea empties an area that is in the volume's files.
func (v *volume) finishArea(i int) error {
	for synced := false; ; {
		next, err := v.recycle(i, synced)
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

// emptying is what recycle did, or what is to be done before it can.
type emptying int

const (
	emptied emptying = iota
	syncFilesFirst
	syncStageFirst
)

// recycle empties area i unless a flush has promised what is in it and the
// volume's files are not known to be synced since, or an older area might come
// back and this one not.
func (v *volume) recycle(i int, synced bool) (emptying, error) {
	s := &v.stage
	s.recycling.Lock()
	defer s.recycling.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := v.data.Err(); err != nil {
		return emptied, err // nothing is known about what is in the files
	}
	if s.unsynced() {
		return syncStageFirst, nil
	}
	if !s.areas[i].promised {
		v.data.Expose()
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
	s.changed.Broadcast()
	return emptied, nil
}

func (v *volume) syncFiles() error {
	v.files.RLock()
	defer v.files.RUnlock()
	return v.data.Sync()
}
