package runner

import (
	"context"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// Arrays are the arrays that the server drives. It does not change once made.
type Arrays struct {
	list []arrayclient.Array
	ids  []arrayclient.ArrayID
}

// NewArrays asks every array of list who it is.
func NewArrays(ctx context.Context, list ...arrayclient.Array) (*Arrays, error) {
	a := &Arrays{list: list}
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
func (a *Arrays) All() []arrayclient.Array { return a.list }

// Names returns the ids of the arrays as text, in the order of All.
func (a *Arrays) Names() []string {
	names := make([]string, len(a.ids))
	for i, id := range a.ids {
		names[i] = id.String()
	}
	return names
}

// Named returns the array of that id; the empty name stands for the only one.
func (a *Arrays) Named(name string) (arrayclient.Array, arrayclient.ArrayID, error) {
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
func (a *Arrays) Of(serial arrayclient.Serial) (arrayclient.Array, arrayclient.ArrayID, error) {
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
func (a *Arrays) Volumes(ctx context.Context, serials ...arrayclient.Serial) ([]Found, error) {
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
			return nil, noVolume(serial)
		}
		wanted[i] = f
	}
	return wanted, nil
}

func noVolume(serial arrayclient.Serial) error {
	return fault.New(fault.NotFound, "no volume %s", serial).
		WithHint("esscli list volume shows which there are")
}

// Resolved are pairs with the volumes they stand for when they were resolved.
type Resolved struct {
	Array arrayclient.Array
	Pairs []arrayclient.Pair
	Named []taskstore.ResolvedPair // the same, with the names they had
}

// resolver looks devices up; a host is read once.
type resolver struct {
	hosts   taskstore.Collection[taskstore.Host]
	devices map[string]map[string]arrayclient.Serial // by key of the host, then device
}

// Resolve finds the volumes that pairs name, all in one array. Whether they
// exist is for the array to say. The error is of kind NotFound for an unknown
// host, device or array, Refused for pairs of several arrays, Usage for names
// of the wrong form.
func Resolve(
	arrays *Arrays, hosts taskstore.Collection[taskstore.Host], pairs []taskstore.TaskPair,
) (Resolved, error) {
	var out Resolved
	if err := taskstore.ValidatePairs(pairs); err != nil {
		return out, err
	}
	r := resolver{hosts, map[string]map[string]arrayclient.Serial{}}
	for _, p := range pairs {
		src, err := r.end(p.Source)
		if err != nil {
			return out, err
		}
		tgt, err := r.end(p.Target)
		if err != nil {
			return out, err
		}
		out.Pairs = append(out.Pairs, arrayclient.Pair{Source: src, Target: tgt})
		out.Named = append(out.Named, taskstore.ResolvedPair{
			Source: string(src), Target: string(tgt), From: p,
		})
	}
	var err error
	out.Array, err = commonArray(arrays, out.Pairs)
	return out, err
}

// commonArray returns the one array of all volumes: no array can establish a
// pair whose target is in another, nor several pairs in several at once.
func commonArray(arrays *Arrays, pairs []arrayclient.Pair) (arrayclient.Array, error) {
	first := pairs[0].Source
	for _, p := range pairs {
		for _, serial := range []arrayclient.Serial{p.Source, p.Target} {
			if _, _, err := arrays.Of(serial); err != nil {
				return nil, err
			}
			if serial.ArraySerial() != first.ArraySerial() {
				return nil, fault.New(fault.Refused, "%s and %s are in different arrays", first, serial).
					WithHint("all volumes of a task are in one array; use a task for each array")
			}
		}
	}
	arr, _, err := arrays.Of(first)
	return arr, err
}

func (r *resolver) end(s string) (arrayclient.Serial, error) {
	e, err := taskstore.ParseEndpoint(s)
	if err != nil || e.Serial != "" {
		return e.Serial, err
	}
	devices, err := r.host(e.Host)
	if err != nil {
		return "", err
	}
	serial, ok := devices[e.Device]
	if !ok {
		return "", fault.New(fault.NotFound, "host %q has no device %q", e.Host, e.Device).
			WithHint("run rsPrimeServer on that host; esscli show host %s lists its devices", e.Host)
	}
	return serial, nil
}

func (r *resolver) host(name string) (map[string]arrayclient.Serial, error) {
	key := taskstore.Key(name)
	if devices, ok := r.devices[key]; ok {
		return devices, nil
	}
	host, err := r.hosts.Get(name)
	if fault.KindOf(err) == fault.NotFound {
		return nil, fault.New(fault.NotFound, "unknown host %q", name).
			WithHint("run rsPrimeServer on that host; esscli list host shows the known ones")
	}
	if err != nil {
		return nil, err
	}
	devices := make(map[string]arrayclient.Serial, len(host.Devices))
	for _, d := range host.Devices {
		devices[d.Name] = d.Serial
	}
	r.devices[key] = devices
	return devices, nil
}
