package copyserver

import (
	"fmt"
	"strconv"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

func (s *Server) listHosts(*call) (answer, error) {
	all, err := s.store.Hosts().List()
	if err != nil {
		return answer{}, err
	}
	for i := range all {
		all[i] = plainHost(all[i])
	}
	return ok(all)
}

// plainHost has an empty list of devices rather than null.
func plainHost(h taskstore.Host) taskstore.Host {
	if h.Devices == nil {
		h.Devices = []taskstore.Device{}
	}
	return h
}

func (s *Server) getHost(q *call) (answer, error) {
	h, err := s.store.Hosts().Get(q.PathValue("name"))
	if err != nil {
		return answer{}, noSuch(err, "run rsPrimeServer on that host")
	}
	return ok(plainHost(h))
}

// primeRequest is what the query of a putHost says.
type primeRequest struct {
	machine             string
	replace, allowEmpty bool
}

func (q *call) primeRequest() (r primeRequest, err error) {
	r.machine = q.URL.Query().Get("machine")
	if err := taskstore.ValidMachine(r.machine); err != nil {
		return r, err
	}
	if r.replace, err = q.flag("replace"); err != nil {
		return r, err
	}
	r.allowEmpty, err = q.flag("allow-empty")
	return r, err
}

// flag reads a key of the query that is true or false, false where it is not given.
func (q *call) flag(key string) (bool, error) {
	text := q.URL.Query().Get(key)
	if text == "" {
		return false, nil
	}
	set, err := strconv.ParseBool(text)
	if err != nil {
		return false, fault.New(fault.Usage, "%s is true or false, not %.20q", key, text)
	}
	return set, nil
}

// putHost replaces a device map as a whole: a device that the host no longer
// has must not stay behind, or a task would copy the wrong volume. For the same
// reason it refuses what is probably not this host, or not all of it.
func (s *Server) putHost(q *call) (answer, error) {
	var h api.Host
	if _, err := q.decode(&h); err != nil {
		return answer{}, err
	}
	if err := q.sameName(h.Name); err != nil {
		return answer{}, err
	}
	req, err := q.primeRequest()
	if err != nil {
		return answer{}, err
	}
	for i, d := range h.Devices {
		serial, err := arrayclient.ParseSerial(string(d.Serial))
		if err != nil {
			return answer{}, err
		}
		h.Devices[i].Serial = serial
	}
	warnings, err := s.prime(h, req)
	if err != nil {
		return answer{}, err
	}
	h, err = s.store.Hosts().Get(h.Name)
	if err != nil {
		return answer{}, err
	}
	return ok(api.PrimedHost{Host: plainHost(h), Warnings: warnings})
}

// prime stores h in place of the host of its name. A client of before machines
// had ids names none: the id that is known stays.
func (s *Server) prime(h taskstore.Host, req primeRequest) (warnings []string, err error) {
	s.hostsMu.Lock()
	defer s.hostsMu.Unlock()
	old, err := s.store.Hosts().Get(h.Name)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return nil, err
	}
	if err := req.refuse(old, h); err != nil {
		return nil, err
	}
	h.Primed, h.Machine = now(), req.machine
	if h.Machine == "" {
		h.Machine = old.Machine
	}
	if err := s.store.Hosts().Put(h); err != nil {
		return nil, err
	}
	if text := lostDevices(old, h); text != "" {
		s.logger.Warn("a host lost all its devices", "host", h.Name, "before", old.Devices,
			"now", h.Devices, "machine changed", h.Machine != old.Machine)
		warnings = append(warnings, text)
	}
	return warnings, nil
}

// refuse says why h must not take the place of old, which is the zero Host where
// there is none.
func (r primeRequest) refuse(old, h taskstore.Host) error {
	if r.machine != "" && old.Machine != "" && r.machine != old.Machine && !r.replace {
		return fault.New(fault.Refused, "another machine has primed the server as host %s", old.Name).
			WithHint("give this one a name of its own, with --hostname NAME; " +
				"if it took the other's place, prime with --replace")
	}
	if len(h.Devices) == 0 && len(old.Devices) > 0 && !r.allowEmpty {
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

func (s *Server) deleteHost(q *call) (answer, error) {
	if err := s.store.Hosts().Delete(q.PathValue("name")); err != nil {
		return answer{}, noSuch(err, "esscli list host shows which there are")
	}
	return done()
}
