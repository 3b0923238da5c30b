// Package exports shows the volumes of a server to hosts, by the protocols of package
// export. Which volumes a host sees, and what it may do with them, is the same for all
// of them.
package exports

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/export"
	"copyservices/export/nbd"
	"copyservices/taskstore"
)

// Volumes offers the volumes of all arrays that can be opened, each under its
// serial.
type Volumes struct {
	Arrays   *arrays.Registry
	Attached *export.Attachments
	// Access tells what the owner of a credential may do with a volume; nil:
	// everybody may do everything.
	Access func(credential string, volume arrayclient.Serial) (taskstore.HostAccess, bool)
}

func (e Volumes) of(
	peer nbd.Peer, serial arrayclient.Serial,
) (access taskstore.HostAccess, found bool) {
	if e.Access == nil {
		return taskstore.HostAccess{}, true
	}
	return e.Access(peer.Serial, serial)
}

// List returns the volumes ordered by array and serial, without those of an array that
// does not answer.
func (e Volumes) List(ctx context.Context, peer nbd.Peer) ([]nbd.ExportInfo, error) {
	all, err := arrays.Collect(e.Arrays, func(a arrays.Asked) ([]arrayclient.Volume, error) {
		if _, ok := arrayclient.As[arrayclient.Opener](a.Array); !ok {
			return nil, nil
		}
		return a.Volumes(ctx)
	})
	if err != nil {
		return nil, err
	}
	var out []nbd.ExportInfo
	for _, v := range all.All {
		if _, ok := e.of(peer, v.Serial); !ok {
			continue
		}
		out = append(out, nbd.ExportInfo{
			Name: string(v.Serial), Description: v.Label, Size: v.Size,
		})
	}
	return out, nil
}

// Open returns the content of the volume whose serial is name, in upper case.
// To a client that may not use it, it is as if it were not there.
func (e Volumes) Open(
	ctx context.Context, peer nbd.Peer, name string,
) (arrayclient.VolumeIO, bool, error) {
	serial, err := arrayclient.ParseSerial(name)
	if err != nil || string(serial) != name {
		return nil, false, fault.New(fault.NotFound, "no volume %.64q", name)
	}
	access, ok := e.of(peer, serial)
	if !ok {
		return nil, false, noVolume(serial)
	}
	// Whoever changes the content sees the host before it can see the content.
	by := export.Attachment{Host: peer.Name, Credential: peer.Serial, ReadOnly: access.ReadOnly}
	if addr := nbd.ClientAddress(ctx); addr.IsValid() {
		by.Address = addr.String()
	}
	detach, err := e.Attached.Attach(serial, by)
	if err != nil {
		return nil, false, err
	}
	v, err := e.Arrays.Open(ctx, serial)
	if fault.KindOf(err) == fault.NotFound {
		err = noVolume(serial)
	}
	if err != nil {
		detach()
		return nil, false, err
	}
	return arrayclient.OnClose(v, detach), access.ReadOnly, nil
}

func noVolume(serial arrayclient.Serial) error {
	return fault.New(fault.NotFound, "no volume %s", serial)
}
