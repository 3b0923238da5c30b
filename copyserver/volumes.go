package copyserver

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/export"
	"copyservices/taskstore"
)

func (s *Server) listArrays(q *call) (answer, error) {
	out := []api.Array{}
	for _, arr := range s.arrays.All() {
		a, err := describeArray(q.Context(), arr)
		if err != nil {
			return answer{}, err
		}
		out = append(out, a)
	}
	return ok(out)
}

func (s *Server) getArray(q *call) (answer, error) {
	arr, _, err := s.arrays.Named(q.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	a, err := describeArray(q.Context(), arr)
	if err != nil {
		return answer{}, err
	}
	return ok(a)
}

func describeArray(ctx context.Context, arr arrayclient.Array) (api.Array, error) {
	p, err := arr.Properties(ctx)
	if p.Features == nil {
		p.Features = []string{}
	}
	return api.Array{
		ID: p.ID.String(), Driver: p.Driver, Features: p.Features, Volumes: p.Volumes,
		MaxVolumes: p.MaxVolumes, Capacity: p.Capacity, Free: p.Free, CopyRate: p.CopyRate,
	}, err
}

func (s *Server) listVolumes(q *call) (answer, error) {
	wanted, err := serials(q.URL.Query()["serial"])
	if err != nil {
		return answer{}, err
	}
	found, err := s.arrays.Volumes(q.Context(), wanted...)
	if err != nil {
		return answer{}, err
	}
	users, err := s.volumeUsers()
	if err != nil {
		return answer{}, err
	}
	out := make([]api.Volume, len(found))
	for i, f := range found {
		out[i] = describeVolume(f.Volume, f.Array, users)
	}
	return ok(out)
}

// serials reads volume serials of a query.
func serials(texts []string) ([]arrayclient.Serial, error) {
	out := make([]arrayclient.Serial, len(texts))
	for i, text := range texts {
		var err error
		if out[i], err = arrayclient.ParseSerial(text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (q *call) serial() (arrayclient.Serial, error) {
	return arrayclient.ParseSerial(q.PathValue("serial"))
}

// volumeUsers are the hosts of all volumes. The zero value knows none.
type volumeUsers struct {
	seen     map[arrayclient.Serial][]string // by whom, as host:device
	assigned map[arrayclient.Serial][]taskstore.HostAccess
	attached *export.Attachments
}

func (s *Server) volumeUsers() (volumeUsers, error) {
	hosts, err := s.store.Hosts().List()
	if err != nil {
		return volumeUsers{}, err
	}
	assignments, err := s.store.Assignments().List()
	if err != nil {
		return volumeUsers{}, err
	}
	u := volumeUsers{
		map[arrayclient.Serial][]string{}, map[arrayclient.Serial][]taskstore.HostAccess{},
		s.attached,
	}
	for _, h := range hosts {
		for _, d := range h.Devices {
			name := taskstore.Endpoint{Host: h.Name, Device: d.Name}.String()
			u.seen[d.Serial] = append(u.seen[d.Serial], name)
		}
	}
	for _, a := range assignments {
		u.assigned[a.Volume] = a.Hosts
	}
	return u, nil
}

func describeVolume(
	v arrayclient.Volume, id arrayclient.ArrayID, users volumeUsers,
) api.Volume {
	out := api.Volume{
		Serial: v.Serial, Array: id.String(), Size: v.Size, Allocated: v.Allocated,
		Label: v.Label, Created: v.Created, Failed: v.Failed, Hosts: users.seen[v.Serial],
		Assigned: users.assigned[v.Serial],
	}
	if users.attached != nil {
		for _, a := range users.attached.Of(v.Serial) {
			out.Attached = append(out.Attached, api.Attachment(a))
		}
	}
	if c := v.LastCopy; c != nil {
		out.LastCopy = &api.LastCopy{
			Source: c.Source, Established: c.Established, Ended: c.Ended, Outcome: c.Outcome,
		}
	}
	return out
}

func (s *Server) getVolume(q *call) (answer, error) {
	serial, err := q.serial()
	if err != nil {
		return answer{}, err
	}
	v, err := s.oneVolume(q.Context(), serial)
	if err != nil {
		return answer{}, err
	}
	return ok(v)
}

func (s *Server) oneVolume(ctx context.Context, serial arrayclient.Serial) (api.Volume, error) {
	found, err := s.arrays.Volumes(ctx, serial)
	if err != nil {
		return api.Volume{}, err
	}
	users, err := s.volumeUsers()
	return describeVolume(found[0].Volume, found[0].Array, users), err
}

// createVolumes is keyed: repeated after a lost answer, it names the volumes
// that the first request created.
func (s *Server) createVolumes(q *call) (answer, error) {
	var req api.VolumeCreate
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.once(q, body, func() (act, error) {
		arr, id, err := s.arrays.Named(req.Array)
		if err != nil {
			return nil, err
		}
		spec := arrayclient.VolumeSpec{
			Size: req.Size, Count: req.Count, Label: req.Label, First: req.First,
		}
		return func(ctx context.Context) (answer, error) {
			volumes, err := arr.CreateVolumes(ctx, spec)
			if err != nil {
				return answer{}, err
			}
			out := make([]api.Volume, len(volumes))
			for i, v := range volumes {
				out[i] = describeVolume(v, id, volumeUsers{})
			}
			return created(out)
		}, nil
	})
}

// deleteVolume leaves it to the array to refuse a volume in use. The hosts lose
// it first: one that takes its serial later must not be theirs.
func (s *Server) deleteVolume(q *call) (answer, error) {
	serial, err := q.serial()
	if err != nil {
		return answer{}, err
	}
	arr, _, err := s.arrays.Of(serial)
	if err != nil {
		return answer{}, err
	}
	if by := s.attached.Of(serial); by != nil {
		return answer{}, export.InUse(serial, by)
	}
	s.volumesMu.Lock()
	defer s.volumesMu.Unlock()
	err = all(context.WithoutCancel(q.Context()), []step{
		s.assign(serial, nil),
		func(ctx context.Context) (undo, error) { return nil, arr.DeleteVolume(ctx, serial) },
	})
	if err != nil {
		return answer{}, err
	}
	return done()
}
