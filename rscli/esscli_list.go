package rscli

import (
	"cmp"
	"context"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"copyservices/copyserver/api"
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
func (x *essCLI) lists() []*command {
	return []*command{
		listing(x, command{name: "volume", synopsis: "[SERIAL...]", summary: "List volumes", most: -1},
			"volumes", listVolumes,
			[]string{"serial", "size", "allocated", "label", "devices", "attached", "failed"}, volumeRow),
		listing(x, command{name: "task", summary: "List the stored tasks"}, "tasks",
			func(ctx context.Context, _ *Env, s *session, _ []string) ([]api.Task, error) {
				return s.Tasks(ctx)
			},
			[]string{"name", "type", "options", "pairs"}, taskRow),
		listing(x, command{name: "host", summary: "List the primed hosts"}, "hosts",
			func(ctx context.Context, _ *Env, s *session, _ []string) ([]api.Host, error) {
				return s.Hosts(ctx)
			},
			[]string{"name", "os", "devices", "primed"}, hostRow),
		listing(x, command{name: "array", summary: "List the arrays"}, "arrays",
			func(ctx context.Context, _ *Env, s *session, _ []string) ([]api.Array, error) {
				return s.Arrays(ctx)
			},
			[]string{"array", "driver", "volumes", "capacity", "free"}, arrayRow),
		x.listRelationships(),
		x.listRuns(),
		x.listUsers(),
		x.listCredentials(),
	}
}

// listing is a command that prints a table, or with --json the items under
// key.
func listing[T any](
	x *essCLI, c command, key string,
	fetch func(ctx context.Context, e *Env, s *session, args []string) ([]T, error),
	header []string, row func(T) []string,
) *command {
	c.examples = examplesOf("list "+c.name, "")
	c.run = func(ctx context.Context, e *Env, args []string) error {
		s, err := x.connect(ctx, e)
		if err != nil {
			return err
		}
		items, err := fetch(ctx, e, s, args)
		if err != nil {
			return err
		}
		doc := map[string][]T{key: append([]T{}, items...)}
		return e.result(doc, func(w io.Writer) {
			rows := make([][]string, len(items))
			for i, item := range items {
				rows[i] = row(item)
			}
			writeTable(w, header, rows)
		})
	}
	return x.leaf(c)
}

func listVolumes(ctx context.Context, _ *Env, s *session, args []string) ([]api.Volume, error) {
	serials, err := parseSerials(args)
	if err != nil {
		return nil, err
	}
	return s.Volumes(ctx, serials...)
}

func volumeRow(v api.Volume) []string {
	return []string{
		string(v.Serial), notation.FormatSize(v.Size), roughSize(v.Allocated), v.Label,
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
		pairs[i] = pairText(p)
	}
	return []string{t.Name, string(t.Type), optionNames(t.Options), strings.Join(pairs, ",")}
}

func hostRow(h api.Host) []string {
	return []string{h.Name, h.OS, strconv.Itoa(len(h.Devices)), formatTime(h.Primed)}
}

func arrayRow(a api.Array) []string {
	return []string{
		a.ID, a.Driver, strconv.Itoa(a.Volumes), roughSize(a.Capacity), roughSize(a.Free),
	}
}

// listRelationships is rsFlashCopyQuery under the name that goes with the
// others.
func (x *essCLI) listRelationships() *command {
	return x.leaf(command{
		name: "relationship", synopsis: "[SERIAL...]", most: -1,
		summary:  "List relationships, as rsFlashCopyQuery does",
		examples: examplesOf("list relationship", "20313698"),
		run: func(ctx context.Context, e *Env, args []string) error {
			return flashCopyQuery(ctx, e, &x.connection, args)
		},
	})
}

func (x *essCLI) listRuns() *command {
	return listing(x, command{
		name: "run", summary: "List the runs of tasks, newest first",
		flags: []cli.Flag{
			&cli.StringFlag{Name: "task", Destination: &x.runs.task, Usage: "only those of a task `NAME`"},
			&cli.GenericFlag{Name: "limit", Value: &x.runs.limit, Usage: "at most so many `N`"},
		},
	}, "runs",
		func(ctx context.Context, e *Env, s *session, _ []string) ([]api.Run, error) {
			return x.newestRuns(ctx, e, s)
		},
		[]string{"id", "task", "type", "user", "state", "percent", "started", "ended", "error"}, runRow)
}

// tableRuns is how many runs a table has unless --limit says otherwise.
const tableRuns = 100

// newestRuns returns the runs that are wanted. A table is kept short, and says so;
// a document has them all.
func (x *essCLI) newestRuns(ctx context.Context, e *Env, s *session) ([]api.Run, error) {
	switch {
	case x.runs.limit > 0:
		return s.Runs(ctx, x.runs.task, int(x.runs.limit))
	case e.JSON:
		return s.Runs(ctx, x.runs.task, math.MaxInt32)
	}
	runs, err := s.Runs(ctx, x.runs.task, tableRuns+1)
	if len(runs) > tableRuns {
		e.warn("these are the newest %d runs; --limit shows more, --json all", tableRuns)
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
		formatTime(r.Started), formatTime(r.Ended), reason,
	}
}

func (x *essCLI) listUsers() *command {
	return x.leaf(command{
		name: "user", summary: "List the users", examples: examplesOf("list user", ""),
		run: func(ctx context.Context, e *Env, _ []string) error {
			s, err := x.connect(ctx, e)
			if err != nil {
				return err
			}
			return printUsers(ctx, e, s)
		},
	})
}
