//go:build !unix || solaris || illumos

package program

import (
	"runtime"

	"copyservices/arrayclient/fault"
)

// openSyslog: on Windows there is none; that of Solaris is reached through its C
// library only (the Go package log/syslog says so).
func openSyslog(*Env) (logTarget, error) {
	return nil, fault.New(fault.Usage, "syslog cannot be reached on %s", runtime.GOOS).
		WithHint("use --log FILE, or on Windows --log %s", logToEventLog)
}
