package disk

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

// HeaderSize is the length of the header that meta, journal and bitmap files
// and the areas of stage files begin with and every volume segment ends with, and of
// stamps:
//
//	0   8  magic
//	8   4  version
//	12  4  CRC-32C of the bytes from 16 to the end of the header
//	16  8  generation (meta), session (journal), uid (bitmap, volume, stage, stamp)
//	24  8  payload length (meta), data length (volume), generation (stage), the
//	       stamp, 0 (GenerationName: see there)
//	32  4  CRC-32C of the payload (meta), segment number or OfStage (volume, stamp),
//	       length of the area (stage), 0
//	36  5  serial of the array
//	48  8  salt (stage), 0
//	       zeros
const HeaderSize = 64

// Each kind of file begins its headers with its own magic.
const (
	magicMeta    = "CSVCMETA"
	magicJournal = "CSVCJRNL"
	MagicBitmap  = "CSVCBMAP"
	MagicVolume  = "CSVCVOLM"
	MagicStage   = "CSVCSTAG"
	magicStamp   = "CSVCSTMP"
	MagicGen     = "CSVCGENR"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C of p.
func Checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// Zeros is never written to.
var Zeros = make([]byte, 1<<20)

// Header is what stands in a header; HeaderSize says what the fields mean in which file.
type Header struct {
	Magic  string
	ID     uint64 // generation or uid
	Length uint64
	Extra  uint32
	Serial string
	Salt   uint64
}

// Encode returns the HeaderSize bytes of h.
func (h Header) Encode() []byte {
	b := make([]byte, HeaderSize)
	copy(b, h.Magic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint64(b[16:], h.ID)
	binary.LittleEndian.PutUint64(b[24:], h.Length)
	binary.LittleEndian.PutUint32(b[32:], h.Extra)
	copy(b[36:41], h.Serial)
	binary.LittleEndian.PutUint64(b[48:], h.Salt)
	binary.LittleEndian.PutUint32(b[12:], Checksum(b[16:]))
	return b
}

// ReadHeader reads the header at off of the file called name and checks all
// of it but id, length and extra.
func ReadHeader(f File, name string, off int64, magic, serial string) (Header, error) {
	b := make([]byte, HeaderSize)
	if _, err := f.ReadAt(b, off); err == io.EOF {
		return Header{}, Corrupt(name, "it is cut short")
	} else if err != nil {
		return Header{}, err
	}
	if string(b[:8]) != magic {
		return Header{}, Corrupt(name, "it does not begin with %s", magic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v > formatVersion {
		return Header{}, fault.New(fault.Failed, "%s has format version %d, %w", name, v, ErrNewer).
			WithHint("use the version of copyserver that wrote it, or a newer one")
	}
	if Checksum(b[16:]) != binary.LittleEndian.Uint32(b[12:]) {
		return Header{}, Corrupt(name, "the checksum of its header is wrong")
	}
	h := Header{
		Magic:  magic,
		ID:     binary.LittleEndian.Uint64(b[16:]),
		Length: binary.LittleEndian.Uint64(b[24:]),
		Extra:  binary.LittleEndian.Uint32(b[32:]),
		Serial: string(b[36:41]),
		Salt:   binary.LittleEndian.Uint64(b[48:]),
	}
	if serial != "" && h.Serial != serial {
		return Header{}, Corrupt(name, "it belongs to array %s, not %s", h.Serial, serial)
	}
	return h, nil
}

// ErrNewer is in the chain of the error for a file of a newer program.
var ErrNewer = fmt.Errorf("this program knows %d", formatVersion)

// CorruptError is a file whose content cannot be right.
type CorruptError struct {
	name   string
	detail string
}

func (e *CorruptError) Error() string { return fmt.Sprintf("%s is damaged: %s", e.name, e.detail) }

// Corrupt returns a CorruptError for the file called name.
func Corrupt(name, format string, args ...any) error {
	return &CorruptError{name, fmt.Sprintf(format, args...)}
}
