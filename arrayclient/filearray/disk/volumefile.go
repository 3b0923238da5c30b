package disk

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// SegmentSize is the length of all segments but the last of a volume.
//
// A volume's data is in segment files of at most SegmentSize bytes, because file
// systems limit the size of a file (ext4: 16 TiB less 4 KiB). Data begins at offset
// 0 and is raw. Behind it, at the next multiple of 4 KiB, stands the header that
// tells whose file it is, and behind that a stamp: a number that only grows, by
// which an older file is told from the one that was there.
const SegmentSize = 1 << 40

const (
	// StampStart is where the stamp is behind the begin of the header: in a sector
	// of its own, so that no crash can harm the header.
	StampStart      = 512
	SegmentTailSize = StampStart + HeaderSize // of a segment, behind its data
	// OfStage stands for a stage file where another stamp has the segment's number.
	OfStage = 1 << 16
)

// HeaderAlignment is what the offset of a segment's header is a multiple of.
const HeaderAlignment = 4096

// VolumeDir is the folder of all segments.
const VolumeDir = "volumes"

// SegmentName returns the name of segment i of a volume.
func SegmentName(v *VolumeRecord, i int) string {
	return fmt.Sprintf("%s/%03X.%08d.%d", VolumeDir, v.ID, v.UID, i)
}

// Segments returns how many files a volume of size bytes has.
func Segments(size int64) int { return int((size + SegmentSize - 1) / SegmentSize) }

// DataLength returns how many bytes of data segment i holds.
func DataLength(size int64, i int) int64 { return min(size-int64(i)*SegmentSize, SegmentSize) }

// HeaderOffset returns where the header of a segment with length bytes of data is.
func HeaderOffset(length int64) int64 {
	return (length + HeaderAlignment - 1) &^ (HeaderAlignment - 1)
}

// SegmentHeader is the header of segment i of a volume.
func SegmentHeader(serial string, v *VolumeRecord, i int) Header {
	return Header{
		Magic: MagicVolume, ID: v.UID, Serial: serial,
		Length: uint64(DataLength(v.Size, i)), Extra: uint32(i),
	}
}

// SegmentTail is what a segment ends with.
func SegmentTail(serial string, v *VolumeRecord, i int, stamp uint64) []byte {
	b := make([]byte, SegmentTailSize)
	copy(b, SegmentHeader(serial, v, i).Encode())
	h := StampHeader(serial, v.UID, i)
	h.Length = stamp
	copy(b[StampStart:], h.Encode())
	return b
}

// StageDir is the folder of the volumes' stage files.
const StageDir = "stages"

// StageName is the name of a volume's stage file.
func StageName(id uint16, uid uint64) string {
	return fmt.Sprintf("%s/%03X.%08d", StageDir, id, uid)
}

// StampHeader is the stamp of a segment, or of a stage file for OfStage, without
// the number itself.
func StampHeader(serial string, uid uint64, segment int) Header {
	return Header{Magic: magicStamp, ID: uid, Extra: uint32(segment), Serial: serial}
}

// ReadStamp returns the stamp at an offset of a file, 0 when there is none.
func ReadStamp(f File, name string, at int64, want Header) (uint64, error) {
	b := make([]byte, HeaderSize)
	if _, err := f.ReadAt(b, at); err != nil && err != io.EOF {
		return 0, err
	}
	if slices.Equal(b, Zeros[:HeaderSize]) {
		return 0, nil
	}
	h, err := ReadHeader(f, name, at, magicStamp, want.Serial)
	if err == nil && (h.ID != want.ID || h.Extra != want.Extra) {
		err = Corrupt(name, "its stamp is that of another file")
	}
	return h.Length, err
}

// NextStamp returns a stamp that is newer than last.
func NextStamp(last uint64) uint64 { return max(last+1, uint64(time.Now().UnixMilli())) }

// ParseSegmentName returns whose segment has a name in VolumeDir.
func ParseSegmentName(name string) (id uint16, uid uint64, ok bool) {
	var i int
	n, err := fmt.Sscanf(name, "%03X.%08d.%d", &id, &uid, &i)
	return id, uid, n == 3 && err == nil
}
