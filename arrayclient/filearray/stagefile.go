package filearray

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/parallel"
	"copyservices/arrayclient/filearray/recovery"
	"copyservices/arrayclient/filearray/segments"
)

// A stage file has some areas: one takes writes, after which the next one
// does, while those before are destaged. Each begins with a header, whose
// length field is the generation of the area, followed by records as in a
// journal, whose payload is the offset in the volume and the data. In the place
// of the generation a record has the area's salt, a random number that is new
// with each generation: the file is full of what hosts wrote, and none of that
// may pass for a record.
//
// An area is emptied by giving it a new generation, once all of it is in the
// volume's files, and synced there if a flush has promised any of it. What a
// process that was killed, or a machine that crashed, left in the areas is
// destaged by the next one, the older generations first. So a flush need not
// destage: it syncs the stage file, and of the volume's files what is not in
// the stage too. It must sync both, since an area that was emptied must not
// come back after a write that went past the stage. For the same reason an
// emptied area takes no writes before its header is durable: they would leave
// half of what was there. And no area is emptied before the headers of older
// ones are durable: an older one that came back alone would undo its writes.
//
// The first flush notes in the journal that the file must be there. A file of
// which the journal does not know holds nothing that was promised; if it is
// not whole its making was cut off, and if it is older than the last one it is one
// that was removed, or of a backup.
const (
	stageStart = 4096 // of the records in an area
)

func (s *stage) offset(i int) int64 { return int64(i) * s.size }

func (v *volume) stageHeader(a *area) disk.Header {
	return disk.Header{
		Magic: disk.MagicStage, ID: v.uid, Length: a.gen, Extra: uint32(v.stage.size),
		Serial: v.array.serial, Salt: a.salt,
	}
}

// newArea returns an area of generation gen without records.
func newArea(gen uint64) area {
	return area{gen: gen, salt: rand.Uint64() | 1, end: stageStart, unsynced: true}
}

// renew gives area i a new generation.
func (v *volume) renew(i int) error {
	s := &v.stage
	newest := slices.MaxFunc(s.areas, func(a, b area) int { return cmp.Compare(a.gen, b.gen) })
	fresh := newArea(newest.gen + 1)
	err := s.file.Write(v.stageHeader(&fresh).Encode(), s.offset(i))
	if err == nil {
		s.areas[i] = fresh
	}
	return err
}

// stageReady makes the file if there is none yet. A volume whose stage cannot
// be made does without for a while.
func (v *volume) stageReady() bool {
	s := &v.stage
	if s.file != nil || s.refused != nil && time.Now().Before(s.retry) {
		return s.file != nil
	}
	err := v.createStage()
	if err != nil && s.refused == nil {
		v.array.log.Warn("writes are not staged", "volume", string(v.serial), "error", err)
	}
	s.refused, s.retry = err, time.Now().Add(stageAgainAfter)
	return err == nil
}

// createStage syncs nothing: the first flush does. A file that is there is left
// of one that could not be made.
func (v *volume) createStage() error {
	a, s := v.array, &v.stage
	name := disk.StageName(v.id, v.uid)
	f, err := disk.CreateAnew(a.fsys, name)
	if err != nil {
		return err
	}
	v.openStageFile(f)
	s.size, s.areas, s.active = a.staging.area, make([]area, a.staging.areas), 0
	err = f.Truncate(int64(a.staging.areas) * s.size)
	if err == nil {
		err = s.file.GiveStamp(s.noted)
	}
	for i := range s.areas {
		if err == nil {
			err = v.renew(i)
		}
		s.areas[i].unsynced = false // nothing is in it by another header
	}
	if err != nil {
		s.drop()
		err = errors.Join(err, a.fsys.Remove(name))
	}
	return err
}

func (v *volume) openStageFile(f disk.File) {
	s := &v.stage
	s.file = v.array.folder.NewStageFile(f, v.id, v.uid)
	s.tracks = map[int64][]fragment{}
}

// openStages takes over what a process that did not end well left staged.
func (a *Array) openStages() error {
	names, err := a.fsys.List(disk.StageDir)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, name := range names {
		there[disk.StageDir+"/"+name] = true
	}
	return parallel.Each(a.allVolumes(), func(v *volume) error {
		err := v.openStage(there)
		if ofVolume(err) {
			v.giveUp(err)
			err = nil
		}
		return err
	})
}

// openStage takes over the stage file, if it is among those that are there.
func (v *volume) openStage(there map[string]bool) error {
	name, announced := disk.StageName(v.id, v.uid), v.array.state.Volumes[v.id].Staged
	switch {
	case v.data.Err() != nil:
		return nil
	case there[name]:
		return v.loadStage(name, announced)
	case announced:
		return disk.Corrupt(name, "it is missing")
	}
	return nil
}

// loadStage takes over what is left in a stage file. Nobody else uses the
// volume yet.
func (v *volume) loadStage(name string, announced bool) error {
	f, err := v.array.fsys.Open(name)
	if err != nil {
		return err
	}
	s := &v.stage
	if err := v.readStage(f, name); err != nil {
		s.drop()
		var damage *disk.CorruptError
		var older *segments.OlderError
		if !announced && (errors.As(err, &damage) || errors.As(err, &older)) {
			return v.array.fsys.Remove(name)
		}
		return err
	}
	s.announced = announced
	for i := range s.areas {
		// Behind the end there may be records of the same salt, and what is
		// before it may have been promised.
		if a := &s.areas[i]; a.used() {
			a.state, a.promised, a.durable = areaSealed, true, a.end
		} else if err := v.renew(i); err != nil && disk.IsFull(err) {
			a.state = areaApplied // it takes no writes before it has a new header
		} else if err != nil {
			return err
		}
	}
	s.moveOn()
	return nil
}

