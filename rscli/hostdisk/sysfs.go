package hostdisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"copyservices/arrayclient/fault"
)

// attributeSize is the most that a sysfs attribute holds: one page of memory.
const attributeSize = 4096

// maxReaders bounds the parallel reads; sysfs answers some attributes from the
// disk driver, so more than a few do not help.
const maxReaders = 4

// sysfs reads the disks below one sys/block folder.
type sysfs struct {
	block string // DIR/sys/block/
	opts  Options
	// read is readSmall, or a test's in its place.
	read func(path string, buf []byte) (int, error)
}

// entry is what one name in sys/block turned out to be; both are nil for what
// is not listed.
type entry struct {
	disk    *Disk
	mapper  *mapper
	warning string
	// path is the namespace that a hidden NVMe path leads to, empty for every
	// other entry.
	path string
}

func listSysfs(ctx context.Context, opts Options) ([]Disk, []string, error) {
	s := &sysfs{opts: opts, read: readSmall}
	s.block = filepath.Join(opts.Root, "sys", "block") + string(filepath.Separator)
	return s.list(ctx)
}

func (s *sysfs) list(ctx context.Context) ([]Disk, []string, error) {
	names, err := s.names()
	if err != nil {
		return nil, nil, err
	}
	entries := s.readAll(ctx, names)
	if err := ctx.Err(); err != nil {
		return nil, nil, fault.New(fault.KindOf(err), "listing the disks was ended: %w", err)
	}
	var all found
	paths := make(map[string][]string)
	for i, e := range entries {
		if e.disk != nil {
			all.disks = append(all.disks, *e.disk)
		}
		if e.mapper != nil {
			all.mappers = append(all.mappers, *e.mapper)
		}
		if e.warning != "" {
			all.warnings = append(all.warnings, e.warning)
		}
		if e.path != "" {
			paths[e.path] = append(paths[e.path], devicePath(names[i]))
		}
	}
	joinNVMePaths(all.disks, paths)
	disks, warnings := all.finish(s.opts)
	return disks, warnings, nil
}

// names returns the names in sys/block, sorted so that warnings come in the same
// order every time.
func (s *sysfs) names() ([]string, error) {
	dir, err := os.Open(s.block)
	if err != nil {
		return nil, s.noTree(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, s.noTree(err)
	}
	slices.Sort(names)
	return names, nil
}

func (s *sysfs) noTree(err error) error {
	missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	switch {
	case isMachine(s.opts.Root):
		return fault.New(fault.Failed, "cannot list the disks: %w", err)
	case missing:
		return fault.New(fault.Usage, "%s is not the root of a Linux system: "+
			"there is no sys/block in it", s.opts.Root).
			WithHint("give the folder that holds sys, not sys itself")
	}
	return fault.New(fault.Failed, "cannot list the disks below %s: %w", s.opts.Root, err)
}

// devicePath is the name below /dev of a name in sys/block, where the kernel
// writes an exclamation mark for a slash.
func devicePath(name string) string {
	return "/dev/" + strings.ReplaceAll(name, "!", "/")
}

// readAll reads every entry, in parallel; the result has the order of names.
// It stops early when ctx ends.
func (s *sysfs) readAll(ctx context.Context, names []string) []entry {
	entries := make([]entry, len(names))
	var next atomic.Int64
	var readers sync.WaitGroup
	for range min(maxReaders, runtime.GOMAXPROCS(0), len(names)) {
		readers.Go(func() {
			buf := make([]byte, attributeSize)
			for i := next.Add(1) - 1; i < int64(len(names)); i = next.Add(1) - 1 {
				if ctx.Err() != nil {
					return
				}
				entries[i] = s.entry(names[i], buf)
			}
		})
	}
	readers.Wait()
	return entries
}

func (s *sysfs) entry(name string, buf []byte) entry {
	if name != printable([]byte(name)) {
		return entry{warning: fmt.Sprintf("left out %+q: not a device name", name)}
	}
	if strings.HasPrefix(name, "dm-") {
		return entry{mapper: s.mapper(name, buf)}
	}
	if head := nvmeHead(name); head != "" {
		return entry{path: devicePath(head)}
	}
	disk, err := s.disk(&attributes{s: s, base: s.block + name + "/", buf: buf}, name)
	switch {
	case err == nil:
		return entry{disk: disk}
	case gone(err):
		return entry{warning: fmt.Sprintf("left out %s: it went away while it was read",
			devicePath(name))}
	}
	return entry{warning: fmt.Sprintf("left out %s: %v", devicePath(name), err)}
}

// attributes reads the attributes of one disk into buf.
type attributes struct {
	s    *sysfs
	base string // sys/block/NAME/
	buf  []byte
}

// raw returns the content of an attribute, valid until the next call and empty
// with an error.
func (a *attributes) raw(name string) ([]byte, error) {
	n, err := a.s.read(a.base+name, a.buf)
	if err != nil {
		return nil, err
	}
	return a.buf[:n], nil
}

// text returns an attribute for people. One that is not there or cannot be read
// is empty: only the attributes that decide what a disk is must be read.
func (a *attributes) text(name string) string {
	raw, _ := a.raw(name)
	return printable(raw)
}

// gone tells a disk that was removed from one that cannot be read: sysfs
// answers reads of an open attribute with ENODEV from then on.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) ||
		errors.Is(err, syscall.ENXIO)
}

