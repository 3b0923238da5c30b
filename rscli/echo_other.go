//go:build !(aix || darwin || freebsd || linux || solaris)

package rscli

import "os"

// echoOff does nothing: a Windows console echoes only while a line is read.
func echoOff(*os.File) (restore func()) { return func() {} }
