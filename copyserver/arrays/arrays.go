// Package arrays is the registry of the arrays that a server drives: which there are,
// which one a volume is in, and which of them answer. Arrays that are reached over a
// network come and go while the server runs; one that does not answer holds up nobody
// but who needs it.
package arrays

import (
	"context"
	"slices"
	"strings"
	"sync"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// Registry holds the arrays that the server drives. Its methods may be called from many
// goroutines.
type Registry struct {
	closing sync.WaitGroup // arrays that were removed

	mu      sync.RWMutex
	members []*member // replaced as a whole, never written to
}

// New asks every array of list who it is. The Registry does not close them, and their
// calls have no limit.
func New(ctx context.Context, list ...arrayclient.Array) (*Registry, error) {
	r := &Registry{}
	for _, arr := range list {
		p, err := arr.Properties(ctx)
		if err != nil {
			return nil, err
		}
		r.members = append(r.members, &member{id: p.ID, array: arr})
	}
	return r, nil
}

// Add makes an array known and has it asked whether it is there. The error is of kind
// Usage for one that is known already.
func (r *Registry) Add(a Added) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		if m.id.Serial == a.ID.Serial {
			return fault.New(fault.Usage, "array %s %w on this server", m.id, fault.ErrExists)
		}
	}
	r.members = append(slices.Clone(r.members), newMember(a))
	return nil
}

// Settle waits until every array that was added has been asked once, or ctx ends.
func (r *Registry) Settle(ctx context.Context) {
	for _, m := range r.all() {
		if m.Added == nil {
			continue
		}
		select {
		case <-m.asked:
		case <-ctx.Done():
			return
		}
	}
}

// Answers reports whether the array of that id answers, as far as that is known.
func (r *Registry) Answers(id arrayclient.ArrayID) bool {
	m, err := r.named(id)
	return err == nil && m.there() == nil
}

// Remove forgets an array that was added, and closes it when its calls have ended; those
// that only read are cut off. It is refused while one changes something or a volume is
// open, and when idle, which is called with the array still there, returns an error.
func (r *Registry) Remove(id arrayclient.ArrayID, idle func() error) error {
	m, err := r.named(id)
	if err != nil {
		return err
	}
	if m.Added == nil {
		return fault.New(fault.Refused, "array %s is the server's own", id)
	}
	if err := idle(); err != nil {
		return err
	}
	if err := m.stopCalls(); err != nil {
		return err
	}
	// What has come since it was asked the first time was let in.
	if err := idle(); err != nil {
		m.letCalls()
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = slices.DeleteFunc(slices.Clone(r.members), func(o *member) bool { return o == m })
	r.closing.Go(m.close)
	return nil
}

// Close removes all arrays that were added, and waits until they are closed or ctx ends.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	for _, m := range r.members {
		if m.Added != nil {
			m.refuseCalls()
			r.closing.Go(m.close)
		}
	}
	r.members = slices.DeleteFunc(slices.Clone(r.members), func(m *member) bool { return m.Added != nil })
	r.mu.Unlock()
	closed := make(chan struct{})
	go func() {
		r.closing.Wait()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Server, "the driver of an array does not end")
	}
}

func (r *Registry) all() []*member {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.members
}

// Own returns the server's own array, which is always there, and its id.
func (r *Registry) Own() (arrayclient.Array, arrayclient.ArrayID) {
	m := r.all()[0]
	return m.array, m.id
}

// Names returns the ids of the arrays as text, the server's own first.
func (r *Registry) Names() []string {
	var names []string
	for _, m := range r.all() {
		names = append(names, m.id.String())
	}
	return names
}

// Named returns the array of that id; the empty name stands for the server's own.
func (r *Registry) Named(name string) (arrayclient.Array, arrayclient.ArrayID, error) {
	m, err := r.find(name)
	if err != nil {
		return nil, arrayclient.ArrayID{}, err
	}
	return m.array, m.id, nil
}

func (r *Registry) find(name string) (*member, error) {
	if all := r.all(); name == "" && len(all) > 0 {
		return all[0], nil
	}
	id, err := arrayclient.ParseArrayID(name)
	if err != nil {
		return nil, err
	}
	return r.named(id)
}

func (r *Registry) named(id arrayclient.ArrayID) (*member, error) {
	for _, m := range r.all() {
		if m.id == id {
			return m, nil
		}
	}
	return nil, fault.New(fault.NotFound, "no array %s on this server", id).
		WithHint("there are %s", strings.Join(r.Names(), ", "))
}

// Of returns the array that a volume belongs to. serial must be valid.
func (r *Registry) Of(serial arrayclient.Serial) (arrayclient.Array, arrayclient.ArrayID, error) {
	m, err := r.of(serial)
	if err != nil {
		return nil, arrayclient.ArrayID{}, err
	}
	return m.array, m.id, nil
}

func (r *Registry) of(serial arrayclient.Serial) (*member, error) {
	for _, m := range r.all() {
		if m.id.Serial == serial.ArraySerial() {
			return m, nil
		}
	}
	return nil, fault.New(fault.NotFound, "volume %s belongs to no array of this server", serial).
		WithHint("there are %s; esscli list volume shows their volumes", strings.Join(r.Names(), ", "))
}

// Open opens the content of a volume, whose serial must be valid. The error is of kind
// Refused where its array does not give any.
func (r *Registry) Open(
	ctx context.Context, serial arrayclient.Serial,
) (arrayclient.VolumeIO, error) {
	m, err := r.of(serial)
	if err != nil {
		return nil, err
	}
	opener, ok := arrayclient.As[arrayclient.Opener](m.array)
	if err := m.there(); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.New(fault.Refused, "the content of volumes of array %s is not within reach", m.id)
	}
	release, err := m.hold()
	if err != nil {
		return nil, err
	}
	v, err := opener.OpenVolume(ctx, serial)
	if err != nil {
		release()
		return nil, err
	}
	if m.Added == nil {
		return v, nil
	}
	return arrayclient.OnClose(v, release), nil // which is not removed until then
}

// NoVolume is the error for a volume that is in none of the arrays.
func NoVolume(serial arrayclient.Serial) error {
	return fault.New(fault.NotFound, "no volume %s", serial).
		WithHint("esscli list volume shows which there are")
}
