// Package hostdisk lists the disks of this host and tells which of them are
// volumes of a 2105 array, or of another IBM array that the configuration
// names.
//
//	Linux    sysfs, which is plain file reading and works everywhere on a copied
//	         or captured tree (Options.Root), as lsblk --sysroot does
//	Windows  IOCTL_STORAGE_QUERY_PROPERTY on every PhysicalDrive
//	AIX      lsdev, lscfg, lsattr, lspath, and lsvpcfg of the SDD driver
//	Solaris  iostat -En
//	FreeBSD  geom disk list, geom multipath list, camcontrol inquiry
//	macOS    ioreg
//
// Linux is the one system that this was run on for real; the Windows part ran
// under Wine, whose drives tell neither vendor nor serial. What the others answer
// is known from public documentation and sources: testdata/README.md says from
// which, for each sample that the parsers are tested on.
//
// Nothing here needs root, but for camcontrol. What comes from a disk or a tool
// is never trusted: texts are cut to printable ASCII, so that they may go to a
// terminal as they are.
package hostdisk

import "context"

// Disk is one disk as this host sees it, through however many paths.
type Disk struct {
	// Name is what the host calls it: /dev/sdb, Disk1, hdisk2, c1t0d0, or the
	// multipath device: /dev/mapper/NAME, vpath0, /dev/multipath/NAME.
	Name string
	// Vendor, Model and Serial are trimmed; each may be empty.
	Vendor, Model, Serial string
	// WWID is the world wide id as the system writes it ("naa.5005..."), empty
	// where it tells none or Options.Details was not set.
	WWID string
	// Size in bytes, 0 where it is not known or Options.Details was not set.
	Size int64
	// Members are the names of the paths that Name stands for: the disks under
	// a multipath device, or the other paths to the same volume where there is
	// no multipath device. On AIX, where the paths of an MPIO disk are no disks,
	// they are "fscsi0 CONNECTION", as lspath writes them. Empty for a disk of
	// one path.
	Members []string
	// Counts says that the disk is a volume of an array of one of the machine
	// types that were asked for: Options.Models.
	Counts bool
}

// Options say which disks to list.
type Options struct {
	// Root is a folder that holds the sys, proc and etc of a Linux host. Empty
	// or "/" is this machine.
	Root string
	// All lists disks of other makes too, and volumes without a readable serial.
	All bool
	// Details reads Size, WWID and the paths of AIX too: two more files for each
	// disk, or one more tool to run.
	Details bool
	// Models are the machine types whose volumes count, as ParseModels returns
	// them; nil is 2105 alone.
	Models []string
}

// Host is a machine and its disks.
type Host struct {
	Name  string // never empty
	OS    string // text for people: "Debian GNU/Linux 12 (bookworm)"
	Disks []Disk
	// Warnings are sentences about what was left out or looks wrong.
	Warnings []string
}

// Read returns the host with its disks; errors as from List and HostName.
func Read(ctx context.Context, opts Options) (Host, error) {
	disks, warnings, err := List(ctx, opts)
	if err != nil {
		return Host{}, err
	}
	name, err := HostName(opts.Root)
	if err != nil {
		return Host{}, err
	}
	return Host{Name: name, OS: OSName(opts.Root), Disks: disks, Warnings: warnings}, nil
}

// List returns the disks in natural order of their names (sdz before sdaa),
// with warnings about what was left out or looks wrong. A disk that goes away
// meanwhile is left out with a warning. The error is of kind Usage where
// opts.Root is not a Linux tree, and Failed where the disks cannot be listed at
// all.
func List(ctx context.Context, opts Options) (disks []Disk, warnings []string, err error) {
	if isMachine(opts.Root) {
		return listMachine(ctx, opts)
	}
	return listSysfs(ctx, opts)
}

func isMachine(root string) bool { return root == "" || root == "/" }
