package rscli

import (
	"context"
	"io"
	"strconv"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
)

// flashCopyQueryOptions are the flags of rsFlashCopyQuery.
type flashCopyQueryOptions struct {
	connect.Flags
}

// FlashCopyQueryMain is rsFlashCopyQuery.
func FlashCopyQueryMain() int { return program.Main(NewFlashCopyQuery) }

// NewFlashCopyQuery builds rsFlashCopyQuery.
func NewFlashCopyQuery(*program.Env) *program.Command {
	opts := &flashCopyQueryOptions{}
	return &program.Command{
		Name:     "rsFlashCopyQuery",
		Synopsis: "[SERIAL...]",
		Summary:  "Print the FlashCopy relationships of these volumes, or all",
		Examples: []string{
			"rsFlashCopyQuery",
			"rsFlashCopyQuery 20413698 | awk 'NR == 2 { print $5 }'",
		},
		Shared: opts.Flags.Declare(),
		Kinds:  []program.Kind{program.KindVolume},
		Most:   -1,
		Run: func(ctx context.Context, e *program.Env, serials []string) error {
			return FlashCopyQuery(ctx, e, &opts.Flags, serials)
		},
	}
}

// FlashCopyQuery prints the relationships of these volumes, or all. It warns about those
// that failed or thawed too early, but that is no error: they are what was asked for.
func FlashCopyQuery(ctx context.Context, e *program.Env, c *connect.Flags, args []string) error {
	serials, err := ParseSerials(args)
	if err != nil {
		return err
	}
	s, err := c.Connect(ctx, e)
	if err != nil {
		return err
	}
	relationships, err := s.Relationships(ctx, serials...)
	if err != nil {
		return err
	}
	for _, r := range relationships {
		switch {
		case r.State == arrayclient.StateFailed:
			e.Warn("relationship %s:%s failed: %s", r.Source, r.Target, r.Reason)
		case r.Reason != "":
			e.Warn("relationship %s:%s: %s", r.Source, r.Target, r.Reason)
		}
	}
	doc := struct {
		Relationships []api.Relationship `json:"relationships"`
	}{append([]api.Relationship{}, relationships...)}
	return e.Result(doc, func(w io.Writer) { writeRelationships(w, relationships) })
}

// writeRelationships prints the table of rsFlashCopyQuery.
func writeRelationships(w io.Writer, relationships []api.Relationship) {
	header := []string{
		"source", "target", "state", "options", "percent", "out-of-sync", "changed",
		"established", "completed",
	}
	rows := make([][]string, len(relationships))
	for i, r := range relationships {
		rows[i] = []string{
			string(r.Source), string(r.Target), string(r.State), OptionNames(r.Options),
			strconv.Itoa(r.Percent), strconv.FormatInt(r.OutOfSync, 10), ChangedTracks(r),
			program.FormatTime(r.Established), program.FormatTime(r.Completed),
		}
	}
	program.WriteTable(w, header, rows)
}
