package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// unknown stands for what the system does not tell.
const unknown = "unknown"

// machine says what the figures were taken on, as "name: value" lines.
func (l *lab) machine(ctx context.Context) []string {
	lines := []string{
		fmt.Sprintf("processors: %d, %s", runtime.NumCPU(),
			field(readText("/proc/cpuinfo"), "model name")),
		"memory: " + memorySize(readText("/proc/meminfo")),
		"system: " + system(),
		"file system of the volumes and files: " + fileSystem(l.disk),
		"file system where it says in memory: " + fileSystem(l.memory),
		"revision: " + revision(ctx),
		"built with: " + runtime.Version() + ", CGO_ENABLED=0",
	}
	var versions []string
	for _, t := range tools() {
		versions = append(versions, t.describe(ctx))
	}
	return append(lines, "tools: "+strings.Join(versions, ", "))
}

// readText returns a file's text; empty when there is none.
func readText(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(text)
}

// field returns the value of the first line "name : value" or NAME="value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		i := strings.IndexAny(line, ":=")
		if i >= 0 && strings.TrimSpace(line[:i]) == name {
			return strings.Trim(strings.TrimSpace(line[i+1:]), `"`)
		}
	}
	return unknown
}

func memorySize(meminfo string) string {
	var kib int64
	if _, err := fmt.Sscanf(field(meminfo, "MemTotal"), "%d kB", &kib); err != nil {
		return unknown
	}
	return fmt.Sprintf("%.1f GiB", float64(kib)/(1<<20))
}

func system() string {
	kernel := strings.TrimSpace(readText("/proc/sys/kernel/osrelease"))
	if kernel == "" {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	return fmt.Sprintf("%s, Linux %s, %s", field(readText("/etc/os-release"), "PRETTY_NAME"),
		kernel, runtime.GOARCH)
}

// loadAverage returns the load of the last 1, 5 and 15 minutes.
func loadAverage() string { return loadIn(readText("/proc/loadavg")) }

func loadIn(load string) string {
	if fields := strings.Fields(load); len(fields) >= 3 {
		return strings.Join(fields[:3], " ")
	}
	return unknown
}

// busy reports whether a load average of before the measurements says that the
// machine has much else to do.
func busy(load string, processors int) bool {
	var minute float64
	_, err := fmt.Sscan(load, &minute)
	return err == nil && minute > float64(processors)/2
}

// fileSystem returns the type of the file system that a folder is on.
func fileSystem(dir string) string {
	abs, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return unknown
	}
	return mountType(readText("/proc/self/mountinfo"), abs)
}

// mountType finds in /proc/self/mountinfo, see proc_pid_mountinfo(5), the type
// of the file system that holds the folder: that of the longest mount point
// above it, of equal ones the last, which hides the others.
func mountType(mountinfo, dir string) string {
	found, longest := unknown, -1
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(kind) == 0 {
			continue
		}
		point := fields[4]
		above := point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
		if above && len(point) >= longest {
			found, longest = kind[0], len(point)
		}
	}
	return found
}

// revision returns the commit that the source is at.
func revision(ctx context.Context) string {
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return unknown
	}
	text := strings.TrimSpace(string(commit))
	changes, err := exec.CommandContext(ctx, "git", "status", "--porcelain",
		"--untracked-files=no", "--", "*.go").Output()
	if err == nil && len(changes) > 0 {
		text += " with changes"
	}
	return text
}
