// Package remote is the driver for an array that another copyserver drives. What is
// done to it goes over that server's REST API, the content of its volumes over the NBD
// that it exports them with.
//
// No call lasts for ever when the other server is silent, whatever the context of the
// caller: see the times in Config. Errors of the other server come back with the kind
// and the text that they have there; that it does not answer is of kind Connection. What
// is asked for again because an answer was lost is done once.
package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// Driver is the name of the driver, also in the Properties of its arrays.
const Driver = "copyserver"

// The times of a Config that says nothing of them.
const (
	DefaultTimeout     = 20 * time.Second
	DefaultDialTimeout = 5 * time.Second
	DefaultSilence     = 30 * time.Second
)

// Config says which array is meant and how to reach the server that drives it.
type Config struct {
	// Servers are HOST:PORT of the other server's REST API: server A, and B if there is
	// one. At least one.
	Servers []string
	// User and Password log in there. The user is an admin, or the array can only be
	// looked at.
	User, Password string
	// TLS returns the configuration for a connection to one of Servers; nil: the
	// certificates that the system trusts count.
	TLS func(addr string) *tls.Config
	// Array is which of the other server's arrays is meant; the zero one is its own.
	Array arrayclient.ArrayID
	// NBDTLS is for the other server's NBD, with the credential that it issued to this
	// host; nil: without encryption. The volumes must be assigned to that host there.
	NBDTLS *tls.Config
	// Timeout is how long the other server may take for an answer, DialTimeout how long
	// a connection to it may take to come about, Silence how long its NBD may send
	// nothing while an answer is due; 0 for the defaults. An answer that is lost is
	// asked for again, up to three times.
	Timeout, DialTimeout, Silence time.Duration
}

// array has the acts that every array has. The optional ones are in front of it.
type array struct {
	client *api.Client
	config Config
	id     arrayclient.ArrayID

	mu      sync.Mutex
	written map[arrayclient.Serial]*written // by volumes that were opened
}

// Open returns the array, once the other server has said what the array can do: an
// optional act that it lacks there it does not have here. The error of kind Denied is
// for a user, a password or a role that is not good enough.
func Open(ctx context.Context, config Config) (arrayclient.Array, error) {
	config.Timeout = cmp.Or(config.Timeout, DefaultTimeout)
	config.DialTimeout = cmp.Or(config.DialTimeout, DefaultDialTimeout)
	config.Silence = cmp.Or(config.Silence, DefaultSilence)
	if len(config.Servers) == 0 {
		return nil, fault.New(fault.Usage, "no server is named that drives the array")
	}
	a := &array{
		config: config, written: map[arrayclient.Serial]*written{},
		client: api.New(api.Options{
			Servers: config.Servers, User: config.User, Password: config.Password, TLS: config.TLS,
			Timeout: config.Timeout, DialTimeout: config.DialTimeout, UserAgent: "copyserver",
			NoAnswerHint: "check that the copyserver that drives the array runs there",
		}),
	}
	arr, err := a.open(ctx)
	if err != nil {
		a.client.Close()
		return nil, err
	}
	return arr, nil
}

func (a *array) open(ctx context.Context) (arrayclient.Array, error) {
	server, err := a.client.Server(ctx)
	if err != nil {
		return nil, a.told(err)
	}
	if a.id = a.config.Array; a.id == (arrayclient.ArrayID{}) {
		if len(server.Arrays) == 0 {
			return nil, fault.New(fault.NotFound, "server %s has no array", a.client.Answered())
		}
		if a.id, err = arrayclient.ParseArrayID(server.Arrays[0]); err != nil {
			return nil, err
		}
	}
	facts, err := a.client.Array(ctx, a.id.String())
	if err != nil {
		return nil, a.told(err)
	}
	return a.with(facts.Features, server.NBD != ""), nil
}

// told is the error of the other server as the array's. Who reads that a user was denied
// must not take it for the one who asked this server.
func (a *array) told(err error) error {
	if fault.KindOf(err) == fault.Denied {
		return fault.New(fault.Denied, "copyserver %s, which drives the array, denies user %s: %w",
			a.client.Answered(), a.config.User, err).
			WithHint("register the array again with a user who is an admin there")
	}
	return err
}

// Close ends the connections. Nothing there ends.
func (a *array) Close() error {
	a.client.Close()
	return nil
}

// Properties returns what the other server says of the array.
func (a *array) Properties(ctx context.Context) (arrayclient.Properties, error) {
	p, err := a.client.Array(ctx, a.id.String())
	if err != nil {
		return arrayclient.Properties{}, a.told(err)
	}
	id, err := arrayclient.ParseArrayID(p.ID)
	return arrayclient.Properties{
		ID: id, Driver: Driver, Volumes: p.Volumes, MaxVolumes: p.MaxVolumes,
		MaxTargets:      cmp.Or(p.MaxTargets, arrayclient.MaxTargets),
		TrackSize:       cmp.Or(p.TrackSize, arrayclient.TrackSize),
		EstimatedCounts: p.EstimatedCounts, Capacity: p.Capacity, Free: p.Free, CopyRate: p.CopyRate,
	}, err
}

