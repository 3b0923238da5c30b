package rscli

import (
	"context"
	"io"
	"strconv"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
)

// flashCopyQueryOptions are the flags of rsFlashCopyQuery.
type flashCopyQueryOptions struct {
	connection
}

// FlashCopyQueryMain is rsFlashCopyQuery.
func FlashCopyQueryMain() int { return mainOf(newFlashCopyQuery) }

func newFlashCopyQuery(*Env) *command {
	opts := &flashCopyQueryOptions{}
	return &command{
		name:     "rsFlashCopyQuery",
		synopsis: "[SERIAL...]",
		summary:  "Print the FlashCopy relationships of these volumes, or all",
		examples: []string{
			"rsFlashCopyQuery",
			"rsFlashCopyQuery 20413698 | awk 'NR == 2 { print $5 }'",
		},
		shared: opts.connection.flags(),
		most:   -1,
		run: func(ctx context.Context, e *Env, serials []string) error {
			return flashCopyQuery(ctx, e, &opts.connection, serials)
		},
	}
}

// flashCopyQuery prints the relationships of these volumes, or all. It warns about those
// that failed or thawed too early, but that is no error: they are what was asked for.
func flashCopyQuery(ctx context.Context, e *Env, c *connection, args []string) error {
	serials, err := parseSerials(args)
	if err != nil {
		return err
	}
	s, err := c.connect(ctx, e)
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
			e.warn("relationship %s:%s failed: %s", r.Source, r.Target, r.Reason)
		case r.Reason != "":
			e.warn("relationship %s:%s: %s", r.Source, r.Target, r.Reason)
		}
	}
	doc := struct {
		Relationships []api.Relationship `json:"relationships"`
	}{append([]api.Relationship{}, relationships...)}
	return e.result(doc, func(w io.Writer) { writeRelationships(w, relationships) })
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
			string(r.Source), string(r.Target), string(r.State), optionNames(r.Options),
			strconv.Itoa(r.Percent), strconv.FormatInt(r.OutOfSync, 10), changedTracks(r),
			formatTime(r.Established), formatTime(r.Completed),
		}
	}
	writeTable(w, header, rows)
}
