package rest

import (
	"context"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/core"
	"copyservices/taskstore/result"
)

func (s *API) listArrays(q *call) (answer, error) {
	all, err := s.core.ListArrays(q.Context(), q.by)
	if err != nil {
		return answer{}, err
	}
	return ok(list(all, wireArray))
}

func (s *API) getArray(q *call) (answer, error) {
	p, err := s.core.Array(q.Context(), q.by, q.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	return ok(wireArray(p))
}

func (s *API) changeArray(q *call) (answer, error) {
	var change api.ArrayChange
	if _, err := q.decode(&change); err != nil {
		return answer{}, err
	}
	p, err := s.core.SetArrayCopyRate(q.Context(), q.by, q.PathValue("id"), change.CopyRate)
	if err != nil {
		return answer{}, err
	}
	return ok(wireArray(p))
}

func (s *API) listVolumes(q *call) (answer, error) {
	array, wanted, err := q.selected("serial")
	if err != nil {
		return answer{}, err
	}
	var found arrays.Partial[core.Volume]
	if array != "" {
		found, err = s.core.VolumesIn(q.Context(), q.by, array)
	} else {
		found, err = s.core.Volumes(q.Context(), q.by, wanted...)
	}
	if err != nil {
		return answer{}, err
	}
	return partial(q, found, wireVolume)
}

// selected returns what of a list is asked for: that of an array, or that of the volumes
// which the query names under key; all of it where neither is given.
func (q *call) selected(key string) (array string, wanted []arrayclient.Serial, err error) {
	query := q.URL.Query()
	if query.Has("array") && query.Has(key) {
		return "", nil, fault.New(fault.Usage, "both array and %s are given", key).
			WithHint("a volume is in one array only")
	}
	wanted, err = serials(query[key])
	return query.Get("array"), wanted, err
}

// partial answers with what the arrays hold, and says in the header which are missing.
func partial[From, To any](
	q *call, all arrays.Partial[From], convert func(From) To,
) (answer, error) {
	q.warn(all.Warnings)
	return ok(list(all.All, convert))
}

func (q *call) warn(warnings []string) {
	for _, text := range warnings {
		q.w.Header().Add(api.WarningHeader, result.OneLine(text))
	}
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

func (s *API) getVolume(q *call) (answer, error) {
	serial, err := q.serial()
	if err != nil {
		return answer{}, err
	}
	v, err := s.core.Volume(q.Context(), q.by, serial)
	if err != nil {
		return answer{}, err
	}
	return ok(wireVolume(v))
}

// createVolumes is keyed: repeated after a lost answer, it names the volumes
// that the first request created.
func (s *API) createVolumes(q *call) (answer, error) {
	var req api.VolumeCreate
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.once(q, body, func() (act, error) {
		create, err := s.core.CreateVolumes(q.by, req.Array, arrayclient.VolumeSpec{
			Size: req.Size, Count: req.Count, Label: req.Label, First: req.First,
		})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (answer, error) {
			volumes, err := create(ctx)
			if err != nil {
				return answer{}, err
			}
			return created(list(volumes, wireVolume))
		}, nil
	})
}

func (s *API) changeVolume(q *call) (answer, error) {
	var req api.VolumeChange
	if _, err := q.decode(&req); err != nil {
		return answer{}, err
	}
	serial, err := q.serial()
	if err != nil {
		return answer{}, err
	}
	change := core.VolumeChange{Label: req.Label, Size: req.Size}
	if req.Assigned != nil {
		hosts := api.Each(*req.Assigned, storedAccess)
		change.Assigned = &hosts
	}
	v, err := s.core.ChangeVolume(q.Context(), q.by, serial, change)
	if err != nil {
		return answer{}, err
	}
	return ok(wireVolume(v))
}

func (s *API) deleteVolume(q *call) (answer, error) {
	serial, err := q.serial()
	if err != nil {
		return answer{}, err
	}
	if err := s.core.DeleteVolume(q.Context(), q.by, serial); err != nil {
		return answer{}, err
	}
	return done()
}
