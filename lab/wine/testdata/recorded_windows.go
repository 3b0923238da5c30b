package hostdisk

// This file stands in for disks_windows.go in a build for Wine, whose drives tell
// neither vendor nor serial: see the test that makes it. Everything above the
// drives is the real code. The answers were not captured on a Windows host: they are
// laid out as winioctl.h describes them, like those of the package's own tests.

import (
	"context"
	"encoding/binary"
	"io/fs"
)

func listMachine(ctx context.Context, opts Options) ([]Disk, []string, error) {
	return listDrives(ctx, recordedDrives{}, opts)
}

// recordedDrives are the drives of a server with a disk of its own and two volumes;
// the driver of the second writes serials in hexadecimal.
type recordedDrives struct{}

var recorded = map[string]recordedDrive{
	"PhysicalDrive0": {vendor: "VMware  ", product: "Virtual disk    "},
	"PhysicalDrive1": {vendor: "IBM     ", product: "2105800         ", serial: "20313698"},
	"PhysicalDrive2": {vendor: "IBM     ", product: "2105800         ",
		serial: "3230343133363938"},
}

func (recordedDrives) names() ([]string, error) {
	names := []string{"C:", "NUL"}
	for name := range recorded {
		names = append(names, name)
	}
	return names, nil
}

func (recordedDrives) open(name string) (drive, error) {
	d, ok := recorded[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return d, nil
}

type recordedDrive struct{ vendor, product, serial string }

// device lays a STORAGE_DEVICE_DESCRIPTOR of winioctl.h out as storage drivers do.
func (d recordedDrive) device() ([]byte, error) {
	b := make([]byte, 36)
	binary.LittleEndian.PutUint32(b, 40)     // Version: the size of the structure
	binary.LittleEndian.PutUint32(b[28:], 6) // BusType: fibre channel
	for field, text := range map[int]string{12: d.vendor, 16: d.product, 24: d.serial} {
		if text != "" {
			binary.LittleEndian.PutUint32(b[field:], uint32(len(b)))
			b = append(append(b, text...), 0)
		}
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	return b, nil
}

func (recordedDrive) ids() ([]byte, error) { return nil, fs.ErrInvalid }
func (recordedDrive) size() (int64, error) { return 1 << 20, nil }
func (recordedDrive) close()               {}
