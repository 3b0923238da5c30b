package arrays

import (
	"context"
	"errors"
	"slices"
	"sync"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Partial is what the arrays hold, as far as they answer. A warning names each of the
// others, and why it is missing.
type Partial[T any] struct {
	All      []T
	Warnings []string
}

// Asked is an array that is asked for what it holds.
type Asked struct {
	arrayclient.Array
	ID arrayclient.ArrayID
}

// Collect asks all arrays at once for what they hold, and returns it in the order of the
// arrays. The error is that of the server's own.
func Collect[T any](r *Registry, ask func(Asked) ([]T, error)) (all Partial[T], err error) {
	return collect(r, func(m *member) ([]T, error) { return ask(Asked{m.array, m.id}) })
}

func collect[T any](r *Registry, ask func(*member) ([]T, error)) (all Partial[T], err error) {
	members := r.all()
	answers, errs := make([][]T, len(members)), make([]error, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		if m.Added != nil {
			asking.Go(func() { answers[i], errs[i] = ask(m) })
		}
	}
	for i, m := range members {
		if m.Added == nil && err == nil {
			answers[i], err = ask(m)
		}
	}
	asking.Wait()
	if err != nil {
		return all, err
	}
	for i, m := range members {
		if errs[i] != nil && !errors.Is(errs[i], errRemoved) {
			all.Warnings = append(all.Warnings, m.missing(errs[i]))
		}
	}
	all.All = slices.Concat(answers...)
	return all, nil
}

// missing says that what the array holds is not in a list. The error of an array that
// does not answer names it.
func (m *member) missing(err error) string {
	if fault.KindOf(err) == fault.Connection {
		return err.Error()
	}
	return "array " + m.id.String() + ": " + err.Error()
}

// Found is a volume and the array it is in.
type Found struct {
	arrayclient.Volume
	Array arrayclient.ArrayID
}

// Volumes returns all volumes, ordered by array and serial.
func (r *Registry) Volumes(ctx context.Context) (Partial[Found], error) {
	return collect(r, func(m *member) ([]Found, error) { return m.volumes(ctx) })
}

func (m *member) volumes(ctx context.Context) ([]Found, error) {
	volumes, err := m.array.Volumes(ctx)
	found := make([]Found, len(volumes))
	for i, v := range volumes {
		found[i] = Found{v, m.id}
	}
	return found, err
}

// VolumesOf returns the volumes named, in that order. The serials must be valid. The
// error is of kind NotFound for one that is not there, and of kind Connection where its
// array does not answer.
func (r *Registry) VolumesOf(
	ctx context.Context, serials ...arrayclient.Serial,
) ([]Found, error) {
	index := map[arrayclient.ArrayID]map[arrayclient.Serial]Found{}
	wanted := make([]Found, len(serials))
	for i, serial := range serials {
		m, err := r.of(serial)
		if err != nil {
			return nil, err
		}
		if index[m.id] == nil {
			found, err := m.volumes(ctx)
			if err != nil {
				return nil, err
			}
			index[m.id] = map[arrayclient.Serial]Found{}
			for _, f := range found {
				index[m.id][f.Serial] = f
			}
		}
		f, ok := index[m.id][serial]
		if !ok {
			return nil, NoVolume(serial)
		}
		wanted[i] = f
	}
	return wanted, nil
}

// Description is what an array says of itself, or, where it does not answer, what it
// said last.
type Description struct {
	arrayclient.Properties
	Features []string // names of the optional acts that it has
	Added    bool     // it is not the server's own
	State    State
}

// Describe returns the description of the array of that id; the empty one stands for the
// server's own. The error of an array that does not answer is in its state.
func (r *Registry) Describe(ctx context.Context, name string) (Description, error) {
	m, err := r.find(name)
	if err != nil {
		return Description{}, err
	}
	return m.describe(ctx)
}

// Descriptions returns those of all arrays, the server's own first.
func (r *Registry) Descriptions(ctx context.Context) ([]Description, error) {
	all, err := collect(r, func(m *member) ([]Description, error) {
		d, err := m.describe(ctx)
		return []Description{d}, err
	})
	return all.All, err
}

func (m *member) describe(ctx context.Context) (Description, error) {
	p, err := m.array.Properties(ctx)
	d := Description{p, arrayclient.Features(m.array), m.Added != nil, State{Answers: true}}
	if m.Added == nil {
		return d, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		p.Driver = m.Driver
		m.last = p
	}
	d.Properties, d.State = m.last, m.state
	if err != nil && d.State.Answers {
		d.State = State{Since: m.state.Since, Reason: err.Error()}
	}
	return d, nil
}
