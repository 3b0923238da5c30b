package hostdisk

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

func listMachine(ctx context.Context, opts Options) ([]Disk, []string, error) {
	return listDrives(ctx, machineDrives{}, opts)
}

// Control codes of winioctl.h that need no access to the drive
// (FILE_ANY_ACCESS).
const (
	ioctlStorageQueryProperty   = 0x2d1400
	ioctlDiskGetDriveGeometryEx = 0x700a0
)

// Properties of STORAGE_PROPERTY_QUERY.
const (
	storageDeviceProperty   = 0
	storageDeviceIDProperty = 2
)

// machineDrives are the drives of this machine.
type machineDrives struct{}

// names asks for all DOS devices: a list of texts ended by NUL.
func (machineDrives) names() ([]string, error) {
	const most = 4 << 20
	for size := uint32(64 << 10); ; size *= 4 {
		buf := make([]uint16, size)
		n, err := windows.QueryDosDevice(nil, &buf[0], size)
		if err == nil {
			return strings.Split(windows.UTF16ToString(withoutNULs(buf[:n])), "\n"), nil
		}
		if err != windows.ERROR_INSUFFICIENT_BUFFER || size >= most {
			return nil, os.NewSyscallError("QueryDosDevice", err)
		}
	}
}

// withoutNULs puts line ends between the names, which have none.
func withoutNULs(names []uint16) []uint16 {
	for i := range names {
		if names[i] == 0 {
			names[i] = '\n'
		}
	}
	return names
}

func (machineDrives) open(name string) (drive, error) {
	path, err := windows.UTF16PtrFromString(`\\.\` + name)
	if err != nil {
		return nil, err
	}
	const noAccess = 0 // queries need none, and so no administrator
	h, err := windows.CreateFile(path, noAccess,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return nil, driveError("CreateFile", err)
	}
	return handle(h), nil
}

// driveError gives the errors of a drive that is no longer there their kind.
func driveError(call string, err error) error {
	gone := []error{windows.ERROR_FILE_NOT_FOUND, windows.ERROR_PATH_NOT_FOUND,
		windows.ERROR_DEV_NOT_EXIST, windows.ERROR_DEVICE_NOT_CONNECTED,
		windows.ERROR_NO_SUCH_DEVICE}
	if slices.Contains(gone, err) {
		return fmt.Errorf("%s: %w", call, fs.ErrNotExist)
	}
	return os.NewSyscallError(call, err)
}

// handle is an open drive.
type handle windows.Handle

func (h handle) close() { _ = windows.CloseHandle(windows.Handle(h)) }

func (h handle) device() ([]byte, error) { return h.query(storageDeviceProperty) }

func (h handle) ids() ([]byte, error) { return h.query(storageDeviceIDProperty) }

// query asks for a property; an answer that is too long for the buffer comes cut.
func (h handle) query(property uint32) ([]byte, error) {
	// STORAGE_PROPERTY_QUERY: property, the standard query, and no parameters.
	query := struct {
		property, kind uint32
		parameters     [4]byte
	}{property: property}
	return h.control(ioctlStorageQueryProperty, (*byte)(unsafe.Pointer(&query)),
		uint32(unsafe.Sizeof(query)), 8<<10)
}

func (h handle) control(code uint32, in *byte, inSize, outSize uint32) ([]byte, error) {
	out := make([]byte, outSize)
	var n uint32
	err := windows.DeviceIoControl(windows.Handle(h), code, in, inSize, &out[0], outSize, &n, nil)
	if err != nil && err != windows.ERROR_MORE_DATA {
		return nil, driveError("DeviceIoControl", err)
	}
	return out[:min(n, outSize)], nil
}

// size asks for the geometry, which needs no access, unlike the length.
func (h handle) size() (int64, error) {
	out, err := h.control(ioctlDiskGetDriveGeometryEx, nil, 0, 256)
	if err != nil {
		return 0, err
	}
	return geometrySize(out), nil
}
