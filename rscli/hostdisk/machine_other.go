//go:build !linux && !windows

package hostdisk

import (
	"context"
	"runtime"
)

func ownMachineID(ctx context.Context) string {
	return toolMachineID(ctx, runtime.GOOS, systemTools().run)
}
