// Package export is what all ways out for volumes share: which hosts have which volumes
// attached now. The ways out themselves are the packages below it, nbd to begin with.
package export

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Attachments knows which hosts have which volumes attached, by whatever way out.
// What changes the content of a volume under a host asks it first. Make one with
// NewAttachments.
type Attachments struct {
	mu      sync.Mutex
	volumes map[arrayclient.Serial]map[*attachment]struct{}
	claims  map[arrayclient.Serial]int // imports that no host shall come into
}

// Attachment is a host that has a volume attached.
type Attachment struct {
	Address string // Of the host, without a port; empty where it is not known
	// Host and Credential are the name and the serial number of the certificate that
	// it showed, empty without one.
	Host        string
	Credential  string
	ReadOnly    bool
	Since       time.Time // Of its first connection
	Connections int
}

// attachment is a connection of a host to a volume.
type attachment struct {
	Attachment
	serial arrayclient.Serial
}

// NewAttachments returns one that knows of no host.
func NewAttachments() *Attachments {
	return &Attachments{
		volumes: map[arrayclient.Serial]map[*attachment]struct{}{},
		claims:  map[arrayclient.Serial]int{},
	}
}

// Attach adds a connection of a host, which by describes but for the time and the
// number, until detach is called. It is refused for a volume whose content is being
// replaced.
func (a *Attachments) Attach(serial arrayclient.Serial, by Attachment) (detach func(), err error) {
	by.Since, by.Connections = time.Now().UTC(), 1
	c := &attachment{serial: serial, Attachment: by}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.claims[serial] > 0 {
		return nil, fault.New(fault.Refused, "an image is being imported to volume %s", serial).
			WithHint("attach it when the import has ended")
	}
	if a.volumes[serial] == nil {
		a.volumes[serial] = map[*attachment]struct{}{}
	}
	a.volumes[serial][c] = struct{}{}
	return func() { a.detach(c) }, nil
}

func (a *Attachments) detach(c *attachment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.volumes[c.serial], c)
	if len(a.volumes[c.serial]) == 0 {
		delete(a.volumes, c.serial)
	}
}

// Of returns the hosts that have the volume attached, the first to come first. The
// connections of one host with one credential are one.
func (a *Attachments) Of(serial arrayclient.Serial) []Attachment {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ofLocked(serial)
}

// Any returns one of those volumes that hosts have attached, and them; nil where none is.
func (a *Attachments) Any(of func(arrayclient.Serial) bool) (arrayclient.Serial, []Attachment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for serial := range a.volumes {
		if of(serial) {
			return serial, a.ofLocked(serial)
		}
	}
	return "", nil
}

func (a *Attachments) ofLocked(serial arrayclient.Serial) []Attachment {
	type host struct {
		address, credential string
		readOnly            bool
	}
	byHost := map[host]Attachment{}
	for c := range a.volumes[serial] {
		key := host{c.Address, c.Credential, c.ReadOnly}
		one, known := byHost[key]
		if !known {
			byHost[key] = c.Attachment
			continue
		}
		one.Connections++
		if c.Since.Before(one.Since) {
			one.Since = c.Since
		}
		byHost[key] = one
	}
	var all []Attachment
	for _, one := range byHost {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Attachment) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Address, b.Address))
	})
	return all
}

// Claim keeps hosts from attaching the volume until release is called. It is
// refused where one has it attached.
func (a *Attachments) Claim(serial arrayclient.Serial) (release func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if by := a.ofLocked(serial); by != nil {
		return nil, InUse(serial, by)
	}
	a.claims[serial]++
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.claims[serial]--; a.claims[serial] == 0 {
			delete(a.claims, serial)
		}
	}), nil
}

// InUse is the refusal of an act that hosts which have the volume attached would notice.
func InUse(serial arrayclient.Serial, by []Attachment) *fault.Error {
	return fault.New(fault.Refused, "volume %s is in use by a host: attached to %s", serial,
		attachedTo(by)).
		WithHint("detach it there first")
}

// attachedTo names hosts for people.
func attachedTo(by []Attachment) string {
	texts := make([]string, len(by))
	for i, one := range by {
		access := "read-write"
		if one.ReadOnly {
			access = "read-only"
		}
		who := cmp.Or(one.Address, "a host")
		if one.Host != "" {
			who = fmt.Sprintf("host %s at %s (credential %s)", one.Host, who, one.Credential)
		}
		texts[i] = fmt.Sprintf("%s, %s since %s", who, access, one.Since.Format(time.RFC3339))
	}
	return strings.Join(texts, "; ")
}

// Overwritten warns of the hosts that have volumes attached whose content becomes
// another.
func (a *Attachments) Overwritten(volumes []arrayclient.Serial) (warnings []string) {
	for _, serial := range volumes {
		if by := a.Of(serial); by != nil {
			warnings = append(warnings, fmt.Sprintf("volume %s, which gets other content, is attached "+
				"to %s: what is mounted or cached there does not fit it", serial, attachedTo(by)))
		}
	}
	return warnings
}
