//go:build aix || darwin || freebsd || solaris

package hostdisk

import "golang.org/x/sys/unix"

func machineOS() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unixName(unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]),
		unix.ByteSliceToString(u.Version[:]))
}
