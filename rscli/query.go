package rscli

import (
	"context"
	"io"
	"strings"

	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore/notation"
)

// queryOptions are the flags of rsQuery.
type queryOptions struct {
	connect.Flags
}

// QueryMain is rsQuery.
func QueryMain() int { return program.Main(NewQuery) }

// NewQuery builds rsQuery.
func NewQuery(*program.Env) *program.Command {
	opts := &queryOptions{}
	return &program.Command{
		Name:     "rsQuery",
		Synopsis: "SERIAL...",
		Summary:  "Print the copy services status of volumes",
		Examples: []string{"rsQuery 20313698", "rsQuery --json 20313698 20413698"},
		Shared:   opts.Flags.Declare(),
		Kinds:    []program.Kind{program.KindVolume},
		Least:    1, Most: -1,
		Run: opts.run,
	}
}

// The roles of a volume.
const (
	roleSource = "source"
	roleTarget = "target"
	roleNone   = "none"
)

// volumeReport is one volume in the output of --json.
type volumeReport struct {
	api.Volume
	Role          string             `json:"role"` // source, target or none
	Relationships []api.Relationship `json:"relationships"`
}

func (o *queryOptions) run(ctx context.Context, e *program.Env, args []string) error {
	serials, err := ParseSerials(args)
	if err != nil {
		return err
	}
	s, err := o.Connect(ctx, e)
	if err != nil {
		return err
	}
	volumes, err := s.Volumes(ctx, serials...)
	if err != nil {
		return err
	}
	relationships, err := s.Relationships(ctx, serials...)
	if err != nil {
		return err
	}
	reports := make([]volumeReport, len(volumes))
	for i, v := range volumes {
		reports[i] = reportVolume(v, relationships)
	}
	doc := struct {
		Volumes []volumeReport `json:"volumes"`
	}{reports}
	return e.Result(doc, func(w io.Writer) { writeVolumes(w, reports) })
}

// reportVolume picks the relationships in which v takes part. It is source or
// target of all of them: cascades do not exist.
func reportVolume(v api.Volume, all []api.Relationship) volumeReport {
	report := volumeReport{Volume: v, Role: roleNone, Relationships: []api.Relationship{}}
	for _, r := range all {
		switch v.Serial {
		case r.Source:
			report.Role = roleSource
		case r.Target:
			report.Role = roleTarget
		default:
			continue
		}
		report.Relationships = append(report.Relationships, r)
	}
	return report
}

// writeVolumes prints one line for each volume, whatever it takes part in: the
// words of a line are as many for every volume, so that awk can count them.
func writeVolumes(w io.Writer, reports []volumeReport) {
	header := []string{
		"volume", "size", "role", "state", "peers", "devices", "copy-of", "copied", "outcome",
	}
	rows := make([][]string, len(reports))
	for i, r := range reports {
		states, peers := peersOf(r)
		rows[i] = []string{
			string(r.Serial), notation.FormatSize(r.Size), r.Role, states, peers,
			strings.Join(r.Hosts, ","), "", "", "",
		}
		if r.LastCopy != nil {
			copy(rows[i][6:], []string{
				string(r.LastCopy.Source), program.FormatTime(r.LastCopy.Established), string(r.LastCopy.Outcome),
			})
		}
	}
	program.WriteTable(w, header, rows)
}

// peersOf lists states and partners of a volume's relationships, in the same
// order.
func peersOf(r volumeReport) (states, peers string) {
	var s, p []string
	for _, rel := range r.Relationships {
		peer := rel.Target
		if r.Role == roleTarget {
			peer = rel.Source
		}
		s, p = append(s, string(rel.State)), append(p, string(peer))
	}
	return strings.Join(s, ","), strings.Join(p, ",")
}
