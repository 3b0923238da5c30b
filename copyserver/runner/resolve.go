package runner

import (
	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/arrays"
	"copyservices/taskstore"
)

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
	arrays *arrays.Registry, hosts taskstore.Collection[taskstore.Host], pairs []taskstore.TaskPair,
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
func commonArray(arrays *arrays.Registry, pairs []arrayclient.Pair) (arrayclient.Array, error) {
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
