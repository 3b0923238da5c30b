package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
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

// missing returns what this machine lacks, nil for nothing.
func (o options) missing() []string {
	var out []string
	if os.Geteuid() != 0 {
		out = append(out, "root")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		out = append(out, "loop devices")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		out = append(out, "FUSE")
	}
	tools := []string{"nbdfuse", "mount"}
	for _, fs := range o.fileSystems {
		tools = append(tools, fs.mkfs)
		if !fs.inKernel() {
			out = append(out, fs.mount+" in the kernel")
		}
	}
	slices.Sort(tools)
	for _, tool := range slices.Compact(tools) {
		if _, err := exec.LookPath(tool); err != nil {
			out = append(out, tool)
		}
	}
	return slices.Compact(out)
}

// inKernel reports whether the kernel knows the file system; it may have to load
// a module first.
func (fs fileSystem) inKernel() bool {
	known := func() bool {
		list, err := os.ReadFile("/proc/filesystems")
		return err == nil && slices.Contains(strings.Fields(string(list)), fs.mount)
	}
	if known() {
		return true
	}
	exec.Command("modprobe", fs.mount).Run()
	return known()
}

// notTested says so where nobody can miss it, and returns the exit code: under
// CI, where everything must be there, that is a failure.
func (o options) notTested(missing []string, out io.Writer) int {
	line := strings.Repeat("#", 78)
	fmt.Fprintf(out, "%s\n### POWER LOSS IS NOT TESTED: missing here: %s\n%s\n",
		line, strings.Join(missing, ", "), line)
	if os.Getenv("CI") != "" {
		return exitBad
	}
	return exitGood
}
