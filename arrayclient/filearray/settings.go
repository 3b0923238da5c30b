package filearray

import (
	"context"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/segments"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// SetCopyRate bounds background copying, in bytes a second, 0 for no bound: of
// the relationships of pairs, or, without any, of the whole array. It holds at
// once and stays over restarts.
func (a *Array) SetCopyRate(
	_ context.Context, bytesPerSecond int64, pairs ...arrayclient.Pair,
) error {
	if bytesPerSecond < 0 || bytesPerSecond > 0 && bytesPerSecond < trackSize {
		return fault.New(fault.Usage, "a copy rate of %d bytes a second is not possible",
			bytesPerSecond).WithHint("give at least %d, or 0 for no bound", trackSize)
	}
	end, err := a.begin()
	if err != nil {
		return err
	}
	defer end()
	a.acts.Lock()
	defer a.acts.Unlock()
	if len(pairs) == 0 {
		return a.store.CommitRecord(disk.JSONRecord(disk.RecCopyRate, bytesPerSecond), func() {
			a.rate.set(bytesPerSecond)
		})
	}
	rels, err := a.lookupRelationships(pairs)
	if err != nil {
		return err
	}
	changes := make([]disk.RelationshipChange, len(rels))
	for i, r := range rels {
		changes[i] = disk.RelationshipChange{UID: r.uid, CopyRate: &bytesPerSecond}
	}
	return a.store.CommitRecord(disk.JSONRecord(disk.RecChanged, changes), func() {
		for _, r := range rels {
			r.rate.set(bytesPerSecond)
		}
	})
}

// ExpandVolume makes a volume larger; what is added reads as zeros. It refuses
// a volume that is in a relationship.
func (a *Array) ExpandVolume(_ context.Context, serial arrayclient.Serial, size int64) error {
	end, err := a.begin()
	if err != nil {
		return err
	}
	defer end()
	if err := a.settleVolume(serial); err != nil {
		return err
	}
	a.acts.Lock()
	defer a.acts.Unlock()
	v, err := a.lookup(serial)
	if err != nil {
		return err
	}
	if err := checkSpec(&arrayclient.VolumeSpec{Size: size}); err != nil {
		return err
	}
	old := a.store.VolumeRecord(v.id)
	if size < old.Size {
		return fault.New(fault.Refused, "volume %s has %d bytes and cannot be made smaller",
			serial, old.Size)
	}
	if v.target != nil || len(v.sources) > 0 {
		return fault.New(fault.Refused, "volume %s cannot be expanded: it is in a relationship", serial).
			WithHint("withdraw the relationship first")
	}
	if size == old.Size && old.ZeroFrom == 0 {
		return nil
	}
	if err := v.data.Err(); err != nil {
		return fault.New(fault.Refused, "volume %s has failed: %w", serial, err)
	}
	if old.ZeroFrom > 0 {
		if err := a.finishExpansion(v, old); err != nil || size == old.Size {
			return err
		}
		old = a.store.VolumeRecord(v.id)
	}
	return a.expand(v, old, size)
}

// settleVolume makes a volume durable, so that its expansion has little to
// sync.
func (a *Array) settleVolume(serial arrayclient.Serial) error {
	a.mu.RLock()
	v, err := a.lookup(serial)
	a.mu.RUnlock()
	if err == nil {
		settleAll([]*volume{v})()
	}
	return err
}

// expand gives the volume files of its grown layout: the last segment gets its
// header at the new end first, the record makes it count, and then what was
// the header before becomes zeros. ZeroFrom in the record makes sure of that
// even when a crash comes in between. Hosts go on meanwhile: they reach what is
// added when all is done.
func (a *Array) expand(v *volume, old *disk.VolumeRecord, size int64) error {
	grown := *old
	grown.Size, grown.ZeroFrom = size, old.Size
	files, err := a.store.Folder.Grow(v.data, &grown)
	if err == nil {
		err = a.store.CommitRecord(disk.JSONRecord(disk.RecVolumeExpanded, grown), nil)
	}
	if err != nil {
		segments.CloseFiles(files)
		a.dropSegments(&grown, len(v.data.Files()))
		v.data.HoldStamps(false)
		return err
	}
	replaceFiles(v, v.data.Size, files)
	return a.finishExpansion(v, &grown)
}

// finishExpansion does what is left of an expansion. Until that is done the volume
// keeps its old size: what would be written behind it, the next opening wipes out.
func (a *Array) finishExpansion(v *volume, rec *disk.VolumeRecord) error {
	if err := a.zeroOldHeader(v, rec); err != nil {
		return fault.New(fault.KindOf(err), "volume %s is not expanded yet: %w", v.serial, err).
			WithHint("expand it once more, or start copyserver again")
	}
	replaceFiles(v, rec.Size, v.data.Files())
	return nil
}

// replaceFiles gives the volume other files, or another size. Array.acts is held.
func replaceFiles(v *volume, size int64, files []*segments.File) {
	v.gate.Lock()
	defer v.gate.Unlock()
	v.files.Lock()
	defer v.files.Unlock()
	v.setFiles(size, files)
}

// usable returns why v cannot be in a relationship, or nil.
func usable(v *volume) error {
	if v.array.store.VolumeRecord(v.id).ZeroFrom > 0 {
		return fault.New(fault.Refused, "its expansion is not finished").
			WithHint("expand it once more to the same size")
	}
	return v.data.Err()
}

// dropSegments removes the files from number n on, unless it is not known
// whether the record that makes them count is in the journal.
func (a *Array) dropSegments(rec *disk.VolumeRecord, n int) {
	if a.store.Err() != nil {
		return
	}
	for i := n; i < disk.Segments(rec.Size); i++ {
		if err := a.fsys.Remove(disk.SegmentName(rec, i)); err != nil && !disk.IsNotExist(err) {
			a.log.Warn("file not removed", "file", disk.SegmentName(rec, i), "error", err)
		}
	}
}

// finishExpansions does what a crash left to do.
func (a *Array) finishExpansions() {
	for _, id := range sortedKeys(a.volumes) {
		v, rec := a.volumes[id], a.store.VolumeRecord(id)
		if rec.ZeroFrom > 0 && v.data.Err() == nil {
			v.setFiles(rec.ZeroFrom, v.data.Files())
			if err := a.finishExpansion(v, rec); err != nil {
				a.log.Error("volume not expanded", "volume", string(v.serial), "error", err)
			}
		}
	}
}

// zeroOldHeader makes the place zeros at which the header was before v grew.
func (a *Array) zeroOldHeader(v *volume, rec *disk.VolumeRecord) error {
	last := disk.Segments(rec.ZeroFrom) - 1
	header := disk.HeaderOffset(disk.DataLength(rec.ZeroFrom, last))
	end := min(header+disk.HeaderAlignment, disk.DataLength(rec.Size, last))
	base := int64(last) * disk.SegmentSize
	if n := base + end - rec.ZeroFrom; n > 0 {
		if err := v.data.Zero(rec.ZeroFrom, n, false); err != nil {
			return err
		}
		if err := v.data.Sync(); err != nil {
			return err
		}
	}
	done := *rec
	done.ZeroFrom = 0
	return a.store.CommitRecord(disk.JSONRecord(disk.RecVolumeChanged, done), nil)
}
