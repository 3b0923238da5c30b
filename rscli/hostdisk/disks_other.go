//go:build !linux && !windows

package hostdisk

import (
	"context"
	"runtime"
)

func listMachine(ctx context.Context, opts Options) ([]Disk, []string, error) {
	return listWithTools(ctx, runtime.GOOS, systemTools().run, opts)
}
