package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// tool is a program of others that a measurement runs.
type tool struct {
	name    string // of the program
	debian  string // the package that has it
	version string // the argument that makes it print its version
}

var (
	lsscsi  = tool{"lsscsi", "lsscsi", "--version"}
	lsblk   = tool{"lsblk", "util-linux", "--version"}
	fio     = tool{"fio", "fio", "--version"}
	nbdkit  = tool{"nbdkit", "nbdkit", "--version"}
	qemuNBD = tool{"qemu-nbd", "qemu-utils", "--version"}
	qemuImg = tool{"qemu-img", "qemu-utils", "--version"}
	cp      = tool{"cp", "coreutils", "--version"}
	mkXFS   = tool{"mkfs.xfs", "xfsprogs", "-V"}
	mkBtrfs = tool{"mkfs.btrfs", "btrfs-progs", "--version"}
)

// tools are all that sections run.
func tools() []tool {
	return []tool{lsscsi, lsblk, fio, nbdkit, qemuNBD, qemuImg, cp, mkXFS, mkBtrfs}
}

func (t tool) installed() bool {
	_, err := exec.LookPath(t.name)
	return err == nil
}

// notMeasured says why a figure is not there; empty when the tool is.
func (t tool) notMeasured() string {
	if t.installed() {
		return ""
	}
	return fmt.Sprintf("not measured: %s is not installed (Debian: %s)", t.name, t.debian)
}

// describe returns the tool's name and version.
func (t tool) describe(ctx context.Context) string {
	if !t.installed() {
		return t.name + " not installed"
	}
	// lsscsi prints its version on stderr.
	out, err := exec.CommandContext(ctx, t.name, t.version).CombinedOutput()
	if err != nil {
		return t.name + " of unknown version"
	}
	return t.name + " " + versionIn(string(out))
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+`)

// versionIn finds the version number in what a program printed about itself.
func versionIn(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	if v := versionNumber.FindString(first); v != "" {
		return v
	}
	return "of unknown version"
}
