//go:build !linux && !windows

package hostdisk

import (
	"context"
	"runtime"
	"time"
)

func listMachine(ctx context.Context, opts Options) ([]Disk, []string, error) {
	return listWithTools(ctx, runtime.GOOS, systemTools().run, opts)
}

// Limits of one run of a system's tool: a hanging disk may hang the tool, and an
// answer of 4,096 disks with all their properties is some tens of megabytes.
const (
	toolTimeout = time.Minute
	toolOutput  = 64 << 20
)

func systemTools() toolbox {
	dirs := []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}
	return toolbox{dirs, toolTimeout, toolOutput}
}
