//go:build !windows

package service

import (
	"runtime"

	"copyservices/arrayclient/fault"
)

// Run fails: there is no service manager of Windows here.
func Run(string, func(Events) Body) (int, error) { return 0, notHere() }

// Install fails: there is no service manager of Windows here.
func Install(Spec) error { return notHere() }

// Remove fails: there is no service manager of Windows here.
func Remove(string) error { return notHere() }

func notHere() error {
	return fault.New(fault.Usage, "services of this kind are part of Windows, and this is %s",
		runtime.GOOS).WithHint("systemd has the unit copyserver.service, see copyserver(8)")
}
