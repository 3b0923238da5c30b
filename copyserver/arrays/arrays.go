// Package arrays is the registry of the arrays that a server drives: which there are,
// which one a volume is in.
package arrays

import (
	"context"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Registry holds the arrays that the server drives. It does not change once made.
type Registry struct {
	list []arrayclient.Array
	ids  []arrayclient.ArrayID
}

// New asks every array of list who it is.
func New(ctx context.Context, list ...arrayclient.Array) (*Registry, error) {
	a := &Registry{list: list}
	for _, arr := range list {
		p, err := arr.Properties(ctx)
		if err != nil {
			return nil, err
		}
		a.ids = append(a.ids, p.ID)
	}
	return a, nil
}

// All returns the arrays in their order.
func (a *Registry) All() []arrayclient.Array { return a.list }

// Names returns the ids of the arrays as text, in the order of All.
func (a *Registry) Names() []string {
	names := make([]string, len(a.ids))
	for i, id := range a.ids {
		names[i] = id.String()
	}
	return names
}

// Named returns the array of that id; the empty name stands for the only one.
func (a *Registry) Named(name string) (arrayclient.Array, arrayclient.ArrayID, error) {
	if name == "" && len(a.list) == 1 {
		return a.list[0], a.ids[0], nil
	}
	if name == "" {
		return nil, arrayclient.ArrayID{}, fault.New(fault.Usage, "which array?").
			WithHint("there are %s", strings.Join(a.Names(), ", "))
	}
	id, err := arrayclient.ParseArrayID(name)
	if err != nil {
		return nil, id, err
	}
	for i := range a.ids {
		if a.ids[i] == id {
			return a.list[i], id, nil
		}
	}
	return nil, id, fault.New(fault.NotFound, "no array %s on this server", id).
		WithHint("there are %s", strings.Join(a.Names(), ", "))
}

// Of returns the array that a volume belongs to. serial must be valid.
func (a *Registry) Of(serial arrayclient.Serial) (arrayclient.Array, arrayclient.ArrayID, error) {
	for i := range a.ids {
		if a.ids[i].Serial == serial.ArraySerial() {
			return a.list[i], a.ids[i], nil
		}
	}
	return nil, arrayclient.ArrayID{}, fault.New(fault.NotFound,
		"volume %s belongs to no array of this server", serial).
		WithHint("there are %s; esscli list volume shows their volumes",
			strings.Join(a.Names(), ", "))
}

// Found is a volume and the array it is in.
type Found struct {
	arrayclient.Volume
	Array arrayclient.ArrayID
}

// Volumes returns the volumes named, in that order; all of them, ordered by
// array and serial, when none is. The serials must be valid. The error is of
// kind NotFound for one that is not there.
func (a *Registry) Volumes(ctx context.Context, serials ...arrayclient.Serial) ([]Found, error) {
	var all []Found
	for i, arr := range a.list {
		volumes, err := arr.Volumes(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range volumes {
			all = append(all, Found{v, a.ids[i]})
		}
	}
	if len(serials) == 0 {
		return all, nil
	}
	index := make(map[arrayclient.Serial]Found, len(all))
	for _, f := range all {
		index[f.Serial] = f
	}
	wanted := make([]Found, len(serials))
	for i, serial := range serials {
		f, ok := index[serial]
		if _, _, err := a.Of(serial); err != nil {
			return nil, err
		}
		if !ok {
			return nil, NoVolume(serial)
		}
		wanted[i] = f
	}
	return wanted, nil
}

// Open opens the content of a volume, whose serial must be valid. The error is of kind
// Refused where its array does not give any.
func (a *Registry) Open(
	ctx context.Context, serial arrayclient.Serial,
) (arrayclient.VolumeIO, error) {
	arr, id, err := a.Of(serial)
	if err != nil {
		return nil, err
	}
	opener, ok := arrayclient.As[arrayclient.Opener](arr)
	if !ok {
		return nil, fault.New(fault.Refused, "the content of volumes of array %s is not within reach", id)
	}
	return opener.OpenVolume(ctx, serial)
}

// NoVolume is the error for a volume that is in none of the arrays.
func NoVolume(serial arrayclient.Serial) error {
	return fault.New(fault.NotFound, "no volume %s", serial).
		WithHint("esscli list volume shows which there are")
}
