package runner_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// memArray is an array of volumes without content. Its copies advance when a
// test says so, and its acts can be held up or failed.
type memArray struct {
	serial string

	mu      sync.Mutex
	volumes map[arrayclient.Serial]*arrayclient.Volume
	rels    map[arrayclient.Pair]*arrayclient.Relationship
	gate    chan struct{} // nil, or acts wait until it is closed
	entered chan struct{} // told of every act that waits
	acts    int
	pace    time.Duration // how long an act takes
}

const memTracks = 16

func newMemArray(serial string, volumes int) *memArray {
	a := &memArray{
		serial:  serial,
		volumes: map[arrayclient.Serial]*arrayclient.Volume{},
		rels:    map[arrayclient.Pair]*arrayclient.Relationship{},
		entered: make(chan struct{}, 100),
	}
	for i := range volumes {
		s := arrayclient.MakeSerial(uint16(0x200+i), serial)
		a.volumes[s] = &arrayclient.Volume{Serial: s, Size: memTracks * arrayclient.TrackSize}
	}
	return a
}

// vol returns the serial of volume 20i.
func (a *memArray) vol(i int) string {
	return string(arrayclient.MakeSerial(uint16(0x200+i), a.serial))
}

func (a *memArray) hold() (release func()) {
	gate := make(chan struct{})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gate = gate
	return func() { close(gate) }
}

// letGo holds up no further act.
func (a *memArray) letGo() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gate = nil
}

// forget ends all relationships.
func (a *memArray) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.rels)
}

// state is what an array holds.
type state struct {
	volumes map[arrayclient.Serial]arrayclient.Volume
	rels    map[arrayclient.Pair]arrayclient.Relationship
}

func (a *memArray) save() state {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := state{map[arrayclient.Serial]arrayclient.Volume{}, map[arrayclient.Pair]arrayclient.Relationship{}}
	for serial, v := range a.volumes {
		s.volumes[serial] = *v
		if v.LastCopy != nil {
			last := *v.LastCopy
			copied := *v
			copied.LastCopy = &last
			s.volumes[serial] = copied
		}
	}
	for p, rel := range a.rels {
		s.rels[p] = *rel
	}
	return s
}

func (a *memArray) restore(s state) {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.rels)
	for serial, v := range s.volumes {
		a.volumes[serial] = &v
	}
	for p, rel := range s.rels {
		a.rels[p] = &rel
	}
}

func (a *memArray) begin() {
	a.mu.Lock()
	a.acts++
	gate := a.gate
	a.mu.Unlock()
	time.Sleep(a.pace)
	if gate != nil {
		a.entered <- struct{}{}
		<-gate
	}
}

func (a *memArray) Properties(context.Context) (arrayclient.Properties, error) {
	id := arrayclient.ArrayID{MachineType: arrayclient.MachineType, Serial: a.serial}
	return arrayclient.Properties{ID: id, Driver: "memory", TrackSize: arrayclient.TrackSize}, nil
}

func (a *memArray) Volumes(context.Context) ([]arrayclient.Volume, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []arrayclient.Volume{}
	for _, v := range a.volumes {
		all = append(all, *v)
	}
	slices.SortFunc(all, func(a, b arrayclient.Volume) int {
		return strings.Compare(string(a.Serial), string(b.Serial))
	})
	return all, nil
}

func (a *memArray) CreateVolumes(
	context.Context, arrayclient.VolumeSpec,
) ([]arrayclient.Volume, error) {
	return nil, fault.New(fault.Refused, "its volumes are given")
}

func (a *memArray) DeleteVolume(context.Context, arrayclient.Serial) error {
	return fault.New(fault.Refused, "its volumes are given")
}

func (a *memArray) Establish(
	_ context.Context, pairs []arrayclient.Pair, opts arrayclient.Options,
) error {
	a.begin()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range pairs {
		if a.volumes[p.Source] == nil || a.volumes[p.Target] == nil {
			return fault.New(fault.NotFound, "no volume %s or %s", p.Source, p.Target)
		}
		for other := range a.rels {
			if other.Target == p.Target {
				return fault.New(fault.Refused, "%s is a target already", p.Target)
			}
		}
	}
	state := arrayclient.StateCopying
	if opts.NoCopy {
		state = arrayclient.StateNoCopy
	}
	if opts.Freeze {
		state = arrayclient.StateFrozen
	}
	now := time.Now()
	for _, p := range pairs {
		a.rels[p] = &arrayclient.Relationship{
			Pair: p, Options: opts, State: state, Tracks: memTracks, OutOfSync: memTracks,
			Established: now,
		}
		a.volumes[p.Target].LastCopy = &arrayclient.LastCopy{
			Source: p.Source, Established: now, Outcome: arrayclient.OutcomeActive,
		}
	}
	return nil
}

func (a *memArray) Withdraw(
	_ context.Context, pairs []arrayclient.Pair,
) (undefined []arrayclient.Pair, err error) {
	a.begin()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range pairs {
		if a.rels[p] == nil {
			return nil, fault.New(fault.NotFound, "%s has no relationship", p)
		}
	}
	for _, p := range pairs {
		if a.rels[p].OutOfSync > 0 {
			undefined = append(undefined, p)
			a.volumes[p.Target].LastCopy.Outcome = arrayclient.OutcomeUndefined
		}
		delete(a.rels, p)
	}
	return undefined, nil
}

// step copies n tracks of every relationship; one that is then complete and
// not persistent ends.
func (a *memArray) step(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p, rel := range a.rels {
		rel.OutOfSync = max(0, rel.OutOfSync-n)
		if rel.OutOfSync > 0 {
			continue
		}
		rel.State = arrayclient.StateComplete
		if !rel.Options.Persistent {
			a.volumes[p.Target].LastCopy.Outcome = arrayclient.OutcomeComplete
			delete(a.rels, p)
		}
	}
}

// fail makes every copy fail.
func (a *memArray) fail(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, rel := range a.rels {
		rel.State, rel.Reason = arrayclient.StateFailed, reason
	}
}

func (a *memArray) Relationships(
	_ context.Context, serials ...arrayclient.Serial,
) ([]arrayclient.Relationship, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []arrayclient.Relationship{}
	for p, rel := range a.rels {
		if len(serials) == 0 || slices.Contains(serials, p.Source) ||
			slices.Contains(serials, p.Target) {
			all = append(all, *rel)
		}
	}
	return all, nil
}

func (a *memArray) Close() error { return nil }

// reversing is a memArray that can turn copies around.
type reversing struct{ *memArray }

func (a reversing) Reverse(_ context.Context, pairs []arrayclient.Pair) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range pairs {
		rel := a.rels[p]
		if rel == nil {
			return fault.New(fault.NotFound, "%s has no relationship", p)
		}
		delete(a.rels, p)
		rel.Pair = arrayclient.Pair{Source: p.Target, Target: p.Source}
		rel.State, rel.OutOfSync = arrayclient.StateCopying, memTracks
		a.rels[rel.Pair] = rel
	}
	return nil
}
