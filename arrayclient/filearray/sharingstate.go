package filearray

import (
	"errors"

	"copyservices/arrayclient/filearray/disk"
)

// openSharing finds out whether volumes can share blocks. Those that were made
// before it was noted who does are taken to share with each other.
func (a *Array) openSharing() {
	err := disk.ProbeClone(a.fsys, stageDir)
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
func (v *volume) join(h *sharing, rec *disk.VolumeRecord, since uint64) {
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
		s.share, s.base = v.share, int64(i)*disk.SegmentSize
		s.stamp.fresh = &v.array.stamps
	}
	return segs
}

// notePartners takes over whose blocks volumes may share from the state.
func (h *sharing) notePartners(s *disk.State) {
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
	noted := rec != nil && a.state.Shares(rec)
	a.stateMu.RUnlock()
	if !noted && (rec == nil || a.commitRecord(disk.JSONRecord(disk.RecSharing, r.uid), nil) != nil) {
		return false
	}
	r.mayShare.Store(true)
	return true
}
