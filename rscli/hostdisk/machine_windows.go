package hostdisk

import (
	"context"

	"golang.org/x/sys/windows/registry"
)

// ownMachineID reads the id that Windows makes when it is installed.
func ownMachineID(context.Context) string {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`,
		registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return ""
	}
	defer key.Close()
	id, _, _ := key.GetStringValue("MachineGuid")
	return id
}
