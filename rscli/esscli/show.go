package esscli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
	"copyservices/taskstore/result"
)

// shows returns the commands of show.
func (x *essCLI) shows() []*program.Command {
	return []*program.Command{
		showing(x, "volume", "SERIAL...", "20313698", fetchVolume, writeVolume),
		showing(x, "task", "NAME...", "NIGHTLY", named((*api.Client).Task), writeTask),
		showing(x, "host", "NAME...", "esx1", named((*api.Client).Host), writeHost),
		showing(x, "array", "ARRAY...", "2105.13698", fetchArray, writeArray),
		showing(x, "relationship", "S:T...", "20313698:20413698", fetchRelationship, writeRelationship),
		showing(x, "run", "ID...", "20261122-020350-3d3aaf",
			func(ctx context.Context, s *connect.Session, id string) (api.Run, error) { return s.Run(ctx, id, 0) },
			writeRun),
		showing(x, "user", "NAME...", "backup", fetchUser, writeUser),
		showing(x, "credential", "SERIAL...", "51c0ffee", fetchCredential, writeCredentialRecord),
	}
}

// named adapts a method of the client that takes a name.
func named[T any](
	get func(*api.Client, context.Context, string) (T, error),
) func(context.Context, *connect.Session, string) (T, error) {
	return func(ctx context.Context, s *connect.Session, name string) (T, error) {
		return get(s.Client, ctx, name)
	}
}

// showing is a command that prints things: with --json one as it is, more as a list
// prints them. Where one cannot be had, none is printed.
func showing[T any](
	x *essCLI, name, argument, example string,
	fetch func(ctx context.Context, s *connect.Session, name string) (T, error), write func(io.Writer, T),
) *program.Command {
	return x.leaf(program.Command{
		Name: name, Synopsis: argument, Summary: "Show a " + name + ", or more", Least: 1, Most: -1,
		Kinds:    []program.Kind{objectKinds[name]},
		Examples: examplesOf("show "+name, example),
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			s, err := x.Connect(ctx, e)
			if err != nil {
				return err
			}
			things := make([]T, len(args))
			for i, arg := range args {
				if things[i], err = fetch(ctx, s, arg); err != nil {
					return err
				}
			}
			var doc any = map[string][]T{name + "s": things}
			if len(things) == 1 {
				doc = things[0]
			}
			return e.Result(doc, func(w io.Writer) { writeEach(w, name, things, write) })
		},
	})
}

// writeEach parts things by an empty line, tasks as YAML parts documents.
func writeEach[T any](w io.Writer, name string, things []T, write func(io.Writer, T)) {
	for i, thing := range things {
		switch {
		case i > 0 && name == "task":
			fmt.Fprintln(w, "---")
		case i > 0:
			fmt.Fprintln(w)
		}
		write(w, thing)
	}
}

func fetchVolume(ctx context.Context, s *connect.Session, name string) (api.Volume, error) {
	serial, err := arrayclient.ParseSerial(name)
	if err != nil {
		return api.Volume{}, err
	}
	return s.Volume(ctx, serial)
}

func fetchArray(ctx context.Context, s *connect.Session, name string) (api.Array, error) {
	id, err := arrayclient.ParseArrayID(name)
	if err != nil {
		return api.Array{}, err
	}
	return s.Array(ctx, id.String())
}

// fetchRelationship picks from those of the source: the API has no path for
// one relationship.
func fetchRelationship(ctx context.Context, s *connect.Session, name string) (api.Relationship, error) {
	pair, err := arrayclient.ParsePair(name)
	if err != nil {
		return api.Relationship{}, err
	}
	relationships, err := s.Relationships(ctx, pair.Source)
	if err != nil {
		return api.Relationship{}, err
	}
	for _, r := range relationships {
		if r.Source == pair.Source && r.Target == pair.Target {
			return r, nil
		}
	}
	hint := "esscli list relationship shows those that exist"
	for _, r := range relationships {
		if r.Source == pair.Target && r.Target == pair.Source {
			hint = fmt.Sprintf("there is %s:%s, the other way round", r.Source, r.Target)
		}
	}
	return api.Relationship{}, fault.New(fault.NotFound, "there is no relationship %s", pair).
		WithHint("%s", hint)
}

// fetchUser picks from the list: the API has no path for reading one user.
func fetchUser(ctx context.Context, s *connect.Session, name string) (api.User, error) {
	users, err := s.Users(ctx)
	if err != nil {
		return api.User{}, err
	}
	for _, u := range users {
		if taskstore.Key(u.Name) == taskstore.Key(name) {
			return u, nil
		}
	}
	return api.User{}, fault.New(fault.NotFound, "there is no user named %q", name).
		WithHint("esscli list user shows those that exist")
}

// fetchCredential picks from the list: the API has no path for reading one.
func fetchCredential(ctx context.Context, s *connect.Session, serial string) (api.Credential, error) {
	credentials, err := s.Credentials(ctx)
	if err != nil {
		return api.Credential{}, err
	}
	for _, c := range credentials {
		if strings.EqualFold(c.Serial, serial) {
			return c, nil
		}
	}
	return api.Credential{}, fault.New(fault.NotFound, "there is no credential %q", serial).
		WithHint("esscli list credential shows those that exist")
}

