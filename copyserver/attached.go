package copyserver

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/export/nbd"
)

// attachments knows which hosts have which volumes attached over NBD. What changes
// the content of a volume under a host asks it first. Make one with
// newAttachments.
type attachments struct {
	mu      sync.Mutex
	volumes map[arrayclient.Serial]map[*attachment]struct{}
	claims  map[arrayclient.Serial]int // imports that no host shall come into
}

// attachment is a connection of a host to a volume.
type attachment struct {
	api.Attachment
	serial arrayclient.Serial
}

func newAttachments() *attachments {
	return &attachments{
		volumes: map[arrayclient.Serial]map[*attachment]struct{}{},
		claims:  map[arrayclient.Serial]int{},
	}
}

// attach adds a host's connection until detach is called. It is refused for a volume
// whose content is being replaced.
func (a *attachments) attach(
	ctx context.Context, peer nbd.Peer, serial arrayclient.Serial, readOnly bool,
) (detach func(), err error) {
	c := &attachment{serial: serial, Attachment: api.Attachment{
		Host: peer.Name, Credential: peer.Serial, ReadOnly: readOnly, Since: now(), Connections: 1,
	}}
	if addr := nbd.ClientAddress(ctx); addr.IsValid() {
		c.Address = addr.String()
	}
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

func (a *attachments) detach(c *attachment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.volumes[c.serial], c)
	if len(a.volumes[c.serial]) == 0 {
		delete(a.volumes, c.serial)
	}
}

// of returns the hosts that have the volume attached, the first to come first. The
// connections of one host with one credential are one.
func (a *attachments) of(serial arrayclient.Serial) []api.Attachment {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ofLocked(serial)
}

func (a *attachments) ofLocked(serial arrayclient.Serial) []api.Attachment {
	type host struct {
		address, credential string
		readOnly            bool
	}
	byHost := map[host]api.Attachment{}
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
	var all []api.Attachment
	for _, one := range byHost {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b api.Attachment) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Address, b.Address))
	})
	return all
}

// claim keeps hosts from attaching the volume until release is called. It is
// refused where one has it attached.
func (a *attachments) claim(serial arrayclient.Serial) (release func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if by := a.ofLocked(serial); by != nil {
		return nil, inUse(serial, by)
	}
	a.claims[serial]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.claims[serial]--; a.claims[serial] == 0 {
			delete(a.claims, serial)
		}
	}, nil
}

func inUse(serial arrayclient.Serial, by []api.Attachment) *fault.Error {
	return fault.New(fault.Refused, "volume %s is in use by a host: attached to %s", serial,
		attachedTo(by)).
		WithHint("detach it there first")
}

// attachedTo names hosts for people.
func attachedTo(by []api.Attachment) string {
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

// overwritten warns of the hosts that have volumes attached whose content becomes
// another.
func (a *attachments) overwritten(volumes []arrayclient.Serial) (warnings []string) {
	for _, serial := range volumes {
		if by := a.of(serial); by != nil {
			warnings = append(warnings, fmt.Sprintf("volume %s, which gets other content, is attached "+
				"to %s: what is mounted or cached there does not fit it", serial, attachedTo(by)))
		}
	}
	return warnings
}

// attachedVolume is a volume that a host has attached.
type attachedVolume struct {
	arrayclient.VolumeIO
	detach func()
}

// Close detaches the volume once it is closed.
func (v *attachedVolume) Close() error {
	defer v.detach()
	return v.VolumeIO.Close()
}
