package hostdisk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"copyservices/arrayclient/fault"
)

// storageDescriptor builds a STORAGE_DEVICE_DESCRIPTOR as storage drivers do: the
// texts, padded as INQUIRY has them, after the fixed part.
func storageDescriptor(vendor, product, serial string) []byte {
	b := make([]byte, descriptorHeader)
	binary.LittleEndian.PutUint32(b, 40)     // Version: the size of the structure
	binary.LittleEndian.PutUint32(b[28:], 6) // BusType: fibre channel
	for _, field := range []struct {
		at   int
		text string
	}{{descriptorVendor, vendor}, {descriptorProduct, product}, {descriptorSerial, serial}} {
		if field.text != "" {
			binary.LittleEndian.PutUint32(b[field.at:], uint32(len(b)))
			b = append(append(b, field.text...), 0)
		}
	}
	binary.LittleEndian.PutUint32(b[descriptorSize:], uint32(len(b)))
	return b
}

// idDescriptor builds a STORAGE_DEVICE_ID_DESCRIPTOR.
func idDescriptor(ids ...designator) []byte {
	b := make([]byte, idHeader)
	binary.LittleEndian.PutUint32(b[idCount:], uint32(len(ids)))
	for _, id := range ids {
		one := make([]byte, identifierHead, identifierHead+len(id.id)+3)
		one[0], one[identifierKind], one[identifierOf] = id.codeSet, id.kind, id.association
		binary.LittleEndian.PutUint16(one[identifierSize:], uint16(len(id.id)))
		one = append(one, id.id...)
		for len(one)%4 != 0 {
			one = append(one, 0)
		}
		binary.LittleEndian.PutUint16(one[identifierNext:], uint16(len(one)))
		b = append(b, one...)
	}
	binary.LittleEndian.PutUint32(b[descriptorSize:], uint32(len(b)))
	return b
}

// fakeDrives are drives that answer from memory. A drive of the list that is not
// in the map goes away before it is opened.
type fakeDrives struct {
	list   []string
	drives map[string]*fakeDrive
	err    error // of names
	opened func()
}

type fakeDrive struct {
	descriptor, id []byte
	openErr, err   error
	bytes          int64
	closed         int
}

func (f *fakeDrives) names() ([]string, error) { return f.list, f.err }

func (f *fakeDrives) open(name string) (drive, error) {
	if f.opened != nil {
		f.opened()
	}
	d := f.drives[name]
	if d == nil {
		return nil, fmt.Errorf("CreateFile: %w", fs.ErrNotExist)
	}
	return d, d.openErr
}

func (d *fakeDrive) device() ([]byte, error) { return d.descriptor, d.err }
func (d *fakeDrive) ids() ([]byte, error)    { return d.id, errOf(d.id) }
func (d *fakeDrive) size() (int64, error)    { return d.bytes, nil }
func (d *fakeDrive) close()                  { d.closed++ }

// errOf is what Windows answers for a property that the drive does not have.
func errOf(answer []byte) error {
	if answer == nil {
		return errors.New("DeviceIoControl: Incorrect function.")
	}
	return nil
}

// drivesOf are PhysicalDrive0 and on with these descriptors.
func drivesOf(descriptors ...[]byte) *fakeDrives {
	f := &fakeDrives{list: []string{"C:", "PhysicalDrives", "PhysicalDrive", "PhysicalDriveX", "NUL"},
		drives: map[string]*fakeDrive{}}
	for i := len(descriptors) - 1; i >= 0; i-- {
		name := fmt.Sprintf("PhysicalDrive%d", i)
		f.list = append(f.list, name)
		f.drives[name] = &fakeDrive{descriptor: descriptors[i], bytes: 1 << 30}
	}
	return f
}

func showDrives(t *testing.T, sys *fakeDrives, opts Options) (string, []string) {
	t.Helper()
	disks, warnings, err := listDrives(t.Context(), sys, opts)
	check(t, err)
	for name, d := range sys.drives {
		if d.openErr == nil && d.closed != 1 {
			t.Errorf("%s was closed %d times", name, d.closed)
		}
	}
	return showDisks(t, disks), warnings
}

