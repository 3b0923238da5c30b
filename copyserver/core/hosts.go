package core

import (
	"fmt"
	"slices"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// Hosts returns the hosts that have primed the server.
func (c *Core) Hosts(by Caller) ([]taskstore.Host, error) {
	if err := by.May(Look); err != nil {
		return nil, err
	}
	return c.Store.Hosts().List()
}

// Host returns the host of that name.
func (c *Core) Host(by Caller, name string) (taskstore.Host, error) {
	if err := by.May(Look); err != nil {
		return taskstore.Host{}, err
	}
	h, err := c.Store.Hosts().Get(name)
	return h, noSuch(err, "run rsPrimeServer on that host")
}

// Prime says more of a host that primes the server.
type Prime struct {
	// Machine is what tells this machine from others of its name; empty for one that
	// cannot tell.
	Machine string
	// Replace takes the place of another machine of this name.
	Replace bool
	// AllowEmpty lets a host without any device take the place of one with some.
	AllowEmpty bool
}

// PrimeHost replaces a device map as a whole: a device that the host no longer has
// must not stay behind, or a task would copy the wrong volume. For the same reason it
// refuses what is probably not this host, or not all of it. It returns the host as it
// is stored.
func (c *Core) PrimeHost(
	by Caller, h taskstore.Host, p Prime,
) (stored taskstore.Host, warnings []string, err error) {
	if err := by.May(PrimeHost); err != nil {
		return stored, nil, err
	}
	if err := taskstore.ValidMachine(p.Machine); err != nil {
		return stored, nil, err
	}
	h.Devices = slices.Clone(h.Devices)
	for i, d := range h.Devices {
		serial, err := arrayclient.ParseSerial(string(d.Serial))
		if err != nil {
			return stored, nil, err
		}
		h.Devices[i].Serial = serial
	}
	if warnings, err = c.prime(h, p); err != nil {
		return stored, nil, err
	}
	stored, err = c.Store.Hosts().Get(h.Name)
	return stored, warnings, err
}

// prime stores h in place of the host of its name. A client of before machines
// had ids names none: the id that is known stays.
func (c *Core) prime(h taskstore.Host, p Prime) (warnings []string, err error) {
	c.hosts.Lock()
	defer c.hosts.Unlock()
	old, err := c.Store.Hosts().Get(h.Name)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return nil, err
	}
	if err := p.refuse(old, h); err != nil {
		return nil, err
	}
	h.Primed, h.Machine = now(), p.Machine
	if h.Machine == "" {
		h.Machine = old.Machine
	}
	if err := c.Store.Hosts().Put(h); err != nil {
		return nil, err
	}
	if text := lostDevices(old, h); text != "" {
		c.Logger.Warn("a host lost all its devices", "host", h.Name, "before", old.Devices,
			"now", h.Devices, "machine changed", h.Machine != old.Machine)
		warnings = append(warnings, text)
	}
	return warnings, nil
}

// refuse says why h must not take the place of old, which is the zero Host where
// there is none.
func (p Prime) refuse(old, h taskstore.Host) error {
	if p.Machine != "" && old.Machine != "" && p.Machine != old.Machine && !p.Replace {
		return fault.New(fault.Refused, "another machine has primed the server as host %s", old.Name).
			WithHint("give this one a name of its own, with --hostname NAME; " +
				"if it took the other's place, prime with --replace")
	}
	if len(h.Devices) == 0 && len(old.Devices) > 0 && !p.AllowEmpty {
		return fault.New(fault.Refused, "host %s would lose all its %d devices and have none",
			old.Name, len(old.Devices)).
			WithHint("look why it sees no volume; if that is right, prime with --allow-empty")
	}
	return nil
}

// lostDevices says that h has no volume that old had, empty where it has one or
// old had none. The devices' names do not count: they may change at every boot.
func lostDevices(old, h taskstore.Host) string {
	if len(old.Devices) == 0 {
		return ""
	}
	known := make(map[arrayclient.Serial]bool, len(old.Devices))
	for _, d := range old.Devices {
		known[d.Serial] = true
	}
	for _, d := range h.Devices {
		if known[d.Serial] {
			return ""
		}
	}
	if len(h.Devices) == 0 {
		return fmt.Sprintf("the server forgot all devices that it knew of host %s", h.Name)
	}
	return fmt.Sprintf("host %s has none of the volumes that the server knew of it: "+
		"tasks that name its devices copy other volumes from now on", h.Name)
}

// DeleteHost forgets a host and its devices.
func (c *Core) DeleteHost(by Caller, name string) error {
	if err := by.May(DeleteHost); err != nil {
		return err
	}
	return noSuch(c.Store.Hosts().Delete(name), "esscli list host shows which there are")
}
