package taskstore

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore/notation"
)

// Validate checks everything about t that needs no array and no host. The
// error is of kind Usage.
func (t Task) Validate() error {
	if err := ValidName("task", t.Name); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(t.Name, "-"):
		return fault.New(fault.Usage, "the name of a task does not begin with '-': %q", t.Name)
	case !slices.Contains(TaskTypes, t.Type):
		return fault.New(fault.Usage, "task %q: %q is no type of task", t.Name, t.Type).
			WithHint("the types are %s", typeNames())
	case t.Type != TaskEstablish && t.Options != (arrayclient.Options{}):
		return fault.New(fault.Usage, "task %q: only a task of type establish has options", t.Name)
	}
	if err := ValidatePairs(t.Pairs); err != nil {
		return fault.New(fault.Usage, "task %q: %w", t.Name, err).WithHint("%s", fault.HintOf(err))
	}
	return nil
}

// ValidatePairs checks the form of pairs, of which there must be one. The
// error is of kind Usage.
func ValidatePairs(pairs []TaskPair) error {
	if len(pairs) == 0 {
		return fault.New(fault.Usage, "no pairs").
			WithHint("a pair is a source and a target volume")
	}
	for _, p := range pairs {
		for _, end := range []string{p.Source, p.Target} {
			if _, err := ParseEndpoint(end); err != nil {
				return err
			}
		}
	}
	return nil
}

