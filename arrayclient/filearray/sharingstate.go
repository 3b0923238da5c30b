package filearray

import (
	"errors"
	"slices"
)

// partners returns the uids of the volumes whose blocks the target may share
// once it shares those of the source.
func partners(source, target *volumeRecord) []uint64 {
	list := append(slices.Clone(source.Shares), source.UID)
	list = slices.DeleteFunc(list, func(uid uint64) bool { return uid == target.UID })
	slices.Sort(list)
	return list
}

// shares reports whether it is noted that the target of rel may share the
// source's blocks, and those of the volumes that share them.
func (s *state) shares(rel *relRecord) bool {
	source, target := s.Volumes[rel.Source], s.Volumes[rel.Target]
	return !slices.ContainsFunc(partners(source, target), func(uid uint64) bool {
		return !slices.Contains(target.Shares, uid)
	})
}

// share notes that the target of a relationship may share the source's blocks.
func (s *state) share(uid *uint64) {
	rel := s.Relationships[*uid]
	if rel == nil {
		return
	}
	target := s.Volumes[rel.Target]
	fresh := partners(s.Volumes[rel.Source], target)
	s.setShares(target, append(fresh, target.Shares...))
	for _, v := range s.Volumes {
		if slices.Contains(fresh, v.UID) {
			s.setShares(v, append(slices.Clone(v.Shares), target.UID))
		}
	}
}

// endSharing forgets the partners of a target that has been copied anew all
// over: what it shares, it shares with its source and the partners of that.
func (s *state) endSharing(rel *relRecord) {
	source, target := s.Volumes[rel.Source], s.Volumes[rel.Target]
	if rel.Refreshed || source == nil || target == nil || source.Size != target.Size {
		return
	}
	var rest []uint64
	if slices.Contains(target.Shares, source.UID) {
		rest = partners(source, target)
	}
	s.unshare(target, rest)
}

// unshare takes from the partners of v those that are not in rest.
func (s *state) unshare(v *volumeRecord, rest []uint64) {
	gone := slices.DeleteFunc(slices.Clone(v.Shares), func(uid uint64) bool {
		return slices.Contains(rest, uid)
	})
	if len(gone) == 0 {
		return
	}
	without := func(v *volumeRecord, gone ...uint64) {
		s.setShares(v, slices.DeleteFunc(slices.Clone(v.Shares), func(uid uint64) bool {
			return slices.Contains(gone, uid)
		}))
	}
	for _, other := range s.Volumes {
		if slices.Contains(gone, other.UID) {
			without(other, v.UID)
		}
	}
	without(v, gone...)
}

func (s *state) setShares(v *volumeRecord, list []uint64) {
	changed := *v
	slices.Sort(list)
	changed.Shares = slices.Compact(list)
	s.Volumes[v.ID] = &changed
}

// probeClone reports whether files of the array's folder can share blocks: nil,
// or an error, errors.ErrUnsupported where the file system has no such thing.
func probeClone(fsys FS) (err error) {
	names := [2]string{stageDir + "/probe.0", stageDir + "/probe.1"}
	var files [2]File
	for i, name := range names {
		fsys.Remove(name) // left by a process that was killed
		if files[i], err = fsys.Create(name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, files[i].Close(), fsys.Remove(name)) }()
		if _, err = files[i].WriteAt(zeros[:blockSizeMax], 0); err != nil {
			return err
		}
	}
	return files[1].Clone(files[0], 0, blockSizeMax)
}

// blockSizeMax is a multiple of the block size of every file system.
const blockSizeMax = trackSize

// openSharing finds out whether volumes can share blocks. Those that were made
// before it was noted who does are taken to share with each other.
func (a *Array) openSharing() {
	err := probeClone(a.fsys)
	a.cannotClone.Store(err != nil)
	if a.state.SharingSince == 0 {
		a.state.SharingSince = a.state.NextUID
		if errors.Is(err, errors.ErrUnsupported) {
			a.state.SharingSince = 1
		}
	}
	a.sharing = newSharing()
}

// join makes v one of the volumes that may share blocks.
func (v *volume) join(h *sharing, rec *volumeRecord, since uint64) {
	s := &sharer{hub: h, uid: v.uid, old: rec.UID < since, data: &v.data, sync: v.syncFiles}
	h.mu.Lock()
	h.all[v.uid], h.unsure[s] = s, true
	h.mu.Unlock()
	if s.old {
		h.old.Add(1)
	}
	s.setPartners(rec.Shares)
	v.share = s
}

// adopt makes segs, the files of v, subject to the claims on it, and has the array
// take down their stamps.
func (v *volume) adopt(segs []*segment) []*segment {
	for i, s := range segs {
		s.share, s.base = v.share, int64(i)*segmentSize
		s.stamp.fresh = &v.array.stamps
	}
	return segs
}

// notePartners takes over whose blocks volumes may share from the state.
func (h *sharing) notePartners(s *state) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, rec := range s.Volumes {
		if v := h.all[rec.UID]; v != nil {
			v.setPartners(rec.Shares)
		}
	}
}

func (s *sharer) setPartners(list []uint64) {
	if len(list) == 0 {
		s.partners.Store(nil)
		return
	}
	s.partners.Store(&list)
}

// noteSharing makes it durable that the target may share the source's blocks,
// and reports whether it is.
func (r *relationship) noteSharing() bool {
	if r.mayShare.Load() {
		return true
	}
	a := r.array
	a.stateMu.RLock()
	rec := a.state.Relationships[r.uid]
	noted := rec != nil && a.state.shares(rec)
	a.stateMu.RUnlock()
	if !noted && (rec == nil || a.commitRecord(jsonRecord(recSharing, r.uid), nil) != nil) {
		return false
	}
	r.mayShare.Store(true)
	return true
}
