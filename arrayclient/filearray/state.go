package filearray

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"time"

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

type volumeRecord struct {
	ID       uint16          `json:"id"`
	UID      uint64          `json:"uid"` // never used again, unlike the id
	Size     int64           `json:"size"`
	Label    string          `json:"label,omitempty"`
	Created  time.Time       `json:"created"`
	LastCopy *lastCopyRecord `json:"last_copy,omitempty"`
	// Staged says that the volume's stage file must be there.
	Staged bool `json:"staged,omitempty"`
	// ZeroFrom is the size before an expansion of which one step is left to
	// do; 0 otherwise.
	ZeroFrom int64 `json:"zero_from,omitempty"`
	// Shares are the uids of the volumes whose blocks it may share (sharing.go),
	// in order. It stands in their records too.
	Shares []uint64 `json:"shares,omitempty"`
	// Stamps are those that its segments have at least (stamp.go).
	Stamps []uint64 `json:"stamps,omitempty"`
	// StageStamp is that of the last of its stage files.
	StageStamp uint64 `json:"stage_stamp,omitempty"`
}

type lastCopyRecord struct {
	Source      uint16              `json:"source"`
	Established time.Time           `json:"established"`
	Ended       time.Time           `json:"ended,omitzero"`
	Outcome     arrayclient.Outcome `json:"outcome"`
}

type relRecord struct {
	UID         uint64              `json:"uid"`
	Source      uint16              `json:"source"`
	Target      uint16              `json:"target"`
	Options     arrayclient.Options `json:"options"`
	Established time.Time           `json:"established"`
	Completed   time.Time           `json:"completed,omitzero"`
	Failed      string              `json:"failed,omitempty"`
	// CopyRate bounds its background copy, in bytes a second; 0 for no bound.
	CopyRate int64 `json:"copy_rate,omitempty"`
	// ImageDurable says that the source was synced after the image was taken:
	// what of the image is read from it was on the disk then. Without, the
	// establish may have been cut off.
	ImageDurable bool `json:"image_durable,omitempty"`
	// Copied and Changed are how many bits the bitmap files have at least, as
	// of the checkpoint: fewer mean that they are damaged.
	Copied  int64 `json:"copied,omitempty"`
	Changed int64 `json:"changed,omitempty"`
	// Refreshed says that the target had tracks already when it began.
	Refreshed bool `json:"refreshed,omitempty"`
}

// relSuccession is a relationship that takes the place of another: the same
// pair refreshed, or reversed. What the old one has copied and not changed
// since, the new one has; see bitmap.without.
type relSuccession struct {
	Old uint64     `json:"old"`
	New *relRecord `json:"new"`
}

// relChange changes what it names and leaves the rest, of which a failure
// may be noted meanwhile.
type relChange struct {
	UID       uint64    `json:"uid"`
	Copy      bool      `json:"copy,omitempty"` // nocopy no more
	Completed time.Time `json:"completed,omitzero"`
	CopyRate  *int64    `json:"copy_rate,omitempty"`
}

type stageChange struct {
	ID     uint16 `json:"id"`
	Staged bool   `json:"staged"`
}

type relFailure struct {
	UID    uint64 `json:"uid"`
	Reason string `json:"reason"`
}

type relEnd struct {
	UID     uint64              `json:"uid"`
	Time    time.Time           `json:"time"`
	Outcome arrayclient.Outcome `json:"outcome"`
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

// jsonRecord makes a record of v, which marshals without fail.
func jsonRecord(kind recordType, v any) record {
	payload, err := json.Marshal(v)
	if err != nil {
		panic("filearray: " + err.Error()) // only types of this package come here
	}
	return record{kind, payload}
}

// eachMark calls f for the marks of r.
func eachMark(r record, f func(uid uint64, first, n int64)) {
	for p := r.payload; len(p) >= markSize; p = p[markSize:] {
		f(binary.LittleEndian.Uint64(p), int64(binary.LittleEndian.Uint32(p[8:])),
			int64(binary.LittleEndian.Uint32(p[12:])))
	}
}

func appendMark(p []byte, uid uint64, first, n int64) []byte {
	p = binary.LittleEndian.AppendUint64(p, uid)
	p = binary.LittleEndian.AppendUint32(p, uint32(first))
	return binary.LittleEndian.AppendUint32(p, uint32(n))
}

// sortedKeys returns the keys of m in order.
func sortedKeys[K uint16 | uint64, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
