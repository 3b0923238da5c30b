package rest

import (
	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/core"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
)

// What is stored, and what core answers with, as the API carries it. A list that may be
// empty is never null.

func wireHost(h taskstore.Host) api.Host {
	return api.Host{
		Name: h.Name, OS: h.OS, Devices: list(h.Devices, wireDevice), Primed: h.Primed,
		Machine: h.Machine,
	}
}

func wireDevice(d taskstore.Device) api.Device { return api.Device(d) }

func wireRun(r taskstore.Run) api.Run {
	return api.Run{
		ID: r.ID, Task: r.Task, Type: r.Type, User: r.User, State: r.State, Wait: r.Wait,
		Started: r.Started, Ended: r.Ended, Pairs: list(r.Pairs, wireResolved),
		Warnings: r.Warnings, Error: r.Error, Queued: r.Queued, Percent: r.Percent,
	}
}

func wireResolved(p taskstore.ResolvedPair) api.ResolvedPair {
	return api.ResolvedPair{Source: p.Source, Target: p.Target, From: api.PairOf(p.From)}
}

func wireEntry(e taskstore.Entry) api.Entry {
	return api.Entry{
		Kind: e.Kind, Address: e.Address, User: e.User, Alternate: e.Alternate, Added: e.Added,
		Driver: e.Driver, Array: e.Array, Fingerprint: e.Fingerprint,
	}
}

func storedEntry(e api.Entry) taskstore.Entry {
	return taskstore.Entry{
		Kind: e.Kind, Address: e.Address, User: e.User, Password: e.Password,
		Alternate: e.Alternate, Added: e.Added,
		Driver: e.Driver, Array: e.Array, Fingerprint: e.Fingerprint,
	}
}

func wireCredential(c taskstore.Credential) api.Credential { return api.Credential(c) }

func wireAccess(a taskstore.HostAccess) api.HostAccess { return api.HostAccess(a) }

func storedAccess(a api.HostAccess) taskstore.HostAccess { return taskstore.HostAccess(a) }

func wireUser(u taskstore.User) api.User {
	return api.User{
		Name: u.Name, Role: u.Role, DefaultPassword: u.DefaultPassword, Created: u.Created,
	}
}

func wireArray(p arrays.Description) api.Array {
	return api.Array{
		State: arrayState(p.State), Since: p.State.Since, Reason: p.State.Reason,
		ID: p.ID.String(), Driver: p.Driver, Features: p.Features,
		Volumes: p.Volumes, MaxVolumes: p.MaxVolumes, MaxTargets: p.MaxTargets,
		TrackSize: p.TrackSize, EstimatedCounts: p.EstimatedCounts, Capacity: p.Capacity, Free: p.Free,
		CopyRate: p.CopyRate,
	}
}

func arrayState(s arrays.State) string {
	if s.Answers {
		return api.ArrayAnswers
	}
	return api.ArraySilent
}

func wireVolume(v core.Volume) api.Volume {
	out := api.Volume{
		Serial: v.Serial, Array: v.Array.String(), Size: v.Size, Allocated: v.Allocated,
		Label: v.Label, Created: v.Created, Failed: v.Failed, Hosts: v.Seen,
		Assigned: api.Each(v.Assigned, wireAccess),
	}
	for _, a := range v.Attached {
		out.Attached = append(out.Attached, api.Attachment(a))
	}
	if c := v.LastCopy; c != nil {
		out.LastCopy = &api.LastCopy{
			Source: c.Source, Established: c.Established, Ended: c.Ended, Outcome: c.Outcome,
		}
	}
	return out
}

func wireRelationship(r arrayclient.Relationship) api.Relationship {
	out := api.Relationship{
		Source: r.Source, Target: r.Target, State: r.State, Options: r.Options,
		Tracks: r.Tracks, OutOfSync: r.OutOfSync, Percent: r.Percent(), CopyRate: r.CopyRate,
		Established: r.Established, Completed: r.Completed, Reason: r.Reason,
	}
	if r.Options.Record {
		out.Changed = &r.Changed
	}
	return out
}

func wireCompletion(c runner.Completion) api.Completion {
	pair := func(p runner.PairCompletion) api.PairCompletion { return api.PairCompletion(p) }
	return api.Completion{
		Task: c.Task, Complete: c.Complete, Percent: c.Percent, Pairs: api.Each(c.Pairs, pair),
	}
}

// list returns what convert makes of each element, an empty list for nil.
func list[From, To any](all []From, convert func(From) To) []To {
	if out := api.Each(all, convert); out != nil {
		return out
	}
	return []To{}
}