func typeNames() string {
	names := make([]string, len(TaskTypes))
	for i, t := range TaskTypes {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

// Validate checks h and its device map; serials are taken in either case.
// The error is of kind Usage.
func (h Host) Validate() error {
	if err := ValidHostName(h.Name); err != nil {
		return err
	}
	if len(h.OS) > maxEndpoint || !arrayclient.Printable(h.OS) {
		return fault.New(fault.Usage, "host %q: the operating system's name is not printable", h.Name)
	}
	if err := ValidMachine(h.Machine); err != nil {
		return err
	}
	seen := make(map[string]bool, len(h.Devices))
	for _, d := range h.Devices {
		if err := d.validate(h.Name); err != nil {
			return err
		}
		if seen[d.Name] {
			return fault.New(fault.Usage, "host %q names device %q twice", h.Name, d.Name)
		}
		seen[d.Name] = true
	}
	return nil
}

// ValidMachine checks what tells a machine from others; empty is good. The error is
// of kind Usage.
func ValidMachine(id string) error {
	const digits = 32
	if id == "" || len(id) == digits && strings.Trim(id, "0123456789abcdef") == "" {
		return nil
	}
	return fault.New(fault.Usage, "%.80q is not the id of a machine", id).
		WithHint("it is %d lower-case hex digits", digits)
}

// validate leaves room for the host's name in an endpoint.
func (d Device) validate(host string) error {
	if d.Name == "" || len(d.Name) > maxEndpoint-MaxName || !arrayclient.Printable(d.Name) {
		return fault.New(fault.Usage, "host %q: %q is no name for a device", host, d.Name)
	}
	if _, err := arrayclient.ParseSerial(string(d.Serial)); err != nil {
		return fault.New(fault.Usage, "host %q, device %q: %w", host, d.Name, err).
			WithHint("%s", fault.HintOf(err))
	}
	return nil
}

// Roles lists them, the most powerful first.
var Roles = []Role{RoleAdmin, RoleOperator, RoleMonitor}

// Includes reports whether a user with role r may do what needs other.
func (r Role) Includes(other Role) bool {
	mine := slices.Index(Roles, r)
	return mine >= 0 && mine <= slices.Index(Roles, other)
}

// Validate checks u. The error is of kind Usage.
func (u User) Validate() error {
	if err := ValidName("user", u.Name); err != nil {
		return err
	}
	switch {
	case strings.Contains(u.Name, ":"): // HTTP Basic authentication ends a name there
		return fault.New(fault.Usage, "the name of a user has no ':': %q", u.Name)
	case !slices.Contains(Roles, u.Role):
		return fault.New(fault.Usage, "%q is no role", u.Role).
			WithHint("the roles are admin, operator and monitor")
	}
	return nil
}

const maxAddress = 255 // of a DNS name, RFC 1035

// Validate checks e. The error is of kind Usage.
func (e Entry) Validate() error {
	if e.Kind != EntryESS && e.Kind != EntryESSServer {
		return fault.New(fault.Usage, "%q is no kind of entry", e.Kind).
			WithHint("the kinds are ess and essserver")
	}
	for _, s := range []string{e.Address, cmp.Or(e.Alternate, e.Address)} {
		if !validAddress(s) {
			return fault.New(fault.Usage, "%.80q is no address", s).
				WithHint("an address is a host name or an IP address, or one of them with a port")
		}
	}
	if e.Driver != "" || e.Array != "" || e.Fingerprint != "" {
		if err := e.validDriver(); err != nil {
			return err
		}
	}
	return ValidName("user", e.User)
}

// validDriver checks what only an array has that something drives.
func (e Entry) validDriver() error {
	if e.Kind != EntryESS || e.Driver == "" {
		return fault.New(fault.Usage, "only an array with a driver has an id and a certificate")
	}
	if _, err := arrayclient.ParseArrayID(e.Array); err != nil {
		return err
	}
	if e.Fingerprint != "" {
		print, err := notation.ParseFingerprint(e.Fingerprint)
		if err != nil {
			return err
		}
		if print != e.Fingerprint {
			return fault.New(fault.Usage, "%q is not as fingerprints are stored", e.Fingerprint)
		}
	}
	return ValidName("driver", e.Driver)
}

func validAddress(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= maxAddress && arrayclient.Printable(s) &&
		!strings.ContainsAny(s, ` /\`) && s[0] != '-' && !wrongIPv4(s)
}

// wrongIPv4: the last part of a host name is not all digits (RFC 3696,
// section 2), so what ends like that is meant for an IPv4 address.
func wrongIPv4(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	if strings.Trim(last, "0123456789") != "" {
		return false
	}
	_, err := netip.ParseAddr(s)
	return err != nil
}

// EntryName returns the name under which an entry is stored.
func EntryName(kind EntryKind, address string) string { return string(kind) + "/" + address }

// SealLabel is what the sealed password of e is bound to, so that it opens for no
// other entry. The address may be spelled otherwise next time.
func (e Entry) SealLabel() string { return Key(EntryName(e.Kind, e.Address)) }

// Validate checks c. The error is of kind Usage.
func (c Credential) Validate() error {
	if c.Serial == "" || strings.Trim(c.Serial, "0123456789abcdef") != "" || len(c.Serial) > MaxName {
		return fault.New(fault.Usage, "%.80q is not the serial number of a certificate", c.Serial)
	}
	return ValidHostName(c.Host)
}

// ValidHostName checks the name of a host. The error is of kind Usage.
func ValidHostName(name string) error {
	if err := ValidName("host", name); err != nil {
		return err
	}
	if strings.Contains(name, ":") {
		return fault.New(fault.Usage, "the name of a host has no ':': %q", name)
	}
	return nil
}

// Validate checks a, which must name a host, and none twice. The error is of
// kind Usage.
func (a Assignment) Validate() error {
	if _, err := arrayclient.ParseSerial(string(a.Volume)); err != nil {
		return err
	}
	if len(a.Hosts) == 0 {
		return fault.New(fault.Usage, "volume %s is assigned to nobody", a.Volume)
	}
	seen := make(map[string]bool, len(a.Hosts))
	for _, h := range a.Hosts {
		if err := ValidHostName(h.Host); err != nil {
			return err
		}
		if seen[Key(h.Host)] {
			return fault.New(fault.Usage, "volume %s is assigned to host %q twice", a.Volume, h.Host)
		}
		seen[Key(h.Host)] = true
	}
	return nil
}

// Access returns what host may do with the volume; found is false when it may
// do nothing.
func (a Assignment) Access(host string) (access HostAccess, found bool) {
	for _, h := range a.Hosts {
		if Key(h.Host) == Key(host) {
			return h, true
		}
	}
	return HostAccess{}, false
}
