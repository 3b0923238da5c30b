//go:build !linux

package hostdisk

import (
	"context"
	"runtime"

	"copyservices/arrayclient/fault"
)

func listMachine(context.Context, Options) ([]Disk, []string, error) {
	return nil, nil, fault.New(fault.Failed,
		"listing disks is not supported yet on %s", runtime.GOOS).
		WithHint("give a captured Linux tree with --sysroot DIR, " +
			"or name volumes by their serials, which the server lists")
}
