package esscli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore/result"
)

func (x *essCLI) deletes() []*program.Command {
	return []*program.Command{
		x.deleting("volume", "SERIAL...", "20413698 20613698", deleteVolume),
		x.deleting("task", "NAME...", "NIGHTLY OLD", (*api.Client).DeleteTask),
		x.deleting("host", "NAME...", "esx1 db1", (*api.Client).DeleteHost),
		x.deleting("run", "ID...", "20261122-020350-3d3aaf", (*api.Client).DeleteRun),
		x.deleting("user", "NAME...", "backup watcher", (*api.Client).DeleteUser),
		x.deleting("credential", "SERIAL...", "51c0ffee", (*api.Client).DeleteCredential),
		x.deleting("array", "ARRAY...", "2105.75AB1", deleteArray),
		x.withdraw(),
	}
}

func deleteVolume(c *api.Client, ctx context.Context, serial string) error {
	return c.DeleteVolume(ctx, arrayclient.Serial(strings.ToUpper(serial)))
}

// deleteReport is what --json prints.
type deleteReport struct {
	Deleted    []string             `json:"deleted"`
	NotDeleted []string             `json:"not_deleted,omitempty"`
	Error      *program.ErrorDetail `json:"error,omitempty"`
}

// revokeReport is the same for credentials.
type revokeReport struct {
	Revoked    []string             `json:"revoked"`
	NotRevoked []string             `json:"not_revoked,omitempty"`
	Error      *program.ErrorDetail `json:"error,omitempty"`
}

// endOf is what becomes of a thing that is deleted: a credential stays in the list.
func endOf(kind string) string {
	if kind == "credential" {
		return "revoked"
	}
	return "deleted"
}

// deleting is a command that deletes things in the order in which they are
// named, up to the first that fails. It does not ask: scripts run it.
func (x *essCLI) deleting(
	kind, synopsis, example string,
	act func(c *api.Client, ctx context.Context, name string) error,
) *program.Command {
	return x.leaf(program.Command{
		Name: kind, Synopsis: synopsis, Summary: "Delete; nothing is asked", Least: 1, Most: -1,
		Kinds:    []program.Kind{objectKinds[kind]},
		Examples: examplesOf("delete "+kind, example),
		Run: func(ctx context.Context, e *program.Env, names []string) error {
			if kind == "volume" {
				if _, err := rscli.ParseSerials(names); err != nil {
					return err
				}
			}
			s, err := x.Connect(ctx, e)
			if err != nil {
				return err
			}
			act := func(name string) error { return act(s.Client, ctx, name) }
			return deleteAll(e, kind, names, act)
		},
	})
}

// deleteAll reports what was done before the first failure, for the rest of a
// script must know which are gone.
func deleteAll(e *program.Env, kind string, names []string, act func(name string) error) error {
	report := deleteReport{Deleted: []string{}}
	var err error
	for i, name := range names {
		if err = act(name); err != nil {
			report.NotDeleted = names[i:]
			err = notDone(err, endOf(kind), names[i+1:])
			break
		}
		report.Deleted = append(report.Deleted, name)
		text := kind + " " + result.OneLine(name) + " " + endOf(kind)
		e.Log.Info(text)
		if !e.JSON && !e.Quiet {
			fmt.Fprintln(e.Stdout, text)
		}
	}
	if !e.JSON {
		return err
	}
	if err != nil {
		d := program.DetailOf(err)
		report.Error = &d
	}
	if endOf(kind) == "revoked" {
		return cmp.Or(err, program.WriteJSON(e.Stdout, revokeReport{report.Deleted, report.NotDeleted, report.Error}))
	}
	return cmp.Or(err, program.WriteJSON(e.Stdout, report))
}

// notDone makes err name what was not tried because of it.
func notDone(err error, done string, rest []string) error {
	if len(rest) == 0 {
		return err
	}
	d := fault.DetailOf(err)
	d.Message += "; not " + done + ": " + strings.Join(rest, ", ")
	return d.Err()
}

// withdraw needs no question either: of a target whose copy was not complete
// the server's warning tells.
func (x *essCLI) withdraw() *program.Command {
	return x.leaf(program.Command{
		Name: "relationship", Synopsis: "[S:T...]",
		Summary: "Withdraw pairs; an incomplete copy is undefined then",
		Examples: []string{
			"esscli delete relationship 20313698:20413698",
			"esscli delete relationship --source host1:Disk1 --target host2:Disk1",
		},
		Sets:  [][]cli.Flag{x.pairs.flags()},
		Most:  -1,
		Kinds: []program.Kind{program.KindRelationship},
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			withdraw := func(s *connect.Session, pairs []api.TaskPair) (api.PairsResult, error) {
				return s.Withdraw(ctx, api.PairsRequest{Pairs: pairs})
			}
			return x.runPairs(ctx, e, args, withdraw, "withdrawn")
		},
	})
}
