//go:build linux

package hostdisk

import "context"

// listMachine reads the machine's own /sys.
func listMachine(ctx context.Context, opts Options) ([]Disk, []string, error) {
	opts.Root = "/"
	return listSysfs(ctx, opts)
}
