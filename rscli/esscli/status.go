package esscli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/rscli/connect"
	"copyservices/rscli/program"
	"copyservices/taskstore"
	"copyservices/taskstore/result"
)

const (
	// lately is how far back status looks for runs that failed.
	lately = 24 * time.Hour
	// statusRuns is how many of the newest runs it looks at.
	statusRuns = 100
	// statusFindings is how many things that are wrong fit the screen; the document has
	// all of them.
	statusFindings = 6
	// statusHosts is how many hosts with attached volumes are named on the screen.
	statusHosts = 6
	// littleRoom is the part of an array's space below which room is short.
	littleRoom = 0.1
)

// status is one screen about a server.
func (x *essCLI) status() *program.Command {
	return x.leaf(program.Command{
		Name: "status", Summary: "Show on one screen how everything is, and what to do",
		Examples: []string{"esscli status", "esscli status --json"},
		Run: func(ctx context.Context, e *program.Env, _ []string) error {
			s, err := x.Connect(ctx, e)
			if err != nil {
				return err
			}
			r, err := readStatus(ctx, s)
			if err != nil {
				return err
			}
			e.Told() // by what is found to be wrong
			return e.Result(r, r.print)
		},
	})
}

// statusReport is what --json prints.
type statusReport struct {
	Address       string                     `json:"address"`
	Server        api.Server                 `json:"server"`
	Arrays        []api.Array                `json:"arrays"`
	Volumes       volumeSummary              `json:"volumes"`
	Attached      []attachedHost             `json:"attached"`
	Relationships map[arrayclient.State]int  `json:"relationships"` // by state
	Runs          map[taskstore.RunState]int `json:"runs"`          // of the last day, by state
	Findings      []finding                  `json:"findings"`
}

// volumeSummary is all volumes together.
type volumeSummary struct {
	Count     int   `json:"count"`
	Failed    int   `json:"failed"`
	Size      int64 `json:"size"`      // bytes
	Allocated int64 `json:"allocated"` // bytes
}

// attachedHost is a host with the volumes that it has attached over NBD.
type attachedHost struct {
	Host    string               `json:"host"` // its name, or else its address
	Volumes []arrayclient.Serial `json:"volumes"`
}

// finding is something that is wrong and what to do about it.
type finding struct {
	What string `json:"what"`
	Do   string `json:"do"`
}

func (r *statusReport) found(do, what string, args ...any) {
	r.Findings = append(r.Findings, finding{result.OneLine(fmt.Sprintf(what, args...)), do})
}

// readStatus asks for one thing after the other: what it puts together is not of one
// instant.
func readStatus(ctx context.Context, s *connect.Session) (*statusReport, error) {
	r := &statusReport{
		Relationships: map[arrayclient.State]int{}, Runs: map[taskstore.RunState]int{},
		Attached: []attachedHost{}, Findings: []finding{},
	}
	var err error
	if r.Server, err = s.Server(ctx); err != nil {
		return nil, err
	}
	r.Address = s.Answered()
	if r.Server.DefaultPassword {
		r.found("setuser chuser "+r.Server.User+", then esscli login",
			"%s still has the password that everybody knows", r.Server.User)
	}
	if r.Arrays, err = s.Arrays(ctx); err != nil {
		return nil, err
	}
	r.lookAtArrays()
	volumes, err := s.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	r.addVolumes(volumes)
	relationships, err := s.Relationships(ctx)
	if err != nil {
		return nil, err
	}
	r.addRelationships(relationships)
	runs, _, err := s.Runs(ctx, "", statusRuns)
	if err != nil {
		return nil, err
	}
	r.addRuns(runs)
	return r, nil
}

func (r *statusReport) lookAtArrays() {
	for _, a := range r.Arrays {
		if a.State == api.ArraySilent {
			r.found("see to the array and the network; it is asked again and again",
				"array %s has not answered since %s: %s", a.ID, program.FormatTime(a.Since), a.Reason)
		}
		if a.Capacity > 0 && float64(a.Free) < littleRoom*float64(a.Capacity) {
			r.found("delete volumes that nobody needs, or enlarge the file system of the state folder",
				"array %s has room for %s only", a.ID, program.RoughSize(a.Free))
		}
	}
}

