package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

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
