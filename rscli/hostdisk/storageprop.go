package hostdisk

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"iter"
)

// What Windows answers to IOCTL_STORAGE_QUERY_PROPERTY, as winioctl.h lays it out:
// numbers are little endian. Nothing in an answer is trusted: offsets and
// lengths may lead anywhere.

// Offsets in a STORAGE_DEVICE_DESCRIPTOR.
const (
	descriptorSize    = 4
	descriptorVendor  = 12
	descriptorProduct = 16
	descriptorSerial  = 24
	descriptorHeader  = 36 // where RawDeviceProperties begin
)

// parseStorageDescriptor reads vendor, product and serial from a
// STORAGE_DEVICE_DESCRIPTOR; false where it is too short to be one.
func parseStorageDescriptor(b []byte) (d Disk, ok bool) {
	if len(b) < descriptorHeader {
		return Disk{}, false
	}
	if size := binary.LittleEndian.Uint32(b[descriptorSize:]); uint64(size) < uint64(len(b)) {
		b = b[:max(size, descriptorHeader)]
	}
	return Disk{
		Vendor: descriptorText(b, descriptorVendor),
		Model:  descriptorText(b, descriptorProduct),
		Serial: descriptorText(b, descriptorSerial),
	}, true
}

// descriptorText returns the text, ended by NUL, that the offset at b[field]
// leads to; empty where it leads to none: 0 stands for that.
func descriptorText(b []byte, field int) string {
	at := binary.LittleEndian.Uint32(b[field:])
	if at < descriptorHeader || uint64(at) >= uint64(len(b)) {
		return ""
	}
	text, _, _ := bytes.Cut(b[at:], []byte{0})
	return printable(text)
}

// plainSerial decodes a serial that a driver has written in hexadecimal, two
// digits for each character, as older Windows does; true where text is one. The
// plain serial of a volume is never taken for one: it has too few digits or does
// not decode to printable text.
func plainSerial(text string) (string, bool) {
	const shortest = 16 // digits, for the eight characters of a volume serial
	b, err := hex.DecodeString(text)
	if err != nil || len(text) < shortest {
		return text, false
	}
	b = field(b)
	for _, c := range b {
		if !isPrintable(c) {
			return text, false
		}
	}
	return string(b), len(b) > 0
}

// Offsets in a STORAGE_DEVICE_ID_DESCRIPTOR and in each STORAGE_IDENTIFIER of it.
const (
	idCount        = 8
	idHeader       = 12
	identifierKind = 4
	identifierSize = 8
	identifierNext = 10
	identifierOf   = 12
	identifierHead = 16
)

// identifiers are the descriptors of page 0x83 that a
// STORAGE_DEVICE_ID_DESCRIPTOR holds.
func identifiers(b []byte) iter.Seq[designator] {
	return func(yield func(designator) bool) {
		if len(b) < idHeader {
			return
		}
		count := binary.LittleEndian.Uint32(b[idCount:])
		for b = b[idHeader:]; count > 0 && len(b) >= identifierHead; count-- {
			size := int(binary.LittleEndian.Uint16(b[identifierSize:]))
			end := min(identifierHead+size, len(b))
			d := designator{codeSet: b[0], kind: b[identifierKind],
				association: b[identifierOf], id: b[identifierHead:end]}
			next := int(binary.LittleEndian.Uint16(b[identifierNext:]))
			if !yield(d) || next < identifierHead || next > len(b) {
				return
			}
			b = b[next:]
		}
	}
}

// geometrySize reads DiskSize of a DISK_GEOMETRY_EX, which follows a
// DISK_GEOMETRY; 0 where it is not there.
func geometrySize(b []byte) int64 {
	const at, end = 24, 32
	if len(b) < end {
		return 0
	}
	return max(0, int64(binary.LittleEndian.Uint64(b[at:])))
}
