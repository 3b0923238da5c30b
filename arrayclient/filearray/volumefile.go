package filearray

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// A volume's data is in segment files of at most segmentSize bytes, because
// file systems limit the size of a file (ext4: 16 TiB less 4 KiB). Data
// begins at offset 0 and is raw. Behind it, at the next multiple of 4 KiB,
// stands the header that tells whose file it is, and behind that a stamp: a number that
// only grows, by which a file tells that it is not an older one.
const segmentSize = 1 << 40

const (
	// stampStart is where the stamp is behind the begin of the header: in a sector
	// of its own, so that no crash can harm the header.
	stampStart = 512
	tailSize   = stampStart + headerSize // of a segment, behind its data
	// ofStage stands for a stage file where another stamp has the segment's number.
	ofStage = 1 << 16
)

const volumeDir = "volumes"

func segmentName(v *volumeRecord, i int) string {
	return fmt.Sprintf("%s/%03X.%08d.%d", volumeDir, v.ID, v.UID, i)
}

// segments returns how many files a volume of size bytes has.
func segments(size int64) int { return int((size + segmentSize - 1) / segmentSize) }

// dataLength returns how many bytes of data segment i holds.
func dataLength(size int64, i int) int64 { return min(size-int64(i)*segmentSize, segmentSize) }

func headerOffset(length int64) int64 { return (length + 4095) &^ 4095 }

func segmentHeader(serial string, v *volumeRecord, i int) header {
	return header{
		magic: magicVolume, id: v.UID, serial: serial,
		length: uint64(dataLength(v.Size, i)), extra: uint32(i),
	}
}

// tail is what a segment ends with.
func tail(serial string, v *volumeRecord, i int, stamp uint64) []byte {
	b := make([]byte, tailSize)
	copy(b, segmentHeader(serial, v, i).encode())
	h := stampHeader(serial, v.UID, i)
	h.length = stamp
	copy(b[stampStart:], h.encode())
	return b
}

// stampHeader is the stamp of a segment, or of a stage file for ofStage, without
// the number itself.
func stampHeader(serial string, uid uint64, segment int) header {
	return header{magic: magicStamp, id: uid, extra: uint32(segment), serial: serial}
}

// readStamp returns the stamp at an offset of a file, 0 when there is none.
func readStamp(f File, name string, at int64, want header) (uint64, error) {
	b := make([]byte, headerSize)
	if _, err := f.ReadAt(b, at); err != nil && err != io.EOF {
		return 0, err
	}
	if slices.Equal(b, zeros[:headerSize]) {
		return 0, nil
	}
	h, err := readHeader(f, name, at, magicStamp, want.serial)
	if err == nil && (h.id != want.id || h.extra != want.extra) {
		err = corrupt(name, "its stamp is that of another file")
	}
	return h.length, err
}

// nextStamp returns a stamp that is newer than last.
func nextStamp(last uint64) uint64 { return max(last+1, uint64(time.Now().UnixMilli())) }

func parseSegmentName(name string) (id uint16, uid uint64, ok bool) {
	var i int
	n, err := fmt.Sscanf(name, "%03X.%08d.%d", &id, &uid, &i)
	return id, uid, n == 3 && err == nil
}
