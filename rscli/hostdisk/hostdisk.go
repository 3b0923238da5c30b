// Package hostdisk lists the disks of this host and tells which of them are
// volumes of a 2105 array. Each operating system has a file of its own; the
// sysfs reader of Linux is plain file reading and works everywhere on a copied
// or captured tree (Options.Root), as lsblk --sysroot does.
//
// Nothing here needs root. What comes from a disk is never trusted: texts are
// cut to printable ASCII, so that they may go to a terminal as they are.
package hostdisk

import (
	"context"
	"strings"

	"copyservices/arrayclient"
)

// Disk is one disk as this host sees it, through however many paths.
type Disk struct {
	// Name is what the host calls it: /dev/sdb, or the multipath device
	// /dev/mapper/NAME.
	Name string
	// Vendor, Model and Serial are trimmed; each may be empty.
	Vendor, Model, Serial string
	// WWID is the world wide id as the kernel writes it ("naa.5005..."), empty
	// where there is none or Options.Details was not set.
	WWID string
	// Size in bytes, 0 where it is not known or Options.Details was not set.
	Size int64
	// Members are the names of the paths that Name stands for: the disks under
	// a multipath device, or the other paths to the same volume where there is
	// no multipath device. Empty for a disk of one path.
	Members []string
}

const vendorIBM = "IBM"

// Volume returns the volume serial of a disk that is a volume of a 2105 array,
// false for every other disk and for one whose serial cannot be read.
func (d Disk) Volume() (arrayclient.Serial, bool) {
	if !d.is2105() {
		return "", false
	}
	serial, err := arrayclient.ParseSerial(d.Serial)
	return serial, err == nil
}

func (d Disk) is2105() bool {
	return d.Vendor == vendorIBM && strings.HasPrefix(d.Model, arrayclient.MachineType)
}

// Options say which disks to list.
type Options struct {
	// Root is a folder that holds the sys, proc and etc of a Linux host. Empty
	// or "/" is this machine.
	Root string
	// All lists disks of other makes too, and 2105 disks without a readable
	// serial.
	All bool
	// Details reads Size and WWID too: two more files for each disk.
	Details bool
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
