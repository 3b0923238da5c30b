package taskstore

import (
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Endpoint is one side of a pair of a task: a volume serial, or a device of a
// host that is looked up when the task runs.
type Endpoint struct {
	Serial arrayclient.Serial // empty for host:device
	Host   string             // compared without case
	Device string             // compared exactly
}

// maxEndpoint in bytes: a host name, a colon and a long device path.
const maxEndpoint = 512

// ParseEndpoint reads a serial or host:device. What has the form of a serial
// is one; a device may contain further colons. The error is of kind Usage.
func ParseEndpoint(s string) (Endpoint, error) {
	if serial, err := arrayclient.ParseSerial(s); err == nil {
		return Endpoint{Serial: serial}, nil
	}
	host, device, _ := strings.Cut(s, ":")
	if host == "" || device == "" || len(s) > maxEndpoint || !arrayclient.Printable(s) {
		return Endpoint{}, fault.New(fault.Usage, "%.*q is neither a volume serial nor host:device",
			maxEndpoint, s).
			WithHint("a volume is named like 20313698 or like rich-w2k-os-1:Disk1")
	}
	return Endpoint{Host: host, Device: device}, nil
}

func (e Endpoint) String() string {
	if e.Serial != "" {
		return string(e.Serial)
	}
	return e.Host + ":" + e.Device
}
