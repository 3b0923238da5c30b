package filearray

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"copyservices/arrayclient/fault"
)

// formatVersion is the version of every file of the array. A file with a
// higher one is refused: this program would not know what it means.
const formatVersion = 1

// headerSize is the length of the header that meta, journal and bitmap files
// and the areas of stage files begin with and every volume segment ends with, and of
// stamps:
//
//	0   8  magic
//	8   4  version
//	12  4  CRC-32C of the bytes from 16 to the end of the header
//	16  8  generation (meta), session (journal), uid (bitmap, volume, stage, stamp)
//	24  8  payload length (meta), data length (volume), generation (stage), the
//	       stamp, 0 (generationName: see there)
//	32  4  CRC-32C of the payload (meta), segment number or ofStage (volume, stamp),
//	       length of the area (stage), 0
//	36  5  serial of the array
//	48  8  salt (stage), 0
//	       zeros
const headerSize = 64

const (
	magicMeta    = "CSVCMETA"
	magicJournal = "CSVCJRNL"
	magicBitmap  = "CSVCBMAP"
	magicVolume  = "CSVCVOLM"
	magicStage   = "CSVCSTAG"
	magicStamp   = "CSVCSTMP"
	magicGen     = "CSVCGENR"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// zeros is never written to.
var zeros = make([]byte, 1<<20)

type header struct {
	magic  string
	id     uint64 // generation or uid
	length uint64
	extra  uint32
	serial string
	salt   uint64
}

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, h.magic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint64(b[16:], h.id)
	binary.LittleEndian.PutUint64(b[24:], h.length)
	binary.LittleEndian.PutUint32(b[32:], h.extra)
	copy(b[36:41], h.serial)
	binary.LittleEndian.PutUint64(b[48:], h.salt)
	binary.LittleEndian.PutUint32(b[12:], checksum(b[16:]))
	return b
}

// readHeader reads the header at off of the file called name and checks all
// of it but id, length and extra.
func readHeader(f File, name string, off int64, magic, serial string) (header, error) {
	b := make([]byte, headerSize)
	if _, err := f.ReadAt(b, off); err == io.EOF {
		return header{}, corrupt(name, "it is cut short")
	} else if err != nil {
		return header{}, err
	}
	if string(b[:8]) != magic {
		return header{}, corrupt(name, "it does not begin with %s", magic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v > formatVersion {
		return header{}, fault.New(fault.Failed, "%s has format version %d, %w", name, v, errNewer).
			WithHint("use the version of copyserver that wrote it, or a newer one")
	}
	if checksum(b[16:]) != binary.LittleEndian.Uint32(b[12:]) {
		return header{}, corrupt(name, "the checksum of its header is wrong")
	}
	h := header{
		magic:  magic,
		id:     binary.LittleEndian.Uint64(b[16:]),
		length: binary.LittleEndian.Uint64(b[24:]),
		extra:  binary.LittleEndian.Uint32(b[32:]),
		serial: string(b[36:41]),
		salt:   binary.LittleEndian.Uint64(b[48:]),
	}
	if serial != "" && h.serial != serial {
		return header{}, corrupt(name, "it belongs to array %s, not %s", h.serial, serial)
	}
	return h, nil
}

// errNewer is in the chain of the error for a file of a newer program.
var errNewer = fmt.Errorf("this program knows %d", formatVersion)

// corruptError is a file whose content cannot be right.
type corruptError struct {
	name   string
	detail string
}

func (e *corruptError) Error() string { return fmt.Sprintf("%s is damaged: %s", e.name, e.detail) }

func corrupt(name, format string, args ...any) error {
	return &corruptError{name, fmt.Sprintf(format, args...)}
}
