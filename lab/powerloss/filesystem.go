package main

import (
	"context"
	"fmt"
	"strings"
)

// fileSystem is a kind of file system that the state folder lies on.
type fileSystem struct {
	name    string
	mkfs    string
	options []string // of mkfs
	mount   string   // type for mount
	with    string   // options for mount
}

// fileSystems are all that the harness knows. Their blocks are of 4 KiB.
var fileSystems = []fileSystem{
	{"ext4", "mkfs.ext4", []string{"-q", "-F", "-b", "4096",
		"-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"}, "ext4", "loop"},
	{"xfs", "mkfs.xfs", []string{"-q", "-K", "-b", "size=4096", "-m", "reflink=1"},
		"xfs", "loop,nouuid"},
	{"xfs-noreflink", "mkfs.xfs", []string{"-q", "-K", "-b", "size=4096", "-m", "reflink=0"},
		"xfs", "loop,nouuid"},
	{"btrfs", "mkfs.btrfs", []string{"-q", "-K", "-s", "4096"}, "btrfs", "loop"},
}

// selectFileSystems returns those whose names are in the list, parted by commas.
func selectFileSystems(list string) ([]fileSystem, error) {
	if list == "all" {
		return fileSystems, nil
	}
	var out []fileSystem
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for _, fs := range fileSystems {
			if fs.name == name {
				out, found = append(out, fs), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no file system is called %q", name)
		}
	}
	return out, nil
}

// make makes the file system on the disk.
func (fs fileSystem) make(ctx context.Context, disk string) error {
	return command(ctx, fs.mkfs, append(append([]string{}, fs.options...), disk)...)
}

// mountOn mounts the disk at dir. It repairs nothing: the file system's own
// journal must do.
func (fs fileSystem) mountOn(ctx context.Context, disk, dir string) error {
	if fs.name == "btrfs" { // it remembers the generations of disks that are gone
		if err := command(ctx, "btrfs", "device", "scan", "--forget"); err != nil {
			return err
		}
	}
	return command(ctx, "mount", "-t", fs.mount, "-o", fs.with, disk, dir)
}