// Volumes returns those of the array, which may be one of many there. The others are not
// asked: they may be those of this server, which the other one reaches as we reach it.
func (a *array) Volumes(ctx context.Context) ([]arrayclient.Volume, error) {
	all, err := a.client.VolumesIn(ctx, a.id.String())
	return volumesOf(all), a.told(err)
}

// CreateVolumes creates them there.
func (a *array) CreateVolumes(
	ctx context.Context, spec arrayclient.VolumeSpec,
) ([]arrayclient.Volume, error) {
	all, err := a.client.CreateVolumes(ctx, api.VolumeCreate{
		Array: a.id.String(), Size: spec.Size, Count: spec.Count, Label: spec.Label, First: spec.First,
	})
	return volumesOf(all), a.told(err)
}

// DeleteVolume deletes it there.
func (a *array) DeleteVolume(ctx context.Context, serial arrayclient.Serial) error {
	if err := a.owns(serial); err != nil {
		return err
	}
	return a.told(a.client.DeleteVolume(ctx, serial))
}

// owns refuses volumes of other arrays, which the other server may have as well.
func (a *array) owns(serials ...arrayclient.Serial) error {
	for _, serial := range serials {
		s, err := arrayclient.ParseSerial(string(serial))
		if err != nil {
			return err
		}
		if s.ArraySerial() != a.id.Serial {
			return fault.New(fault.NotFound, "no volume %s in array %s", serial, a.id).
				WithHint("esscli list volume shows which there are")
		}
	}
	return nil
}

// named returns pairs as the API has them. The error is for one that is not of the
// array.
func (a *array) named(pairs []arrayclient.Pair) ([]api.TaskPair, error) {
	for _, p := range pairs {
		if err := a.owns(p.Source, p.Target); err != nil {
			return nil, err
		}
	}
	return api.Each(pairs, func(p arrayclient.Pair) api.TaskPair {
		return api.TaskPair{Source: string(p.Source), Target: string(p.Target)}
	}), nil
}

// Establish establishes the pairs there.
func (a *array) Establish(
	ctx context.Context, pairs []arrayclient.Pair, opts arrayclient.Options,
) error {
	named, err := a.named(pairs)
	if err != nil {
		return err
	}
	_, err = a.client.Establish(ctx, api.EstablishRequest{Pairs: named, Options: opts})
	return a.told(err)
}

// onPairs has the other server do to pairs what do asks it for.
func (a *array) onPairs(
	ctx context.Context, pairs []arrayclient.Pair,
	do func(context.Context, api.PairsRequest) (api.PairsResult, error),
) error {
	named, err := a.named(pairs)
	if err != nil {
		return err
	}
	_, err = do(ctx, api.PairsRequest{Pairs: named})
	return a.told(err)
}

// Withdraw ends the relationships there. If the other server does not tell afterwards
// what became of the targets, they all count as undefined.
func (a *array) Withdraw(
	ctx context.Context, pairs []arrayclient.Pair,
) (undefined []arrayclient.Pair, err error) {
	if err := a.onPairs(ctx, pairs, a.client.Withdraw); err != nil {
		return nil, err
	}
	targets := make([]arrayclient.Serial, len(pairs))
	for i, p := range pairs {
		targets[i] = p.Target
	}
	volumes, err := a.client.Volumes(ctx, targets...)
	if err != nil || len(volumes) != len(pairs) {
		return pairs, nil
	}
	for i, p := range pairs {
		last := volumes[i].LastCopy
		if last != nil && last.Source == p.Source && last.Outcome == arrayclient.OutcomeUndefined {
			undefined = append(undefined, p)
		}
	}
	return undefined, nil
}

// Relationships returns those of the array.
func (a *array) Relationships(
	ctx context.Context, serials ...arrayclient.Serial,
) ([]arrayclient.Relationship, error) {
	if err := a.owns(serials...); err != nil {
		return nil, err
	}
	var all []api.Relationship
	var err error
	if len(serials) > 0 {
		all, err = a.client.Relationships(ctx, serials...)
	} else {
		all, err = a.client.RelationshipsIn(ctx, a.id.String())
	}
	if err != nil {
		return nil, a.told(err)
	}
	out := make([]arrayclient.Relationship, len(all))
	for i, r := range all {
		out[i] = relationshipOf(r)
	}
	return out, nil
}

func volumesOf(all []api.Volume) []arrayclient.Volume {
	out := make([]arrayclient.Volume, len(all))
	for i, v := range all {
		out[i] = arrayclient.Volume{
			Serial: v.Serial, Size: v.Size, Allocated: v.Allocated, Label: v.Label, Created: v.Created,
			Failed: v.Failed,
		}
		if c := v.LastCopy; c != nil {
			out[i].LastCopy = &arrayclient.LastCopy{
				Source: c.Source, Established: c.Established, Ended: c.Ended, Outcome: c.Outcome,
			}
		}
	}
	return out
}

func relationshipOf(r api.Relationship) arrayclient.Relationship {
	out := arrayclient.Relationship{
		Pair: arrayclient.Pair{Source: r.Source, Target: r.Target}, Options: r.Options, State: r.State,
		Tracks: r.Tracks, OutOfSync: r.OutOfSync, CopyRate: r.CopyRate, Established: r.Established,
		Completed: r.Completed, Reason: r.Reason,
	}
	if r.Changed != nil {
		out.Changed = *r.Changed
	}
	return out
}
