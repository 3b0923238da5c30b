package filearray

import (
	"copyservices/arrayclient"
	"encoding/binary"
	"encoding/json"
	"time"
)

type recordType uint32

// The types are append-only. A payload is JSON but for marks.
const (
	recDurable        recordType = iota + 1 // no payload: carries its durable field
	recVolumesCreated                       // []volumeRecord
	recVolumeChanged                        // volumeRecord
	recVolumeDeleted                        // volumeRecord
	recPurged                               // uid of a deleted volume whose files are gone
	recEstablished                          // []relRecord
	recChanged                              // []relChange
	recFailed                               // relFailure
	recEnded                                // []relEnd
	recMarks                                // 16 bytes each: uid 8, first track 4, tracks 4
	recCheckpointed                         // no payload: the meta file of this generation is durable
	recChangedMarks                         // like recMarks
	recSucceeded                            // []relSuccession
	recCopyRate                             // bytes a second of the array
	recVolumeExpanded                       // volumeRecord
	recStaged                               // offset in the volume, data; in stage files only
	recStageChanged                         // []stageChange
	recImagesDurable                        // []uid of relationships whose source was synced since
	recSharing                              // uid of a relationship whose volumes may share blocks from now on
	recStamped                              // []stampChange
)

type record struct {
	kind    recordType
	payload []byte
}

const markSize = 16

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

// stampChange is a stamp that a file has durably.
type stampChange struct {
	ID      uint16 `json:"id"`
	UID     uint64 `json:"uid"`
	Segment int    `json:"segment,omitempty"`
	Stamp   uint64 `json:"stamp"`
}
