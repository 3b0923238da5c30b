//go:build !aix && !darwin && !freebsd && !solaris && !windows

package hostdisk

// machineOS knows no more than the name: on Linux os-release tells it.
func machineOS() string { return "" }