func volume(serial string) []byte { return storageDescriptor("IBM     ", "2105800         ", serial) }

func TestWindows(t *testing.T) {
	sys := drivesOf(storageDescriptor("", "Msft Virtual Disk", "abc"), volume("20413698"),
		volume("20313698        "), volume("20413698"))
	sys.drives["PhysicalDrive10"] = &fakeDrive{descriptor: volume("20513698")}
	sys.list = append(sys.list, "PHYSICALDRIVE10", "PhysicalDrive10")
	sys.drives["PHYSICALDRIVE10"] = sys.drives["PhysicalDrive10"]
	got, warnings := showDrives(t, sys, Options{})
	if want := "Disk1=20413698[Disk3] Disk2=20313698 Disk10=20513698"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, "Disk1 and Disk3 are both volume 20413698")
}

func TestWindowsAll(t *testing.T) {
	sys := drivesOf(storageDescriptor("", "Msft Virtual Disk", "abc"), volume(""))
	disks, warnings, err := listDrives(t.Context(), sys, Options{All: true, Details: true})
	check(t, err)
	want := "Disk0=abc |  | Msft Virtual Disk\nDisk1= | IBM | 2105800"
	if got := showAll(t, disks); got != want || disks[0].Size != 1<<30 {
		t.Errorf("listed\n%s\nwant\n%s", got, want)
	}
	checkWarnings(t, warnings, "Disk1 is a 2105 disk, but it tells no serial")
}

// TestWindowsSerials: hexadecimal as older systems write it, and page 0x83.
func TestWindowsSerials(t *testing.T) {
	naa := designator{codeSetBinary, typeNAA, 0, []byte("\x60\x05\x07\x68\x02\x81\x06\xb5\x38" +
		"\x00\x00\x00\x00\x00\x00\x02")}
	own := designator{codeSetASCII, typeVendor, 0, []byte("20513698")}
	port := designator{codeSetASCII, typeVendor, 1, []byte("20913698")}
	hex := func(s string) string { return fmt.Sprintf("%x", s) }
	for name, c := range map[string]struct {
		product, serial string
		ids             []designator
		want            string
	}{
		"plain":          {"2105800", "20313698", nil, "20313698"},
		"hexadecimal":    {"2105800", hex("20313698"), nil, "20313698"},
		"with blanks":    {"2105800", hex("20313698            "), nil, "20313698"},
		"control at end": {"2105800", "20313698\x03", nil, "20313698"},
		"hex, NUL, junk": {"2105800", hex("20313698\x00\x00junk"), nil, "20313698"},
		"hex, control":   {"2105800", hex("20313698\x03"), nil, "20313698"},
		"model, control": {"2105800\x03", "20313698", nil, "20313698"},
		"page 83, junk": {"2105800", "", []designator{
			{codeSetASCII, typeVendor, 0, []byte("20513698\x00junk\x03")}}, "20513698"},
		"of page 83":      {"2105800", "", []designator{naa, port, own}, "20513698"},
		"of another port": {"2105800", "", []designator{port}, ""},
		"2107":            {"2107900", "75DC8914805", nil, "75DC8914805"},
		"2107 in hex":     {"2107900", hex("75DC8914805"), nil, "75DC8914805"},
		"2145 by its NAA": {"2145", "0200602046b2XX00", []designator{own, naa},
			"60050768028106B53800000000000002"},
		"2145 without": {"2145", "0200602046b2XX00", nil, "0200602046b2XX00"},
		"2145 in hex":  {"2145", hex("0200602046b2XX00"), nil, "0200602046b2XX00"},
	} {
		sys := drivesOf(storageDescriptor("IBM", c.product, c.serial))
		if c.ids != nil {
			sys.drives["PhysicalDrive0"].id = idDescriptor(c.ids...)
		}
		got, _ := showDrives(t, sys, Options{Models: []string{"2105", "2107", "2145"}})
		want := ""
		if c.want != "" {
			want = "Disk0=" + c.want
		}
		if got != want {
			t.Errorf("%s: listed %q, want %q", name, got, want)
		}
	}
}