// checkStage reads what is staged for a volume, if anything is.
func checkStage(
	fsys disk.FS, l *recovery.Loaded, rec *disk.VolumeRecord, files []*segments.File,
) error {
	name := disk.StageName(rec.ID, rec.UID)
	f, err := fsys.Open(name)
	if disk.IsNotExist(err) && !rec.Staged {
		return nil
	}
	if disk.IsNotExist(err) {
		return disk.Corrupt(name, "it is missing")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	a := &Array{fsys: fsys, serial: l.Serial, state: l.State}
	a.folder = segments.NewFolder(fsys, l.Serial, nil)
	err = a.newVolume(rec, files).readStage(f, name)
	if rec.Staged {
		return err
	}
	return nil
}

// readStage reads a stage file and changes nothing in it.
func (v *volume) readStage(f disk.File, name string) error {
	s := &v.stage
	v.openStageFile(f)
	if err := v.readHeaders(name); err != nil {
		return err
	}
	if err := s.file.OpenStamp(name, s.noted); err != nil {
		return err
	}
	order := make([]int, len(s.areas)) // a track's older fragments come first
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(s.areas[i].gen, s.areas[j].gen) })
	for n, i := range order {
		if n > 0 && s.areas[i].gen == s.areas[order[n-1]].gen {
			return disk.Corrupt(name, "two areas have generation %d", s.areas[i].gen)
		}
		if err := v.indexArea(i, name); err != nil {
			return err
		}
	}
	return nil
}

// readHeaders reads the headers of all areas.
func (v *volume) readHeaders(name string) error {
	s := &v.stage
	first, err := disk.ReadHeader(s.file, name, 0, disk.MagicStage, v.array.serial)
	if err != nil {
		return err
	}
	s.size = int64(first.Extra)
	if s.size <= stageStart {
		return disk.Corrupt(name, "its areas have %d bytes", s.size)
	}
	size, err := s.file.Size()
	if err != nil {
		return err
	}
	if size%s.size != 0 || size/s.size < 2 || size/s.size > maxAreas {
		return disk.Corrupt(name,
			"it has %d bytes, which is not 2 to %d times %d", size, maxAreas, s.size)
	}
	s.areas = make([]area, size/s.size)
	for i := range s.areas {
		h := first
		if i > 0 {
			h, err = disk.ReadHeader(s.file, name, s.offset(i), disk.MagicStage, v.array.serial)
		}
		if err != nil {
			return err
		}
		s.areas[i] = area{gen: h.Length, salt: h.Salt, end: stageStart}
		if h != v.stageHeader(&s.areas[i]) {
			return disk.Corrupt(name, "area %d belongs to another volume", i)
		}
	}
	return nil
}

// indexArea reads the records of an area.
func (v *volume) indexArea(i int, name string) error {
	s, a := &v.stage, &v.stage.areas[i]
	begin := s.offset(i)
	b, err := disk.ReadData(s.file, begin, s.size)
	if err != nil {
		return err
	}
	for a.end < int64(len(b)) {
		b = disk.WholeRecord(b, a.end, s.size, a.salt)
		r, n, _, ok := disk.DecodeRecord(b[a.end:], a.salt)
		if !ok {
			break
		}
		if len(r.Payload) <= 8 || r.Kind != disk.RecStaged {
			return disk.Corrupt(name, "the record at offset %d is none of a write", begin+a.end)
		}
		off := int64(binary.LittleEndian.Uint64(r.Payload))
		length := int64(len(r.Payload) - 8)
		if err := v.check(off, length); err != nil {
			return disk.Corrupt(name, "the write at offset %d is beyond the end of the volume", begin+a.end)
		}
		s.index(i, off, begin+a.end+disk.RecordHeaderSize+8, length)
		a.state = areaOpen
		a.end += int64(n)
	}
	if a.end < int64(len(b)) && disk.WasDurable(b, int(a.end), a.salt) {
		return disk.Corrupt(name, "the record at offset %d has a wrong checksum", begin+a.end)
	}
	return nil
}

// retireStages notes that stage files need not be there any more, those that
// are empty and durably so. They are removed when the volumes are closed.
func (a *Array) retireStages() error {
	var changes []disk.StageChange
	for _, id := range sortedKeys(a.volumes) {
		s := &a.volumes[id].stage
		if s.file != nil && s.announced && s.usedAreas() == 0 && !s.unsynced() {
			changes = append(changes, disk.StageChange{ID: id})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return a.commitRecord(disk.JSONRecord(disk.RecStageChanged, changes), nil)
}

// closeStage closes the file, and removes it when it was retired.
func (v *volume) closeStage() error {
	s := &v.stage
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if rec := v.array.volumeRecord(v.id); err == nil && !rec.Staged && s.pending.Load() == 0 {
		err = v.array.fsys.Remove(disk.StageName(v.id, v.uid))
	}
	s.file = nil
	return err
}

// dropStage forgets what is staged for a volume that is deleted.
func (v *volume) dropStage() {
	s := &v.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.running {
		s.changed.Wait()
	}
	s.drop()
}

func (s *stage) drop() {
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.tracks, s.areas = nil, nil, nil
	s.pending.Store(0)
	s.changed.Broadcast()
}

// trimStage gives back the space of a stage that is empty and not needed.
func (v *volume) trimStage() error {
	v.gate.RLock()
	defer v.gate.RUnlock()
	if len(v.sources) > 0 {
		return nil
	}
	s := &v.stage
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil || s.usedAreas() > 0 || s.unsynced() {
		return nil
	}
	var errs []error
	for i := range s.areas {
		errs = append(errs, s.file.Punch(s.offset(i)+stageStart, s.size-stageStart))
	}
	return errors.Join(errs...)
}
