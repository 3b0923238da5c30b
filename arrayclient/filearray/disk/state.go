package disk

import (
	"encoding/json"
	"maps"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// State is all that the array remembers but the bitmaps. A checkpoint writes
// it down whole; between two checkpoints the journal's records change it.
type State struct {
	NextUID       uint64                         `json:"next_uid"`
	Volumes       map[uint16]*VolumeRecord       `json:"volumes"`
	Relationships map[uint64]*RelationshipRecord `json:"relationships"`
	// CopyRate bounds all background copying, in bytes a second; 0 for no bound.
	CopyRate int64 `json:"copy_rate,omitempty"`
	// Deleted are volumes whose files may still be there.
	Deleted map[uint64]*VolumeRecord `json:"deleted,omitempty"`
	// Session is the generation of the last opening; see generation.go.
	Session uint64 `json:"session,omitempty"`
	// SharingSince is the first uid of volumes of which it is noted with whom
	// they share blocks. Older ones may share with each other; 0: all may.
	SharingSince uint64 `json:"sharing_since,omitempty"`
}

// NewState returns the state of an array without volumes.
func NewState() *State {
	return &State{
		NextUID:       1,
		SharingSince:  1,
		Volumes:       map[uint16]*VolumeRecord{},
		Relationships: map[uint64]*RelationshipRecord{},
		Deleted:       map[uint64]*VolumeRecord{},
	}
}

// Clone copies s so deep that applying records to s leaves the copy alone.
func (s *State) Clone() *State {
	c := &State{
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

// Apply changes s as r says. Records are replaced, never changed in place, so
// that a clone stays as it was.
func (s *State) Apply(r Record) error {
	switch r.Kind {
	case RecDurable, RecCheckpointed, RecMarks, RecChangedMarks:
		return nil
	case RecCopyRate:
		return applyOne(r, func(rate *int64) { s.CopyRate = *rate })
	case RecReplaced:
		return ApplyEach(r, s.replace)
	case RecVolumesCreated:
		return ApplyEach(r, s.putVolume)
	case RecVolumeChanged, RecVolumeExpanded:
		return applyOne(r, s.putVolume)
	case RecVolumeDeleted:
		return applyOne(r, func(v *VolumeRecord) {
			s.unshare(v, nil)
			delete(s.Volumes, v.ID)
			s.Deleted[v.UID] = v
		})
	case RecStageChanged:
		return ApplyEach(r, s.changeStage)
	case RecPurged:
		return applyOne(r, func(uid *uint64) { delete(s.Deleted, *uid) })
	case RecEstablished:
		return ApplyEach(r, s.establish)
	case RecStamped:
		return ApplyEach(r, s.stamp)
	case RecSharing:
		return applyOne(r, s.share)
	case RecImagesDurable:
		return ApplyEach(r, s.imageDurable)
	case RecChanged:
		return ApplyEach(r, s.change)
	case RecFailed:
		return applyOne(r, s.fail)
	case RecEnded:
		return ApplyEach(r, s.end)
	}
	return fault.New(fault.Failed, "a record has type %d, which this program does not know", r.Kind).
		WithHint("use the version of copyserver that wrote it, or a newer one")
}

// putVolume puts v in place of the record that it was made of, which may have
// got or lost a stage, partners or stamps meanwhile.
func (s *State) putVolume(v *VolumeRecord) {
	if old := s.Volumes[v.ID]; old != nil && old.UID == v.UID {
		v.Staged, v.Shares = old.Staged, old.Shares
		v.Stamps, v.StageStamp = old.Stamps, old.StageStamp
	}
	s.Volumes[v.ID] = v
	s.NextUID = max(s.NextUID, v.UID+1)
}

func (s *State) changeStage(c *StageChange) {
	if v := s.Volumes[c.ID]; v != nil {
		changed := *v
		changed.Staged = c.Staged
		s.Volumes[c.ID] = &changed
	}
}

func (s *State) establish(rel *RelationshipRecord) {
	s.Relationships[rel.UID] = rel
	s.NextUID = max(s.NextUID, rel.UID+1)
	s.setLastCopy(rel.Target, LastCopyRecord{
		Source: rel.Source, Established: rel.Established, Outcome: arrayclient.OutcomeActive,
	})
}

func (s *State) imageDurable(uid *uint64) {
	if rel := s.Relationships[*uid]; rel != nil {
		changed := *rel
		changed.ImageDurable = true
		s.Relationships[*uid] = &changed
	}
}

func (s *State) setLastCopy(id uint16, last LastCopyRecord) {
	if v := s.Volumes[id]; v != nil {
		changed := *v
		changed.LastCopy = &last
		s.Volumes[id] = &changed
	}
}

func (s *State) change(c *RelationshipChange) {
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

func (s *State) replace(next *Replacement) {
	s.endRecord(&End{next.Old, next.New.Established, arrayclient.OutcomeComplete})
	next.New.Refreshed = true
	s.establish(next.New)
}

func (s *State) fail(f *Failure) {
	if rel := s.Relationships[f.UID]; rel != nil && rel.Failed == "" {
		changed := *rel
		changed.Failed = f.Reason
		s.Relationships[f.UID] = &changed
	}
}

func (s *State) end(e *End) {
	if rel := s.Relationships[e.UID]; rel != nil && e.Outcome == arrayclient.OutcomeComplete {
		s.endSharing(rel)
	}
	s.endRecord(e)
}

func (s *State) endRecord(e *End) {
	rel := s.Relationships[e.UID]
	if rel == nil {
		return
	}
	delete(s.Relationships, e.UID)
	s.setLastCopy(rel.Target, LastCopyRecord{
		Source: rel.Source, Established: rel.Established, Ended: e.Time, Outcome: e.Outcome,
	})
}

func applyOne[T any](r Record, f func(*T)) error {
	v := new(T)
	if err := json.Unmarshal(r.Payload, v); err != nil {
		return err
	}
	f(v)
	return nil
}

// ApplyEach calls f for the elements of the JSON list in r.
func ApplyEach[T any](r Record, f func(*T)) error {
	var list []*T
	if err := json.Unmarshal(r.Payload, &list); err != nil {
		return err
	}
	for _, v := range list {
		f(v)
	}
	return nil
}

// stamp takes down a stamp.
func (s *State) stamp(c *StampChange) {
	v := s.Volumes[c.ID]
	if v == nil || v.UID != c.UID {
		return
	}
	changed := *v
	switch {
	case c.Segment == OfStage:
		changed.StageStamp = max(v.StageStamp, c.Stamp)
	case c.Segment < Segments(v.Size):
		changed.Stamps = make([]uint64, max(len(v.Stamps), c.Segment+1))
		copy(changed.Stamps, v.Stamps)
		changed.Stamps[c.Segment] = max(changed.Stamps[c.Segment], c.Stamp)
	}
	s.Volumes[c.ID] = &changed
}

// Related reports whether a volume is in a relationship that has not failed.
func (s *State) Related(rec *VolumeRecord) bool {
	for _, rel := range s.Relationships {
		if rel.Failed == "" && (rel.Source == rec.ID || rel.Target == rec.ID) {
			return true
		}
	}
	return false
}