func TestWindowsDrivesInTrouble(t *testing.T) {
	sys := drivesOf(volume("20313698"), volume("20413698"), nil, []byte("short"))
	sys.list = append(sys.list, "PhysicalDrive7")
	sys.drives["PhysicalDrive0"].openErr = fs.ErrPermission
	sys.drives["PhysicalDrive2"].err = errors.New("CRC")
	got, warnings := showDrives(t, sys, Options{})
	if want := "Disk1=20413698"; got != want {
		t.Errorf("listed %q, want %q", got, want)
	}
	checkWarnings(t, warnings, "left out Disk0: permission denied", "left out Disk2: CRC",
		"left out Disk3: its description is too short", "left out Disk7: it went away")
}

func TestWindowsEnds(t *testing.T) {
	sys := drivesOf(volume("20313698"), volume("20413698"))
	ctx, cancel := context.WithCancel(t.Context())
	sys.opened = cancel
	_, _, err := listDrives(ctx, sys, Options{})
	if fault.KindOf(err) != fault.Interrupted {
		t.Errorf("cancelled: %v", err)
	}
	_, _, err = listDrives(t.Context(), &fakeDrives{err: errors.New("QueryDosDevice: no")}, Options{})
	if fault.KindOf(err) != fault.Failed {
		t.Errorf("without names: %v", err)
	}
}

func TestStorageDescriptorOffsets(t *testing.T) {
	good := volume("20313698")
	for name, change := range map[string]func(b []byte) []byte{
		"serial beyond the end": func(b []byte) []byte { b[descriptorSerial+2] = 1; return b },
		"serial at all ones": func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[descriptorSerial:], 1<<32-1)
			return b
		},
		"serial in the header": func(b []byte) []byte { b[descriptorSerial] = 4; return b },
		"size before the serial": func(b []byte) []byte {
			b[descriptorSize] = b[descriptorSerial]
			return b
		},
		"size zero": func(b []byte) []byte { b[descriptorSize] = 0; return b },
	} {
		d, ok := parseStorageDescriptor(change([]byte(string(good))))
		if !ok || d.Serial != "" {
			t.Errorf("%s: %+v, %t", name, d, ok)
		}
	}
	unended := good[:len(good)-1]
	if d, ok := parseStorageDescriptor(unended); !ok || d.Serial != "20313698" {
		t.Errorf("without the last NUL: %+v, %t", d, ok)
	}
}

func TestPlainSerial(t *testing.T) {
	for text, want := range map[string]string{
		"3230333133363938": "20313698", "32303331333639382020": "20313698",
		"3230333133363938000000": "20313698", "20313698": "", "3031323334353637": "01234567",
		"60050768028106B53800000000000002": "", "323033313336393": "", "20202020202020202020": "", "": "",
	} {
		got, ok := plainSerial(text)
		if ok != (want != "") || ok && strings.TrimSpace(got) != want {
			t.Errorf("plainSerial(%q) = %q, %t; want %q", text, got, ok, want)
		}
	}
}

func TestGeometrySize(t *testing.T) {
	b := make([]byte, 40)
	b[28] = 1
	if got := geometrySize(b); got != 1<<32 {
		t.Errorf("size %d", got)
	}
	b[31] = 0x80
	if geometrySize(b) != 0 || geometrySize(b[:31]) != 0 {
		t.Error("a size out of range is not 0")
	}
}

func FuzzStorageDescriptor(f *testing.F) {
	f.Add(volume("20313698"))
	f.Add(volume("3230333133363938")[:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		d, ok := parseStorageDescriptor(b)
		if ok != (len(b) >= descriptorHeader) {
			t.Errorf("%d bytes: %t", len(b), ok)
		}
		checkDisk(t, "drive", d)
		if text, ok := plainSerial(d.Serial); ok {
			checkText(t, printable([]byte(text)))
		}
	})
}

func FuzzIdentifiers(f *testing.F) {
	f.Add(idDescriptor(designator{codeSetASCII, typeVendor, 0, []byte("20513698")}))
	f.Add(idDescriptor(designator{codeSetBinary, typeNAA, 0, make([]byte, 16)}, designator{})[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		for id := range identifiers(b) {
			checkText(t, id.volume("2105"))
			checkText(t, id.volume("2145"))
		}
	})
}
