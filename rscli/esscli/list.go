package esscli

import (
	"cmp"
	"context"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/copyserver/api"
	"copyservices/rscli"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/rscli/shell"
	"copyservices/taskstore"
	"copyservices/taskstore/notation"
)

// volumeList is what --json prints for volumes.
type volumeList struct {
	Volumes []api.Volume `json:"volumes"`
}

// runOptions are the flags of "list run".
type runOptions struct {
	task  string
	limit number
}

// lists returns the commands of list. Tables are for people and awk; what is
// exact, such as bytes, is in the documents of --json.
func (x *essCLI) lists() []*program.Command {
	return []*program.Command{
		listing(x, program.Command{Name: "volume", Synopsis: "[SERIAL...]", Summary: "List volumes", Most: -1,
			Kinds: []program.Kind{program.KindVolume}}, "volumes", listVolumes,
			[]string{"serial", "size", "allocated", "label", "devices", "attached", "failed"}, volumeRow),
		listing(x, program.Command{Name: "task", Summary: "List the stored tasks"}, "tasks",
			func(ctx context.Context, _ *program.Env, s *connect.Session, _ []string) ([]api.Task, error) {
				return s.Tasks(ctx)
			},
			[]string{"name", "type", "options", "pairs"}, taskRow),
		listing(x, program.Command{Name: "host", Summary: "List the primed hosts"}, "hosts",
			func(ctx context.Context, _ *program.Env, s *connect.Session, _ []string) ([]api.Host, error) {
				return s.Hosts(ctx)
			},
			[]string{"name", "os", "devices", "primed"}, hostRow),
		listing(x, program.Command{Name: "array", Summary: "List the arrays"}, "arrays",
			func(ctx context.Context, _ *program.Env, s *connect.Session, _ []string) ([]api.Array, error) {
				return s.Arrays(ctx)
			},
			[]string{"array", "driver", "volumes", "capacity", "free", "state", "reason"}, arrayRow),
		x.listRelationships(),
		x.listRuns(),
		x.listUsers(),
		x.listCredentials(),
	}
}

// listing is a command that prints a table, or with --json the items under
// key.
func listing[T any](
	x *essCLI, c program.Command, key string,
	fetch func(ctx context.Context, e *program.Env, s *connect.Session, args []string) ([]T, error),
	header []string, row func(T) []string,
) *program.Command {
	c.Examples = examplesOf("list "+c.Name, "")
	c.Run = func(ctx context.Context, e *program.Env, args []string) error {
		s, err := x.Connect(ctx, e)
		if err != nil {
			return err
		}
		items, err := fetch(ctx, e, s, args)
		if err != nil {
			return err
		}
		doc := map[string][]T{key: append([]T{}, items...)}
		return e.Result(doc, func(w io.Writer) {
			rows := make([][]string, len(items))
			for i, item := range items {
				rows[i] = row(item)
			}
			program.WriteTable(w, header, rows)
		})
	}
	return x.leaf(c)
}

func listVolumes(ctx context.Context, _ *program.Env, s *connect.Session, args []string) ([]api.Volume, error) {
	serials, err := rscli.ParseSerials(args)
	if err != nil {
		return nil, err
	}
	return s.Volumes(ctx, serials...)
}

func volumeRow(v api.Volume) []string {
	return []string{
		string(v.Serial), notation.FormatSize(v.Size), program.RoughSize(v.Allocated), v.Label,
		strings.Join(v.Hosts, ","), attachedTo(v), v.Failed,
	}
}

// attachedTo names the hosts that have v attached, by their credentials or else their
// addresses.
func attachedTo(v api.Volume) string {
	names := make([]string, len(v.Attached))
	for i, a := range v.Attached {
		names[i] = attachmentHost(a)
	}
	return strings.Join(names, ",")
}

func attachmentHost(a api.Attachment) string { return cmp.Or(a.Host, a.Address, "?") }