// field is a line of what show prints. One without a value, or without a
// time, is left out.
type field struct{ name, value string }

func writeFields(w io.Writer, fields []field) {
	for _, f := range fields {
		if f.value != "" && f.value != program.FormatTime(time.Time{}) {
			fmt.Fprintf(w, "%-12s %s\n", f.name, result.OneLine(f.value))
		}
	}
}

// exactSize is a size with its bytes.
func exactSize(n int64) string {
	exact := strconv.FormatInt(n, 10) + " bytes"
	if n < 1024 {
		return exact
	}
	return program.RoughSize(n) + " (" + exact + ")"
}

func formatAttachment(a api.Attachment) string {
	who := cmp.Or(a.Address, "a host")
	if a.Host != "" {
		who += " host " + a.Host + " credential " + a.Credential
	}
	access := "read-write"
	if a.ReadOnly {
		access = "read-only"
	}
	return who + " " + access + " since " + program.FormatTime(a.Since) + ", " +
		program.Count(a.Connections, "connection")
}

func writeVolume(w io.Writer, v api.Volume) {
	fields := []field{
		{"serial", string(v.Serial)}, {"array", v.Array}, {"size", exactSize(v.Size)},
		{"allocated", exactSize(v.Allocated)}, {"label", v.Label}, {"created", program.FormatTime(v.Created)},
		{"failed", v.Failed}, {"devices", strings.Join(v.Hosts, ", ")},
		{"hosts", formatAssigned(v.Assigned)},
	}
	for _, a := range v.Attached {
		fields = append(fields, field{"attached", formatAttachment(a)})
	}
	if c := v.LastCopy; c != nil {
		fields = append(fields, field{"copy of", string(c.Source)},
			field{"copied", program.FormatTime(c.Established)}, field{"outcome", string(c.Outcome)})
	}
	writeFields(w, fields)
}

// writeTask prints the task as a file that apply takes.
func writeTask(w io.Writer, t api.Task) {
	if text, err := taskstore.FormatTask(t.Stored()); err == nil {
		_, _ = w.Write(text)
	}
}

func writeHost(w io.Writer, h api.Host) {
	writeFields(w, []field{{"name", h.Name}, {"os", h.OS}, {"primed", program.FormatTime(h.Primed)}})
	for _, d := range h.Devices {
		writeFields(w, []field{{"device", d.Name + " " + string(d.Serial)}})
	}
}

func writeArray(w io.Writer, a api.Array) {
	writeFields(w, []field{
		{"array", a.ID}, {"driver", a.Driver}, {"features", strings.Join(a.Features, ", ")},
		{"volumes", fmt.Sprintf("%d of %d", a.Volumes, a.MaxVolumes)},
	})
	if a.TrackSize > 0 { // an older server tells neither
		writeFields(w, []field{
			{"targets", fmt.Sprintf("%d of a source", a.MaxTargets)}, {"track size", exactSize(a.TrackSize)},
		})
	}
	writeFields(w, []field{
		{"capacity", exactSize(a.Capacity)}, {"free", exactSize(a.Free)},
		{"copy rate", formatRate(a.CopyRate)},
		{"state", a.State}, {"since", program.FormatTime(a.Since)}, {"reason", a.Reason},
	})
}

func writeRelationship(w io.Writer, r api.Relationship) {
	writeFields(w, []field{
		{"source", string(r.Source)}, {"target", string(r.Target)}, {"state", string(r.State)},
		{"options", rscli.OptionNames(r.Options)}, {"percent", strconv.Itoa(r.Percent)},
		{"out of sync", fmt.Sprintf("%d of %s", r.OutOfSync, program.Count(int(r.Tracks), "track"))},
		{"changed", rscli.ChangedTracks(r)}, {"copy rate", formatRate(r.CopyRate)},
		{"established", program.FormatTime(r.Established)}, {"completed", program.FormatTime(r.Completed)},
		{"reason", r.Reason},
	})
}

func writeRun(w io.Writer, r api.Run) {
	fields := []field{
		{"id", r.ID}, {"task", r.Task}, {"type", string(r.Type)}, {"user", r.User},
		{"state", string(r.State)}, {"percent", strconv.Itoa(r.Percent)},
		{"started", program.FormatTime(r.Started)}, {"ended", program.FormatTime(r.Ended)},
	}
	for _, p := range r.Pairs {
		fields = append(fields, field{"pair", rscli.DescribePair(p)})
	}
	for _, text := range r.Warnings {
		fields = append(fields, field{"warning", text})
	}
	if r.Error != nil {
		fields = append(fields, field{"error", r.Error.Message}, field{"hint", r.Error.Hint})
	}
	writeFields(w, fields)
}

func writeUser(w io.Writer, u api.User) {
	password := ""
	if u.DefaultPassword {
		password = "still the default one"
	}
	writeFields(w, []field{
		{"name", u.Name}, {"role", string(u.Role)}, {"password", password},
		{"created", program.FormatTime(u.Created)},
	})
}

func writeCredentialRecord(w io.Writer, c api.Credential) {
	writeFields(w, []field{
		{"serial", c.Serial}, {"host", c.Host}, {"created", program.FormatTime(c.Created)},
		{"expires", program.FormatTime(c.Expires)}, {"revoked", program.FormatTime(c.Revoked)},
	})
}
