package hostdisk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Vital product data pages (SPC-4, 7.8): a header of device type, page code and
// length, then the content. The length may lie in either direction: what is
// there and what is claimed are both limits.
const (
	vpdHeader      = 4
	pageUnitSerial = 0x80
	pageDeviceID   = 0x83
)

func vpdContent(page []byte, code byte) []byte {
	if len(page) < vpdHeader || page[1] != code {
		return nil
	}
	length := int(binary.BigEndian.Uint16(page[2:]))
	page = page[vpdHeader:]
	return page[:min(length, len(page))]
}

// page80Serial returns the unit serial number of page 0x80, trimmed; empty where
// the page holds none.
func page80Serial(page []byte) string {
	return printable(vpdContent(page, pageUnitSerial))
}

// Fields of an identification descriptor of page 0x83 (SPC-4, 7.8.6).
const (
	designatorHeader = 4
	codeSetBinary    = 1
	codeSetASCII     = 2
	typeVendor       = 0 // vendor specific: QEMU puts the serial here
	typeT10          = 1 // vendor of 8 characters, then the vendor's own text
	typeNAA          = 3 // a binary number that is the only one of its kind
	t10Vendor        = 8
	associationUnit  = 0
)

// designator is one identification descriptor, of page 0x83 or of Windows.
type designator struct {
	codeSet, kind, association byte
	id                         []byte
}

// page83Volume returns the volume serial that one of the designators of the disk
// itself holds, empty where none does.
func page83Volume(machine string, page []byte) string {
	rest := vpdContent(page, pageDeviceID)
	for len(rest) >= designatorHeader {
		head, id := rest[:designatorHeader], rest[designatorHeader:]
		length := min(int(head[3]), len(id))
		rest = id[length:]
		d := designator{head[0] & 0x0f, head[1] & 0x0f, head[1] >> 4 & 3, id[:length]}
		if serial := d.volume(machine); serial != "" {
			return serial
		}
	}
	return ""
}

// volume returns the volume serial in a designator: the last word of a text, or
// the number of an NAA designator; empty where that is none. A T10 text holds
// vendor, product and serial, each padded with blanks or NULs, so NULs part its
// words too, where what is in front of the first of them holds no serial.
func (d designator) volume(machine string) string {
	text := d.id
	switch {
	case d.association != associationUnit:
		return ""
	case d.codeSet == codeSetBinary && d.kind == typeNAA:
		text = fmt.Appendf(nil, "%X", d.id)
	case d.codeSet == codeSetASCII && d.kind == typeT10 && len(text) > t10Vendor:
		text = text[t10Vendor:]
	case d.codeSet != codeSetASCII || d.kind != typeVendor:
		return ""
	}
	if serial := lastWordVolume(machine, text); serial != "" || d.kind != typeT10 {
		return serial
	}
	return lastWordVolume(machine, bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
}

// lastWordVolume returns the last word of a text where it is a volume serial.
func lastWordVolume(machine string, text []byte) string {
	words := strings.Fields(printable(text))
	if len(words) == 0 {
		return ""
	}
	last := words[len(words)-1]
	if _, ok := volumeSerial(machine, last); !ok {
		return ""
	}
	return last
}

// field returns what a field of fixed length holds, as disks fill it: it ends at
// the first NUL, for what follows is whatever the memory held before; blanks and
// NULs in front of it are padding, as are all control characters behind it.
func field(b []byte) []byte {
	b, _, _ = bytes.Cut(bytes.TrimLeft(b, " \t\r\n\x00"), []byte{0})
	return bytes.TrimRight(b, padding)
}

// printable returns a field as text, with a question mark in place of every byte
// that is not printable ASCII: a disk must not be able to send control sequences
// to a terminal.
func printable(b []byte) string {
	b = field(b)
	clean := true
	for _, c := range b {
		clean = clean && isPrintable(c)
	}
	if clean {
		return string(b)
	}
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = '?'
		if isPrintable(c) {
			out[i] = c
		}
	}
	return string(out)
}

// padding are the blank and the control characters of ASCII.
const padding = " \x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f" +
	"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f"

func isPrintable(c byte) bool { return c >= ' ' && c <= '~' }