// taskRow has the pairs last: the arrow between two devices has blanks.
func taskRow(t api.Task) []string {
	pairs := make([]string, len(t.Pairs))
	for i, p := range t.Pairs {
		pairs[i] = rscli.PairText(p)
	}
	return []string{t.Name, string(t.Type), rscli.OptionNames(t.Options), strings.Join(pairs, ",")}
}

func hostRow(h api.Host) []string {
	return []string{h.Name, h.OS, strconv.Itoa(len(h.Devices)), program.FormatTime(h.Primed)}
}

func arrayRow(a api.Array) []string {
	return []string{
		a.ID, a.Driver, strconv.Itoa(a.Volumes), program.RoughSize(a.Capacity), program.RoughSize(a.Free),
		a.State, a.Reason,
	}
}

// listRelationships is rsFlashCopyQuery under the name that goes with the
// others.
func (x *essCLI) listRelationships() *program.Command {
	return x.leaf(program.Command{
		Name: "relationship", Synopsis: "[SERIAL...]", Most: -1,
		Kinds:    []program.Kind{program.KindVolume},
		Summary:  "List relationships, as rsFlashCopyQuery does",
		Examples: examplesOf("list relationship", "20313698"),
		Run: func(ctx context.Context, e *program.Env, args []string) error {
			return rscli.FlashCopyQuery(ctx, e, &x.Flags, args)
		},
	})
}

func (x *essCLI) listRuns() *program.Command {
	return listing(x, program.Command{
		Name: "run", Summary: "List the runs of tasks, newest first",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "task", Destination: &x.runs.task,
				Category: program.KindTask, Usage: "only those of a task `NAME`"},
			&cli.GenericFlag{Name: "limit", Value: &x.runs.limit, Usage: "at most so many `N`"},
		},
	}, "runs",
		func(ctx context.Context, e *program.Env, s *connect.Session, _ []string) ([]api.Run, error) {
			return x.newestRuns(ctx, e, s)
		},
		[]string{"id", "task", "type", "user", "state", "percent", "started", "ended", "error"}, runRow)
}

// tableRuns is how many runs a table has unless --limit says otherwise.
const tableRuns = 100

// newestRuns returns the runs that are wanted. A table is kept short, and says so;
// a document has them all.
func (x *essCLI) newestRuns(ctx context.Context, e *program.Env, s *connect.Session) ([]api.Run, error) {
	switch {
	case x.runs.limit > 0:
		runs, total, err := s.Runs(ctx, x.runs.task, int(x.runs.limit))
		if total > len(runs) {
			e.Warn("these are the newest %d of %d runs", len(runs), total)
		}
		return runs, err
	case e.JSON:
		runs, _, err := s.Runs(ctx, x.runs.task, math.MaxInt32)
		return runs, err
	}
	runs, _, err := s.Runs(ctx, x.runs.task, tableRuns+1)
	if len(runs) > tableRuns {
		e.Warn("these are the newest %d runs; --limit shows more, --json all", tableRuns)
		runs = runs[:tableRuns]
	}
	return runs, err
}

// runRow leaves out the percentage of a run that failed: it would read as if
// that part were good.
func runRow(r api.Run) []string {
	reason := ""
	if r.Error != nil {
		reason = r.Error.Message
	}
	percent := ""
	if r.State == taskstore.RunRunning || r.State == taskstore.RunDone {
		percent = strconv.Itoa(r.Percent)
	}
	return []string{
		r.ID, r.Task, string(r.Type), r.User, string(r.State), percent,
		program.FormatTime(r.Started), program.FormatTime(r.Ended), reason,
	}
}

func (x *essCLI) listUsers() *program.Command {
	return x.leaf(program.Command{
		Name: "user", Summary: "List the users", Examples: examplesOf("list user", ""),
		Run: func(ctx context.Context, e *program.Env, _ []string) error {
			s, err := x.Connect(ctx, e)
			if err != nil {
				return err
			}
			return shell.PrintUsers(ctx, e, s)
		},
	})
}
