package hostdisk

import (
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

func machineOS() string {
	product := ""
	key, err := registry.OpenKey(registry.LOCAL_MACHINE,
		`SOFTWARE\Microsoft\Windows NT\CurrentVersion`, registry.QUERY_VALUE)
	if err == nil {
		defer key.Close()
		product, _, _ = key.GetStringValue("ProductName")
	}
	return windowsName(product, windows.RtlGetVersion().BuildNumber)
}
