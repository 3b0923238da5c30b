package copyserver

import (
	"context"
	"net/http"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/copyserver/runner"
)

func (s *Server) listRelationships(q *call) (answer, error) {
	wanted, err := serials(q.URL.Query()["volume"])
	if err != nil {
		return answer{}, err
	}
	// Nobody shall take no answer for no relationship.
	if _, err := s.arrays.Volumes(q.Context(), wanted...); err != nil {
		return answer{}, err
	}
	out := []api.Relationship{}
	for _, arr := range s.arrays.All() {
		mine := s.within(arr, wanted)
		if len(mine) == 0 && len(wanted) > 0 {
			continue
		}
		rels, err := arr.Relationships(q.Context(), mine...)
		if err != nil {
			return answer{}, err
		}
		for _, r := range rels {
			out = append(out, describeRelationship(r))
		}
	}
	return ok(out)
}

// within returns the volumes that are in arr.
func (s *Server) within(
	arr arrayclient.Array, wanted []arrayclient.Serial,
) []arrayclient.Serial {
	var mine []arrayclient.Serial
	for _, serial := range wanted {
		if other, _, err := s.arrays.Of(serial); err == nil && other == arr {
			mine = append(mine, serial)
		}
	}
	return mine
}

func describeRelationship(r arrayclient.Relationship) api.Relationship {
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

// establish and withdraw act on pairs without a stored task, all or none. They
// leave no run behind, only the record of their key.
func (s *Server) establish(q *call) (answer, error) {
	var req api.EstablishRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.onPairs(q, body, req.Pairs, http.StatusCreated,
		func(ctx context.Context, r runner.Resolved) ([]string, error) {
			if err := r.Array.Establish(ctx, r.Pairs, req.Options); err != nil {
				return nil, err
			}
			return s.attached.Overwritten(r.Targets()), nil
		})
}

func (s *Server) withdraw(q *call) (answer, error) {
	var req api.PairsRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	q.frees = true
	return s.onPairs(q, body, req.Pairs, http.StatusOK, s.runner.Withdraw)
}

// onPairs resolves the pairs once, before anything is recorded: a repeated
// request is answered from memory even if its names mean something else by
// then.
func (s *Server) onPairs(
	q *call, body []byte, pairs []api.TaskPair, status int,
	do func(context.Context, runner.Resolved) (warnings []string, err error),
) (answer, error) {
	return s.once(q, body, func() (act, error) {
		resolved, err := s.runner.Resolve(pairs)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (answer, error) {
			warnings, err := do(ctx, resolved)
			if err != nil {
				return answer{}, err
			}
			result := api.PairsResult{Pairs: resolved.Named, Warnings: warnings}
			return answer{status: status, body: result}, nil
		}, nil
	})
}
