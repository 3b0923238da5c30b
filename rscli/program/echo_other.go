//go:build !(aix || darwin || freebsd || linux || solaris)

package program

import "os"

// EchoOff does nothing: a Windows console echoes only while a line is read.
func EchoOff(*os.File) (restore func()) { return func() {} }
