package filearray

import "slices"

// destageTracks is how many tracks are destaged while the gate is held in one
// go, and tracksAhead how many more are being read meanwhile.
const (
	destageTracks = 16
	tracksAhead   = 64
)

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
		next, err := v.recycle(i, gen, synced)
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

// emptying is what recycle did.
type emptying int

// recycle empties area i unless a flush has promised what is in it and the
// volume's files are not known to be synced since, or an older area might come
// back and this one not.
func (v *volume) recycle(i int, gen uint64, synced bool) (emptying, error) {
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
