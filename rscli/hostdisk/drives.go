package hostdisk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"copyservices/arrayclient/fault"
)

// driveSystem is what the list of disks needs of Windows.
type driveSystem interface {
	// names returns the names of the DOS devices, PhysicalDrive0 among them.
	names() ([]string, error)
	// open opens a PhysicalDrive for queries only, which takes no rights on it.
	// A drive that has gone meanwhile is fs.ErrNotExist.
	open(name string) (drive, error)
}

// drive is an open PhysicalDrive.
type drive interface {
	// device and ids return a STORAGE_DEVICE_DESCRIPTOR and a
	// STORAGE_DEVICE_ID_DESCRIPTOR as Windows answers.
	device() ([]byte, error)
	ids() ([]byte, error)
	// size is in bytes.
	size() (int64, error)
	close()
}

const physicalDrive = "PhysicalDrive"

// listDrives lists PhysicalDriveN as DiskN, the name of Disk Management and of the
// lists that scripts parse. Where MPIO is on, Windows has one drive for all paths
// to a disk; where it is off, finish folds them.
func listDrives(ctx context.Context, sys driveSystem, opts Options) ([]Disk, []string, error) {
	names, err := sys.names()
	if err != nil {
		return nil, nil, fault.New(fault.Failed, "cannot list the disks: %w", err)
	}
	var all found
	for _, n := range driveNumbers(names) {
		if ctx.Err() != nil {
			return nil, nil, fault.New(fault.KindOf(ctx.Err()),
				"listing the disks was ended: %w", ctx.Err())
		}
		d, err := readDrive(sys, physicalDrive+strconv.Itoa(n), opts)
		d.Name = "Disk" + strconv.Itoa(n)
		switch {
		case err == nil:
			all.add(d, opts)
		case errors.Is(err, fs.ErrNotExist):
			all.warnings = append(all.warnings, fmt.Sprintf("left out %s: it went away while "+
				"it was read", d.Name))
		default:
			all.warnings = append(all.warnings, fmt.Sprintf("left out %s: %v", d.Name, err))
		}
	}
	disks, warnings := all.finish(opts)
	return disks, warnings, nil
}

// driveNumbers returns the numbers of the PhysicalDrives among names, in order.
func driveNumbers(names []string) []int {
	var numbers []int
	for _, name := range names {
		if len(name) <= len(physicalDrive) || !strings.EqualFold(name[:len(physicalDrive)],
			physicalDrive) {
			continue
		}
		n, err := strconv.ParseUint(name[len(physicalDrive):], 10, 31)
		if err == nil {
			numbers = append(numbers, int(n))
		}
	}
	slices.SortFunc(numbers, cmp.Compare[int])
	return slices.Compact(numbers)
}

// readDrive reads one drive, without its name.
func readDrive(sys driveSystem, name string, opts Options) (Disk, error) {
	drv, err := sys.open(name)
	if err != nil {
		return Disk{}, err
	}
	defer drv.close()
	answer, err := drv.device()
	if err != nil {
		return Disk{}, err
	}
	d, ok := parseStorageDescriptor(answer)
	if !ok {
		return Disk{}, errors.New("its description is too short")
	}
	if opts.counts(d.Vendor, d.Model) {
		d.Serial = driveSerial(drv, machineType(d.Model), d.Serial)
	}
	if opts.Details {
		d.Size, _ = drv.size()
	}
	return d, nil
}

// driveSerial returns the serial of a volume: as the descriptor has it, plain or in
// hexadecimal, or from page 0x83 where it has none of the machine type's form.
func driveSerial(drv drive, machine, serial string) string {
	plain, decoded := plainSerial(serial)
	for _, text := range []string{serial, plain} {
		if _, ok := volumeSerial(machine, text); ok {
			return text
		}
	}
	if answer, err := drv.ids(); err == nil {
		for id := range identifiers(answer) {
			if text := id.volume(machine); text != "" {
				return text
			}
		}
	}
	if decoded {
		return plain
	}
	return serial
}
