package disk

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"copyservices/arrayclient"
)

// RecordType says what a payload means.
type RecordType uint32

// The types are append-only. A payload is JSON but for marks.
const (
	RecDurable        RecordType = iota + 1 // no payload: carries its durable field
	RecVolumesCreated                       // []VolumeRecord
	RecVolumeChanged                        // VolumeRecord
	RecVolumeDeleted                        // VolumeRecord
	RecPurged                               // uid of a deleted volume whose files are gone
	RecEstablished                          // []RelationshipRecord
	RecChanged                              // []RelationshipChange
	RecFailed                               // Failure
	RecEnded                                // []End
	RecMarks                                // 16 bytes each: uid 8, first track 4, tracks 4
	RecCheckpointed                         // no payload: the meta file of this generation is durable
	RecChangedMarks                         // like RecMarks
	RecReplaced                             // []Replacement
	RecCopyRate                             // bytes a second of the array
	RecVolumeExpanded                       // VolumeRecord
	RecStaged                               // offset in the volume, data; in stage files only
	RecStageChanged                         // []StageChange
	RecImagesDurable                        // []uid of relationships whose source was synced since
	RecSharing                              // uid of a relationship whose volumes may share blocks from now on
	RecStamped                              // []StampChange
)

// Record is a change of the state, or of bitmaps, in the journal.
type Record struct {
	Kind    RecordType
	Payload []byte
}

const markSize = 16

// VolumeRecord is what the state holds of a volume.
type VolumeRecord struct {
	ID       uint16          `json:"id"`
	UID      uint64          `json:"uid"` // never used again, unlike the id
	Size     int64           `json:"size"`
	Label    string          `json:"label,omitempty"`
	Created  time.Time       `json:"created"`
	LastCopy *LastCopyRecord `json:"last_copy,omitempty"`
	// Staged says that the volume's stage file must be there.
	Staged bool `json:"staged,omitempty"`
	// ZeroFrom is the size before an expansion of which one step is left to
	// do; 0 otherwise.
	ZeroFrom int64 `json:"zero_from,omitempty"`
	// Shares are the uids of the volumes whose blocks it may share (shares.go),
	// in order. It stands in their records too.
	Shares []uint64 `json:"shares,omitempty"`
	// Stamps are those that its segments have at least (volumefile.go).
	Stamps []uint64 `json:"stamps,omitempty"`
	// StageStamp is that of the last of its stage files.
	StageStamp uint64 `json:"stage_stamp,omitempty"`
}

// LastCopyRecord is the last relationship that had the volume as its target.
type LastCopyRecord struct {
	Source      uint16              `json:"source"`
	Established time.Time           `json:"established"`
	Ended       time.Time           `json:"ended,omitzero"`
	Outcome     arrayclient.Outcome `json:"outcome"`
}

// RelationshipRecord is what the state holds of a relationship.
type RelationshipRecord struct {
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

// Replacement is a relationship that takes the place of another: the same
// pair refreshed, or reversed. What the old one has copied and not changed
// since, the new one has; see Without of package bitmap.
type Replacement struct {
	Old uint64              `json:"old"`
	New *RelationshipRecord `json:"new"`
}

// RelationshipChange changes what it names and leaves the rest, of which a failure
// may be noted meanwhile.
type RelationshipChange struct {
	UID       uint64    `json:"uid"`
	Copy      bool      `json:"copy,omitempty"` // nocopy no more
	Completed time.Time `json:"completed,omitzero"`
	CopyRate  *int64    `json:"copy_rate,omitempty"`
}

// StageChange says whether a volume's stage file must be there.
type StageChange struct {
	ID     uint16 `json:"id"`
	Staged bool   `json:"staged"`
}

// Failure is a relationship's: its target lacks tracks for good.
type Failure struct {
	UID    uint64 `json:"uid"`
	Reason string `json:"reason"`
}

// End is how a relationship ended.
type End struct {
	UID     uint64              `json:"uid"`
	Time    time.Time           `json:"time"`
	Outcome arrayclient.Outcome `json:"outcome"`
}

// JSONRecord makes a record of v, which marshals without fail.
func JSONRecord(kind RecordType, v any) Record {
	payload, err := json.Marshal(v)
	if err != nil {
		panic("disk: " + err.Error()) // only types of this package come here
	}
	return Record{kind, payload}
}

// EachMark calls f for the marks of r.
func EachMark(r Record, f func(uid uint64, first, n int64)) {
	for p := r.Payload; len(p) >= markSize; p = p[markSize:] {
		f(binary.LittleEndian.Uint64(p), int64(binary.LittleEndian.Uint32(p[8:])),
			int64(binary.LittleEndian.Uint32(p[12:])))
	}
}

// AppendMark appends a mark, as in the payload of RecMarks, to p.
func AppendMark(p []byte, uid uint64, first, n int64) []byte {
	p = binary.LittleEndian.AppendUint64(p, uid)
	p = binary.LittleEndian.AppendUint32(p, uint32(first))
	return binary.LittleEndian.AppendUint32(p, uint32(n))
}

// StampChange is a stamp that a file has durably.
type StampChange struct {
	ID      uint16 `json:"id"`
	UID     uint64 `json:"uid"`
	Segment int    `json:"segment,omitempty"`
	Stamp   uint64 `json:"stamp"`
}
