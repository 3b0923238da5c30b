package core_test

import (
	"slices"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/core"
	"copyservices/taskstore"
)

const (
	machineA = "0123456789abcdef0123456789abcdef"
	machineB = "fedcba9876543210fedcba9876543210"
)

// primed wants h to be taken and returns it as it is stored.
func (w *world) primed(h taskstore.Host, p core.Prime) (taskstore.Host, []string) {
	w.Helper()
	stored, warnings, err := w.PrimeHost(operator, h, p)
	must(w.T, err)
	return stored, warnings
}

// notPrimed wants h to be refused.
func (w *world) notPrimed(h taskstore.Host, p core.Prime, kind fault.Kind, text, hint string) {
	w.Helper()
	w.refused(kind, text, hint, func() error {
		_, _, err := w.PrimeHost(operator, h, p)
		return err
	})
}

func TestPrimeHostReplacesTheWholeMap(t *testing.T) {
	w := newWorldWithoutArray(t)
	w.prime("VM", "20013698", "20113698")
	h := hostOf("vm", "2ff13698", "20013698")
	given := slices.Clone(h.Devices)
	stored, warnings := w.primed(h, core.Prime{})
	want := []taskstore.Device{{Name: "Disk1", Serial: "2FF13698"}, {Name: "Disk2", Serial: "20013698"}}
	if stored.Name != "VM" || !slices.Equal(stored.Devices, want) || stored.Primed.IsZero() || warnings != nil {
		t.Errorf("stored %+v, warnings %q", stored, warnings)
	}
	if !slices.Equal(h.Devices, given) {
		t.Errorf("the caller's devices have become %v", h.Devices)
	}
	read, err := w.Host(monitor, "vM")
	must(t, err)
	all, err := w.Hosts(monitor)
	must(t, err)
	if len(all) != 1 || asJSON(t, all[0]) != asJSON(t, stored) || asJSON(t, read) != asJSON(t, stored) {
		t.Errorf("hosts %+v, host %+v", all, read)
	}
}

func TestHostsThatCannotBePrimed(t *testing.T) {
	w := newWorldWithoutArray(t)
	w.prime("vm", "20013698")
	twice := hostOf("vm", "20013698", "20113698")
	twice.Devices[1].Name = "Disk1"
	system := hostOf("vm", "20013698")
	system.OS = "a\nb"
	for text, h := range map[string]taskstore.Host{
		"name of a host has no ':'":         hostOf("a:b", "20013698"),
		"a host needs a name":               hostOf("", "20013698"),
		`names device "Disk1" twice`:        twice,
		"is not printable":                  system,
		`"nonsense" is not a volume serial`: hostOf("vm", "nonsense"),
		`"" is not a volume serial`:         hostOf("vm", ""),
		`is no name for a device`:           {Name: "vm", Devices: []taskstore.Device{{Serial: "20013698"}}},
		`host "vm": "a\tb" is no name for`:  {Name: "vm", Devices: []taskstore.Device{{Name: "a\tb", Serial: "20013698"}}},
	} {
		w.notPrimed(h, core.Prime{}, fault.Usage, text, "")
	}
	w.notPrimed(hostOf("vm", "20013698"), core.Prime{Machine: "X"}, fault.Usage,
		`"X" is not the id of a machine`, "32 lower-case hex digits")
}

func TestAnotherMachineOfTheSameName(t *testing.T) {
	w := newWorldWithoutArray(t)
	w.prime("vm", "20013698") // by a client of before machines had ids
	h := hostOf("VM", "20013698")
	stored, _ := w.primed(h, core.Prime{Machine: machineA})
	if stored.Machine != machineA {
		t.Errorf("the first machine that tells its id is %q", stored.Machine)
	}
	w.notPrimed(h, core.Prime{Machine: machineB}, fault.Refused,
		"another machine has primed the server as host vm", "--replace")
	h.Machine = machineB // is for the server to set
	stored, _ = w.primed(h, core.Prime{})
	if stored.Machine != machineA {
		t.Errorf("after a client without an id the machine is %q", stored.Machine)
	}
	w.primed(h, core.Prime{Machine: machineA})
	stored, _ = w.primed(h, core.Prime{Machine: machineB, Replace: true})
	if stored.Machine != machineB {
		t.Errorf("the one that took its place is %q", stored.Machine)
	}
	w.notPrimed(h, core.Prime{Machine: machineA}, fault.Refused, "another machine", "--hostname NAME")
}

func TestHostThatSeesNothing(t *testing.T) {
	w := newWorldWithoutArray(t)
	if _, warnings := w.primed(hostOf("new"), core.Prime{}); warnings != nil {
		t.Errorf("a new host without a device: %q", warnings)
	}
	w.prime("vm", "20013698", "20113698")
	w.notPrimed(hostOf("vm"), core.Prime{}, fault.Refused,
		"host vm would lose all its 2 devices", "--allow-empty")
	w.notPrimed(hostOf("vm"), core.Prime{Replace: true}, fault.Refused, "would lose all", "")
	stored, warnings := w.primed(hostOf("vm"), core.Prime{AllowEmpty: true})
	if len(stored.Devices) != 0 || len(warnings) != 1 ||
		warnings[0] != "the server forgot all devices that it knew of host vm" {
		t.Errorf("stored %+v, warnings %q", stored, warnings)
	}
	if _, warnings = w.primed(hostOf("vm"), core.Prime{}); warnings != nil {
		t.Errorf("nothing again: %q", warnings)
	}
}

func TestHostThatLostItsVolumes(t *testing.T) {
	w := newWorldWithoutArray(t)
	w.prime("vm", "20013698", "20113698")
	for _, kept := range []arrayclient.Serial{"20113698", "20213698"} {
		// The second is Disk1 again, but another volume.
		_, warnings := w.primed(hostOf("vm", kept), core.Prime{})
		lost := kept == "20213698"
		logged := strings.Contains(w.log.String(), "lost all its devices")
		if lost != (len(warnings) == 1) || lost != logged {
			t.Errorf("with %s warnings %q, log %s", kept, warnings, &w.log)
		}
		if lost && !strings.HasPrefix(warnings[0], "host vm has none of the volumes") {
			t.Errorf("warnings %q", warnings)
		}
	}
}

func TestHostsThatAreNotThere(t *testing.T) {
	w := newWorldWithoutArray(t)
	w.refused(fault.NotFound, `no host named "vm"`, "rsPrimeServer", func() error {
		return failed(w.Host(monitor, "vm"))
	})
	w.refused(fault.NotFound, `no host named "vm"`, "esscli list host", func() error {
		return w.DeleteHost(admin, "vm")
	})
	w.prime("vm", "20013698")
	must(t, w.DeleteHost(admin, "VM"))
	w.refused(fault.NotFound, `no host named "vm"`, "", func() error { return failed(w.Host(monitor, "vm")) })
}
