//go:build !windows

package program

import (
	"runtime"

	"copyservices/arrayclient/fault"
)

func openEventLog(*Env) (logTarget, error) {
	return nil, fault.New(fault.Usage, "the event log is part of Windows, and this is %s",
		runtime.GOOS).WithHint("use --log %s or --log FILE", logToSyslog)
}
