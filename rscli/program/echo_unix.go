//go:build aix || darwin || freebsd || linux || solaris

package program

import (
	"os"

	"golang.org/x/sys/unix"
)

// EchoOff keeps a terminal from showing what is typed, in the mode that it is
// in between two lines. It returns what undoes that. What is no terminal stays
// as it is.
func EchoOff(f *os.File) (restore func()) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, ioctlGetTermios)
	if err != nil {
		return func() {}
	}
	quiet := *before
	quiet.Lflag &^= unix.ECHO
	if unix.IoctlSetTermios(fd, ioctlSetTermios, &quiet) != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetTermios(fd, ioctlSetTermios, before) }
}