// disk reads the disk at a; nil where it is not one to list. The model comes
// first, because it alone rules out most others.
func (s *sysfs) disk(a *attributes, name string) (*Disk, error) {
	raw, err := a.raw("device/model")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d := &Disk{Name: devicePath(name), Model: printable(raw)}
	switch {
	case isNVMe(name):
		splitNVMeModel(d)
	case s.opts.counts(vendorIBM, d.Model):
		raw, err := a.raw("device/vendor")
		if err != nil {
			return nil, err
		}
		d.Vendor = printable(raw)
	}
	d.Counts = s.opts.counts(d.Vendor, d.Model)
	switch {
	case d.Counts && !isNVMe(name):
		d.Serial, err = a.volume(machineType(d.Model))
	case (d.Counts || s.opts.All) && listable(a, name):
		err = nil
		a.fillOther(d)
	default:
		return nil, nil
	}
	if err == nil && s.opts.Details {
		a.fillDetails(d)
	}
	return d, err
}

// volume returns the serial of a volume: that of page 0x80, or of page 0x83
// where page 0x80 holds none of the machine type's form; empty where the pages
// tell none. A disk without pages is there still; one without its model has gone.
func (a *attributes) volume(machine string) (string, error) {
	page, err80 := a.raw("device/vpd_pg80")
	serial := page80Serial(page)
	if _, ok := volumeSerial(machine, serial); ok {
		return serial, nil
	}
	page, err83 := a.raw("device/vpd_pg83")
	if other := page83Volume(machine, page); other != "" {
		return other, nil
	}
	if _, err := a.raw("device/model"); err != nil {
		return "", err
	}
	for _, err := range []error{err80, err83} {
		if serial == "" && err != nil && !isAbsent(err) {
			return "", err
		}
	}
	return serial, nil
}

// isAbsent tells a page that the disk does not have from one that cannot be
// read: kernels leave the attribute out or answer EINVAL.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EINVAL)
}

// listable tells a disk of another make from what sys/block holds besides disks:
// those without a device (loop, ram, md, partitions), CD and floppy drives, and
// the single paths of an NVMe namespace, which the kernel hides.
func listable(a *attributes, name string) bool {
	if strings.HasPrefix(name, "sr") || strings.HasPrefix(name, "fd") {
		return false
	}
	if _, err := os.Stat(a.base + "device"); err != nil {
		return false
	}
	return a.text("hidden") != "1"
}

// fillOther reads what a disk of another make tells: SCSI in pages, NVMe and
// virtio in attributes of their own.
func (a *attributes) fillOther(d *Disk) {
	if d.Vendor == "" {
		d.Vendor = a.text("device/vendor")
	}
	if strings.HasPrefix(d.Vendor, "0x") {
		d.Vendor = "" // the number of a virtio or PCI vendor
	}
	page, _ := a.raw("device/vpd_pg80")
	d.Serial = page80Serial(page)
	for _, attribute := range []string{"device/serial", "serial"} {
		if d.Serial == "" {
			d.Serial = a.text(attribute)
		}
	}
}

const sectorSize = 512 // of the size attribute, whatever the disk's blocks are

func (a *attributes) fillDetails(d *Disk) {
	if sectors, err := strconv.ParseInt(a.text("size"), 10, 54); err == nil && sectors > 0 {
		d.Size = sectors * sectorSize
	}
	if d.WWID = a.text("device/wwid"); d.WWID == "" {
		d.WWID = a.text("wwid")
	}
}
