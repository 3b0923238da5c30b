package filearray

import (
	"context"
	"errors"
	"io/fs"

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
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(pairs) == 0 {
		if err := a.errClosed(); err != nil {
			return err
		}
		return a.commitRecord(jsonRecord(recCopyRate, bytesPerSecond), func() {
			a.rate.set(bytesPerSecond)
		})
	}
	rels, err := a.lookupRelationships(pairs)
	if err != nil {
		return err
	}
	changes := make([]relChange, len(rels))
	for i, r := range rels {
		changes[i] = relChange{UID: r.uid, CopyRate: &bytesPerSecond}
	}
	return a.commitRecord(jsonRecord(recChanged, changes), func() {
		for _, r := range rels {
			r.rate.set(bytesPerSecond)
		}
	})
}

// ExpandVolume makes a volume larger; what is added reads as zeros. It refuses
// a volume that is in a relationship.
func (a *Array) ExpandVolume(_ context.Context, serial arrayclient.Serial, size int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.errClosed(); err != nil {
		return err
	}
	v, err := a.lookup(serial)
	if err != nil {
		return err
	}
	if err := checkSpec(&arrayclient.VolumeSpec{Size: size}); err != nil {
		return err
	}
	old := a.volumeRecord(v.id)
	if size < old.Size {
		return fault.New(fault.Refused, "volume %s has %d bytes and cannot be made smaller",
			serial, old.Size)
	}
	if v.target != nil || len(v.sources) > 0 {
		return fault.New(fault.Refused, "volume %s cannot be expanded: it is in a relationship", serial).
			WithHint("withdraw the relationship first")
	}
	if size == old.Size {
		return nil
	}
	unlock := lockVolumes([]*volume{v})
	defer unlock()
	return a.expand(v, old, size)
}

// expand gives the grown volume files of its own layout: the last segment gets
// its header at the new end first, the record makes it count, and then what
// was the header before becomes zeros. ZeroFrom in the record makes sure of
// that even when a crash comes in between.
func (a *Array) expand(v *volume, old *volumeRecord, size int64) error {
	grown := *old
	grown.Size, grown.ZeroFrom = size, old.Size
	first := segments(old.Size) - 1
	for i := first; i < segments(size); i++ {
		if err := a.growSegment(v, &grown, i); err != nil {
			return err
		}
	}
	if err := a.fsys.SyncDir(volumeDir); err != nil {
		return err
	}
	segs, err := openSegments(a.fsys, a.serial, &grown)
	if err != nil {
		return err
	}
	err = a.commitRecord(jsonRecord(recVolumeExpanded, grown), nil)
	if err != nil {
		closeSegments(segs)
		return err
	}
	closeSegments(v.segs)
	v.segs, v.size = segs, size
	return a.zeroOldHeader(v, &grown)
}

// growSegment writes the header of segment i as it is in the grown volume.
func (a *Array) growSegment(v *volume, grown *volumeRecord, i int) error {
	if i >= len(v.segs) {
		err := createSegment(a.fsys, a.serial, grown, i)
		if errors.Is(err, fs.ErrExist) { // of an expansion that was cut off
			if err = a.fsys.Remove(segmentName(grown, i)); err == nil {
				err = createSegment(a.fsys, a.serial, grown, i)
			}
		}
		return err
	}
	if i == len(v.segs)-1 && dataLength(grown.Size, i) == dataLength(v.size, i) {
		return nil
	}
	s := v.segs[i]
	at := headerOffset(dataLength(grown.Size, i))
	if at == headerOffset(dataLength(v.size, i)) {
		return fault.New(fault.Refused, "volume %s can grow by 4 KiB at least, not by %d bytes",
			v.serial, grown.Size-v.size)
	}
	if _, err := s.WriteAt(segmentHeader(a.serial, grown, i).encode(), at); err != nil {
		return err
	}
	return s.Sync()
}

// finishExpansions does what a crash left to do.
func (a *Array) finishExpansions() error {
	for _, id := range sortedKeys(a.volumes) {
		if rec := a.volumeRecord(id); rec.ZeroFrom > 0 {
			if err := a.zeroOldHeader(a.volumes[id], rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// zeroOldHeader makes the place zeros at which the header was before v grew.
func (a *Array) zeroOldHeader(v *volume, rec *volumeRecord) error {
	end := min(headerOffset(dataLength(rec.ZeroFrom, segments(rec.ZeroFrom)-1))+pageSlot,
		dataLength(rec.Size, segments(rec.ZeroFrom)-1))
	base := int64(segments(rec.ZeroFrom)-1) * segmentSize
	if n := base + end - rec.ZeroFrom; n > 0 {
		if err := v.zero(rec.ZeroFrom, n, false); err != nil {
			return err
		}
		if err := v.sync(); err != nil {
			return err
		}
	}
	done := *rec
	done.ZeroFrom = 0
	return a.commitRecord(jsonRecord(recVolumeChanged, done), nil)
}