func (r *statusReport) addVolumes(volumes []api.Volume) {
	r.Volumes.Count = len(volumes)
	for _, v := range volumes {
		r.Volumes.Size += v.Size
		r.Volumes.Allocated += v.Allocated
		if v.Failed != "" {
			r.Volumes.Failed++
			r.found("mend its disk, then start copyserver again", "volume %s failed: %s", v.Serial, v.Failed)
		}
	}
	r.addAttached(volumes)
}

func (r *statusReport) addAttached(volumes []api.Volume) {
	byHost := map[string][]arrayclient.Serial{}
	for _, v := range volumes {
		names := map[string]bool{} // a host may have more than one attachment
		for _, a := range v.Attached {
			names[attachmentHost(a)] = true
		}
		for name := range names {
			byHost[name] = append(byHost[name], v.Serial)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byHost)) {
		r.Attached = append(r.Attached, attachedHost{name, byHost[name]})
	}
}

// describeAttached names the hosts with their volumes, of many only how many.
func describeAttached(hosts []attachedHost) string {
	var parts []string
	for i, h := range hosts {
		if i == statusHosts {
			parts = append(parts, fmt.Sprintf("and %d more hosts", len(hosts)-i))
			break
		}
		if len(h.Volumes) > 1 {
			parts = append(parts, fmt.Sprintf("%s (%d volumes)", h.Host, len(h.Volumes)))
		} else {
			parts = append(parts, fmt.Sprintf("%s (%s)", h.Host, h.Volumes[0]))
		}
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func (r *statusReport) addRelationships(relationships []api.Relationship) {
	for _, rel := range relationships {
		r.Relationships[rel.State]++
		pair := fmt.Sprintf("%s:%s", rel.Source, rel.Target)
		switch {
		case rel.State == arrayclient.StateFailed:
			r.found("esscli delete relationship "+pair+", then run its task again",
				"relationship %s failed: %s", pair, rel.Reason)
		case rel.Reason != "":
			r.found("esscli show relationship "+pair, "relationship %s: %s", pair, rel.Reason)
		}
	}
}

// addRuns names the tasks whose newest run of the last day did not succeed. The
// runs come newest first.
func (r *statusReport) addRuns(runs []api.Run) {
	seen := map[string]bool{}
	for _, run := range runs {
		if r.Server.Time.Sub(run.Started) > lately {
			continue
		}
		r.Runs[run.State]++
		newest := !seen[run.Task]
		seen[run.Task] = true
		if newest && (run.State == taskstore.RunFailed || run.State == taskstore.RunInterrupted) {
			reason := ""
			if run.Error != nil {
				reason = ": " + run.Error.Message
			}
			r.found("esscli show run "+run.ID+"; rsExecuteTask "+run.Task,
				"task %s %s at %s%s", run.Task, run.State, program.FormatTime(run.Started), reason)
		}
	}
}

func (r *statusReport) print(w io.Writer) {
	fields := []field{{"server", fmt.Sprintf("%s (%s), version %s, you are %s (%s)", r.Server.Name,
		r.Address, r.Server.Version, r.Server.User, r.Server.Role)}}
	for _, a := range r.Arrays {
		fields = append(fields, field{"array", fmt.Sprintf("%s: %d of %d volumes, room for %s of %s",
			a.ID, a.Volumes, a.MaxVolumes, program.RoughSize(a.Free), program.RoughSize(a.Capacity))})
	}
	writeFields(w, append(fields,
		field{"volumes", fmt.Sprintf("%d, %d failed; %s, of which %s are allocated", r.Volumes.Count,
			r.Volumes.Failed, program.RoughSize(r.Volumes.Size), program.RoughSize(r.Volumes.Allocated))},
		field{"attached", describeAttached(r.Attached)},
		field{"relations", countStates(r.Relationships)},
		field{"runs, 24 h", countStates(r.Runs)}))
	for i, f := range r.Findings {
		if i == statusFindings {
			fmt.Fprintf(w, "\nand %d more: esscli status --json\n", len(r.Findings)-i)
			break
		}
		fmt.Fprintf(w, "\nwrong: %s\n   do: %s\n", f.What, f.Do)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "\nnothing is wrong")
	}
}

// countStates lists how many there are in each state.
func countStates[S ~string](counts map[S]int) string {
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}
