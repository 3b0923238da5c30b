package filearray

import (
	"context"
	"time"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/parallel"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// The sizes of volumes in bytes.
const (
	MinVolume    = 1 << 20
	MaxVolume    = 16 << 40
	sizeMultiple = 512
)

const maxLabel = 256 // bytes

// Volumes returns all volumes ordered by serial.
func (a *Array) Volumes(context.Context) ([]arrayclient.Volume, error) {
	list := []arrayclient.Volume{}
	for _, l := range a.listVolumes() {
		v, err := a.describeVolume(l)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// listedVolume is what is known of a volume at one moment.
type listedVolume struct {
	*volume
	rec        *disk.VolumeRecord
	copyFailed bool // that of which it is the target
}

// listVolumes returns the volumes that there are at one moment.
func (a *Array) listVolumes() []listedVolume {
	a.mu.RLock()
	defer a.mu.RUnlock()
	list := make([]listedVolume, 0, len(a.volumes))
	for _, id := range sortedKeys(a.volumes) {
		v := a.volumes[id]
		failed := v.target != nil && v.target.hasFailed()
		list = append(list, listedVolume{v, a.store.VolumeRecord(id), failed})
	}
	return list
}

// describeVolume holds no lock: it asks the file system.
func (a *Array) describeVolume(v listedVolume) (arrayclient.Volume, error) {
	rec := v.rec
	allocated, err := v.allocatedSoon()
	if err != nil {
		return arrayclient.Volume{}, err
	}
	d := arrayclient.Volume{
		Serial: v.serial, Size: rec.Size, Allocated: allocated,
		Label: rec.Label, Created: rec.Created,
	}
	if err := v.data.Err(); err != nil {
		d.Failed = err.Error()
	}
	if last := rec.LastCopy; last != nil {
		d.LastCopy = &arrayclient.LastCopy{
			Source:      arrayclient.MakeSerial(last.Source, a.serial),
			Established: last.Established, Ended: last.Ended, Outcome: last.Outcome,
		}
		if v.copyFailed {
			d.LastCopy.Outcome = arrayclient.OutcomeUndefined
		}
	}
	return d, nil
}

// CreateVolumes creates volumes of zeros; see arrayclient.Array.
func (a *Array) CreateVolumes(
	_ context.Context, spec arrayclient.VolumeSpec,
) ([]arrayclient.Volume, error) {
	if err := checkSpec(&spec); err != nil {
		return nil, err
	}
	end, err := a.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	recs, err := a.reserve(spec)
	if err != nil {
		return nil, err
	}
	defer a.unreserve(recs)
	created, err := a.createFiles(recs)
	if err != nil {
		return nil, err
	}
	if err := a.addVolumes(created, recs); err != nil {
		return nil, err
	}
	list := make([]arrayclient.Volume, 0, len(created))
	for i, v := range created {
		d, err := a.describeVolume(listedVolume{volume: v, rec: &recs[i]})
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// addVolumes makes volumes known whose files were made, or removes the files.
func (a *Array) addVolumes(created []*volume, recs []disk.VolumeRecord) error {
	a.acts.Lock()
	err := a.store.CommitRecord(disk.JSONRecord(disk.RecVolumesCreated, recs), func() {
		for _, v := range created {
			a.volumes[v.id] = v
		}
	})
	a.acts.Unlock()
	if err != nil {
		for i, v := range created {
			v.data.Close()
			a.dropSegments(&recs[i], 0)
		}
	}
	return err
}

func checkSpec(spec *arrayclient.VolumeSpec) error {
	if spec.Count == 0 {
		spec.Count = 1
	}
	switch {
	case spec.Size < MinVolume || spec.Size > MaxVolume:
		return fault.New(fault.Usage, "a volume of %d bytes cannot be made", spec.Size).
			WithHint("a volume has 1 MiB to 16 TiB")
	case spec.Size%sizeMultiple != 0:
		return fault.New(fault.Usage, "the size of %d bytes is not a multiple of %d",
			spec.Size, sizeMultiple)
	case spec.Count < 1 || spec.Count > arrayclient.MaxVolumes:
		return fault.New(fault.Usage, "%d volumes cannot be made at a time", spec.Count).
			WithHint("an array has at most %d volumes", arrayclient.MaxVolumes)
	case len(spec.Label) > maxLabel:
		return fault.New(fault.Usage, "a label has at most %d bytes, this one %d",
			maxLabel, len(spec.Label))
	case !arrayclient.Printable(spec.Label):
		return fault.New(fault.Usage, "%q is no label", spec.Label).
			WithHint("a label has printable characters, in UTF-8")
	}
	return nil
}

// reserve chooses ids for the volumes of spec, which nobody else gets until
// unreserve is called.
func (a *Array) reserve(spec arrayclient.VolumeSpec) ([]disk.VolumeRecord, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids, err := a.chooseIDs(spec)
	if err != nil {
		return nil, err
	}
	now := a.now().UTC().Truncate(time.Second)
	recs := make([]disk.VolumeRecord, len(ids))
	for i, id := range ids {
		a.creating[id] = true
		recs[i] = disk.VolumeRecord{
			ID: id, UID: a.nextUID + uint64(i), Size: spec.Size, Label: spec.Label, Created: now,
		}
	}
	a.nextUID += uint64(len(ids))
	return recs, nil
}

func (a *Array) unreserve(recs []disk.VolumeRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range recs {
		delete(a.creating, recs[i].ID)
	}
}

// chooseIDs is called with Array.mu held.
func (a *Array) chooseIDs(spec arrayclient.VolumeSpec) ([]uint16, error) {
	first, fixed := uint16(0), spec.First != ""
	if fixed {
		var err error
		if first, err = arrayclient.ParseVolumeID(arrayclient.MachineType, spec.First); err != nil {
			return nil, err
		}
	}
	var ids []uint16
	for id := int(first); id < arrayclient.MaxVolumes && len(ids) < spec.Count; id++ {
		if a.volumes[uint16(id)] == nil && !a.creating[uint16(id)] {
			ids = append(ids, uint16(id))
		} else if fixed {
			return nil, fault.New(fault.Usage, "volume %s %w",
				arrayclient.MakeSerial(uint16(id), a.serial), fault.ErrExists).
				WithHint("name another with --first, or none: the lowest free ids are taken then")
		}
	}
	if len(ids) < spec.Count && fixed {
		return nil, fault.New(fault.Refused, "from %s on there are not %d volume ids",
			spec.First, spec.Count).
			WithHint("the last volume id is FFF")
	}
	if len(ids) < spec.Count {
		return nil, fault.New(fault.Refused, "array %s.%s has no room for %d more volumes",
			arrayclient.MachineType, a.serial, spec.Count).
			WithHint("an array has at most %d volumes", arrayclient.MaxVolumes)
	}
	return ids, nil
}

// createFiles makes the files of all volumes, or of none.
func (a *Array) createFiles(recs []disk.VolumeRecord) ([]*volume, error) {
	list := make([]*volume, len(recs))
	err := parallel.Do(len(recs), func(i int) (err error) {
		list[i], err = a.createVolume(&recs[i])
		return err
	})
	if err == nil {
		err = a.fsys.SyncDir(disk.VolumeDir)
	}
	if err == nil {
		return list, nil
	}
	for i, v := range list {
		if v != nil {
			v.data.Close()
			a.store.Folder.Remove(&recs[i])
		}
	}
	return nil, err
}

// createVolume makes the files of a volume, or none.
func (a *Array) createVolume(rec *disk.VolumeRecord) (*volume, error) {
	if err := a.store.Folder.Create(rec); err != nil {
		return nil, err
	}
	v, err := a.openVolume(rec)
	if err != nil {
		a.store.Folder.Remove(rec)
	}
	return v, err
}

// DeleteVolume deletes a volume; see arrayclient.Array. When nobody can find it
// any more its files are removed, which may take long, without a lock.
func (a *Array) DeleteVolume(_ context.Context, serial arrayclient.Serial) error {
	end, err := a.begin()
	if err != nil {
		return err
	}
	defer end()
	v, rec, err := a.forgetVolume(serial)
	if err != nil {
		return err
	}
	v.log.Drop()
	if err := v.closeFiles(); err != nil {
		a.log.Warn("file of a deleted volume not closed", "volume", string(v.serial), "error", err)
	}
	a.purgeVolume(rec)
	return nil
}

// forgetVolume takes a volume away that nobody uses.
func (a *Array) forgetVolume(serial arrayclient.Serial) (*volume, *disk.VolumeRecord, error) {
	a.acts.Lock()
	defer a.acts.Unlock()
	v, err := a.lookup(serial)
	if err != nil {
		return nil, nil, err
	}
	if err := a.setDeleting(v); err != nil {
		return nil, nil, err
	}
	rec := a.store.VolumeRecord(v.id)
	deleted := disk.JSONRecord(disk.RecVolumeDeleted, rec)
	err = a.store.CommitRecord(deleted, func() { delete(a.volumes, v.id) })
	if err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		v.deleting = false
	}
	return v, rec, err
}

// setDeleting keeps hosts from opening v, which is refused when one has.
func (a *Array) setDeleting(v *volume) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := unused(v)
	v.deleting = err == nil
	return err
}

// unused returns an error when v cannot be deleted. Array.mu is held.
func unused(v *volume) error {
	if r := v.target; r != nil {
		return fault.New(fault.Refused, "volume %s is the target of %s", v.serial, r.source.serial).
			WithHint("withdraw the relationship first")
	}
	if len(v.sources) > 0 {
		return fault.New(fault.Refused, "volume %s is the source of %s",
			v.serial, v.sources[0].target.serial).WithHint("withdraw the relationship first")
	}
	if v.opens > 0 {
		return fault.New(fault.Refused, "volume %s is in use by a host", v.serial).
			WithHint("detach it from the host first")
	}
	return nil
}

// SetLabel changes the label of a volume.
func (a *Array) SetLabel(_ context.Context, serial arrayclient.Serial, label string) error {
	end, err := a.begin()
	if err != nil {
		return err
	}
	defer end()
	a.acts.Lock()
	defer a.acts.Unlock()
	v, err := a.lookup(serial)
	if err != nil {
		return err
	}
	rec := *a.store.VolumeRecord(v.id)
	rec.Label = label
	spec := arrayclient.VolumeSpec{Size: rec.Size, Label: label}
	if err := checkSpec(&spec); err != nil {
		return err
	}
	return a.store.CommitRecord(disk.JSONRecord(disk.RecVolumeChanged, rec), nil)
}

// OpenVolume opens a volume for I/O; see arrayclient.Opener.
func (a *Array) OpenVolume(
	_ context.Context, serial arrayclient.Serial,
) (arrayclient.VolumeIO, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.errClosed(); err != nil {
		return nil, err
	}
	v, err := a.lookup(serial)
	if err != nil {
		return nil, err
	}
	if err := v.data.Err(); err != nil && v.absent {
		return nil, err
	}
	if v.deleting {
		return nil, fault.New(fault.Refused, "volume %s is being deleted", serial)
	}
	v.opens++
	return &handle{volume: v}, nil
}

// dedupe returns pairs in their order, each volume pair once.
func dedupe(pairs []arrayclient.Pair) []arrayclient.Pair {
	seen := make(map[arrayclient.Pair]bool, len(pairs))
	var list []arrayclient.Pair
	for _, p := range pairs {
		if !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	return list
}
