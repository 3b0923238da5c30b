package copyserver

import (
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

const (
	machineA = "?machine=acf41a0eb86349378424ded4af2dbf10"
	machineB = "?machine=6dc2d85e20094780be0b6c2987eb1cc3"
)

func hostWith(serials ...arrayclient.Serial) api.Host {
	h := api.Host{Name: "vm", Devices: []api.Device{}}
	for i, serial := range serials {
		h.Devices = append(h.Devices, api.Device{Name: "Disk" + string(rune('1'+i)), Serial: serial})
	}
	return h
}

func (w *world) devicesOf(name string) []api.Device {
	w.Helper()
	var h api.Host
	w.do("GET", "/v1/hosts/"+name, nil, 200, &h)
	return h.Devices
}

// TestAnotherMachineOfTheName: two machines of one name do not take each other's
// place, whatever one of them has told before.
func TestAnotherMachineOfTheName(t *testing.T) {
	dir := t.TempDir()
	w := start(t, dir)
	const path = "/v1/hosts/vm"
	w.do("PUT", path, hostWith("20313698"), 200, nil) // as before machines had ids
	w.do("PUT", path+machineA, hostWith("20313698"), 200, nil)
	w.refused("PUT", path+machineB, hostWith("20413698"), 422, fault.Refused, "another machine")
	w.refused("PUT", path+machineB+"&replace=false", hostWith("20413698"), 422, fault.Refused,
		"another machine")
	w.do("PUT", path, hostWith("20313698", "20513698"), 200, nil)
	w.end()

	w = start(t, dir)
	w.refused("PUT", path+machineB, hostWith("20413698"), 422, fault.Refused, "another machine")
	if got := w.devicesOf("vm"); len(got) != 2 {
		t.Errorf("devices %+v", got)
	}
	w.do("PUT", path+machineB+"&replace=true", hostWith("20413698"), 200, nil)
	w.refused("PUT", path+machineA, hostWith("20313698"), 422, fault.Refused, "another machine")
	w.do("DELETE", path, nil, 204, nil)
	w.do("PUT", path+machineA, hostWith("20313698"), 200, nil)
	for _, query := range []string{"?machine=x", "?replace=maybe", "?machine=" + strings.Repeat("A", 32)} {
		w.refused("PUT", path+query, hostWith("20313698"), 400, fault.Usage, "")
	}
}

func TestEmptyMap(t *testing.T) {
	w := start(t, t.TempDir())
	const path = "/v1/hosts/vm"
	w.do("PUT", path, hostWith(), 200, nil) // nothing is lost
	w.do("PUT", path, hostWith("20313698"), 200, nil)
	for _, query := range []string{"", machineA} {
		w.refused("PUT", path+query, hostWith(), 422, fault.Refused, "lose all its 1 devices")
	}
	if got := w.devicesOf("vm"); len(got) != 1 {
		t.Errorf("devices %+v", got)
	}
	var primed api.PrimedHost
	w.do("PUT", path+"?allow-empty=true", hostWith(), 200, &primed)
	if len(primed.Warnings) != 1 || !strings.Contains(primed.Warnings[0], "forgot all devices") {
		t.Errorf("warnings %q", primed.Warnings)
	}
}

// TestAllDevicesReplaced: the answer and the log say so; other names for the same
// volumes, and one that stays, are as usual.
func TestAllDevicesReplaced(t *testing.T) {
	w := start(t, t.TempDir())
	for _, c := range []struct {
		host api.Host
		warn bool
	}{
		{hostWith("20313698", "20413698"), false},
		{hostWith("20413698", "20313698"), false},
		{hostWith("20413698"), false},
		{hostWith("20413698", "20513698"), false},
		{hostWith("20613698", "20713698"), true},
	} {
		var primed api.PrimedHost
		w.do("PUT", "/v1/hosts/vm"+machineA, c.host, 200, &primed)
		const line = "a host lost all its devices"
		if (len(primed.Warnings) > 0) != c.warn || strings.Contains(w.log.String(), line) != c.warn {
			t.Errorf("%+v: warnings %q", c.host.Devices, primed.Warnings)
		}
	}
}
