package filearray

import (
	"encoding/json"
	"maps"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// state is all that the array remembers but the bitmaps. A checkpoint writes
// it down whole; between two checkpoints the journal's records change it.
type state struct {
	NextUID       uint64                   `json:"next_uid"`
	Volumes       map[uint16]*volumeRecord `json:"volumes"`
	Relationships map[uint64]*relRecord    `json:"relationships"`
	// CopyRate bounds all background copying, in bytes a second; 0 for no bound.
	CopyRate int64 `json:"copy_rate,omitempty"`
	// Deleted are volumes whose files may still be there.
	Deleted map[uint64]*volumeRecord `json:"deleted,omitempty"`
	// Session is the generation of the last opening; see generation.go.
	Session uint64 `json:"session,omitempty"`
	// SharingSince is the first uid of volumes of which it is noted with whom
	// they share blocks. Older ones may share with each other; 0: all may.
	SharingSince uint64 `json:"sharing_since,omitempty"`
}

func newState() *state {
	return &state{
		NextUID:       1,
		SharingSince:  1,
		Volumes:       map[uint16]*volumeRecord{},
		Relationships: map[uint64]*relRecord{},
		Deleted:       map[uint64]*volumeRecord{},
	}
}

// clone copies s so deep that applying records to s leaves the copy alone.
func (s *state) clone() *state {
	c := &state{
		NextUID:       s.NextUID,
		SharingSince:  s.SharingSince,
		Session:       s.Session,
		CopyRate:      s.CopyRate,
		Volumes:       maps.Clone(s.Volumes),
		Relationships: maps.Clone(s.Relationships),
		Deleted:       maps.Clone(s.Deleted),
	}
	return c
}

// apply changes s as r says. Records are replaced, never changed in place, so
// that a clone stays as it was.
func (s *state) apply(r record) error {
	switch r.kind {
	case recDurable, recCheckpointed, recMarks, recChangedMarks:
		return nil
	case recCopyRate:
		return applyOne(r, func(rate *int64) { s.CopyRate = *rate })
	case recSucceeded:
		return applyEach(r, s.succeed)
	case recVolumesCreated:
		return applyEach(r, s.putVolume)
	case recVolumeChanged, recVolumeExpanded:
		return applyOne(r, s.putVolume)
	case recVolumeDeleted:
		return applyOne(r, func(v *volumeRecord) {
			s.unshare(v, nil)
			delete(s.Volumes, v.ID)
			s.Deleted[v.UID] = v
		})
	case recStageChanged:
		return applyEach(r, s.changeStage)
	case recPurged:
		return applyOne(r, func(uid *uint64) { delete(s.Deleted, *uid) })
	case recEstablished:
		return applyEach(r, s.establish)
	case recStamped:
		return applyEach(r, s.stamp)
	case recSharing:
		return applyOne(r, s.share)
	case recImagesDurable:
		return applyEach(r, s.imageDurable)
	case recChanged:
		return applyEach(r, s.change)
	case recFailed:
		return applyOne(r, s.fail)
	case recEnded:
		return applyEach(r, s.end)
	}
	return fault.New(fault.Failed, "a record has type %d, which this program does not know", r.kind).
		WithHint("use the version of copyserver that wrote it, or a newer one")
}

// putVolume puts v in place of the record that it was made of, which may have
// got or lost a stage, partners or stamps meanwhile.
func (s *state) putVolume(v *volumeRecord) {
	if old := s.Volumes[v.ID]; old != nil && old.UID == v.UID {
		v.Staged, v.Shares = old.Staged, old.Shares
		v.Stamps, v.StageStamp = old.Stamps, old.StageStamp
	}
	s.Volumes[v.ID] = v
	s.NextUID = max(s.NextUID, v.UID+1)
}

func (s *state) changeStage(c *stageChange) {
	if v := s.Volumes[c.ID]; v != nil {
		changed := *v
		changed.Staged = c.Staged
		s.Volumes[c.ID] = &changed
	}
}

func (s *state) establish(rel *relRecord) {
	s.Relationships[rel.UID] = rel
	s.NextUID = max(s.NextUID, rel.UID+1)
	s.setLastCopy(rel.Target, lastCopyRecord{
		Source: rel.Source, Established: rel.Established, Outcome: arrayclient.OutcomeActive,
	})
}

func (s *state) imageDurable(uid *uint64) {
	if rel := s.Relationships[*uid]; rel != nil {
		changed := *rel
		changed.ImageDurable = true
		s.Relationships[*uid] = &changed
	}
}

func (s *state) setLastCopy(id uint16, last lastCopyRecord) {
	if v := s.Volumes[id]; v != nil {
		changed := *v
		changed.LastCopy = &last
		s.Volumes[id] = &changed
	}
}

func (s *state) change(c *relChange) {
	rel := s.Relationships[c.UID]
	if rel == nil {
		return
	}
	changed := *rel
	changed.Options.NoCopy = changed.Options.NoCopy && !c.Copy
	if !c.Completed.IsZero() {
		changed.Completed = c.Completed
	}
	if c.CopyRate != nil {
		changed.CopyRate = *c.CopyRate
	}
	s.Relationships[c.UID] = &changed
}

func (s *state) succeed(next *relSuccession) {
	s.endRecord(&relEnd{next.Old, next.New.Established, arrayclient.OutcomeComplete})
	next.New.Refreshed = true
	s.establish(next.New)
}

func (s *state) fail(f *relFailure) {
	if rel := s.Relationships[f.UID]; rel != nil && rel.Failed == "" {
		changed := *rel
		changed.Failed = f.Reason
		s.Relationships[f.UID] = &changed
	}
}

func (s *state) end(e *relEnd) {
	if rel := s.Relationships[e.UID]; rel != nil && e.Outcome == arrayclient.OutcomeComplete {
		s.endSharing(rel)
	}
	s.endRecord(e)
}

func (s *state) endRecord(e *relEnd) {
	rel := s.Relationships[e.UID]
	if rel == nil {
		return
	}
	delete(s.Relationships, e.UID)
	s.setLastCopy(rel.Target, lastCopyRecord{
		Source: rel.Source, Established: rel.Established, Ended: e.Time, Outcome: e.Outcome,
	})
}

func applyOne[T any](r record, f func(*T)) error {
	v := new(T)
	if err := json.Unmarshal(r.payload, v); err != nil {
		return err
	}
	f(v)
	return nil
}

func applyEach[T any](r record, f func(*T)) error {
	var list []*T
	if err := json.Unmarshal(r.payload, &list); err != nil {
		return err
	}
	for _, v := range list {
		f(v)
	}
	return nil
}

// stamp takes down a stamp.
func (s *state) stamp(c *stampChange) {
	v := s.Volumes[c.ID]
	if v == nil || v.UID != c.UID {
		return
	}
	changed := *v
	switch {
	case c.Segment == ofStage:
		changed.StageStamp = max(v.StageStamp, c.Stamp)
	case c.Segment < segments(v.Size):
		changed.Stamps = make([]uint64, max(len(v.Stamps), c.Segment+1))
		copy(changed.Stamps, v.Stamps)
		changed.Stamps[c.Segment] = max(changed.Stamps[c.Segment], c.Stamp)
	}
	s.Volumes[c.ID] = &changed
}

// related reports whether a volume is in a relationship that has not failed.
func (s *state) related(rec *volumeRecord) bool {
	for _, rel := range s.Relationships {
		if rel.Failed == "" && (rel.Source == rec.ID || rel.Target == rec.ID) {
			return true
		}
	}
	return false
}
