package rest

import (
	"context"
	"net/http"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/copyserver/core"
)

func (s *API) listRelationships(q *call) (answer, error) {
	wanted, err := serials(q.URL.Query()["volume"])
	if err != nil {
		return answer{}, err
	}
	all, err := s.core.Relationships(q.Context(), q.by, wanted...)
	if err != nil {
		return answer{}, err
	}
	out := make([]api.Relationship, len(all))
	for i, r := range all {
		out[i] = wireRelationship(r)
	}
	return ok(out)
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

// establish, withdraw and setCopyRate leave no run behind, only the record of their
// key.
func (s *API) establish(q *call) (answer, error) {
	var req api.EstablishRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.onPairs(q, body, http.StatusCreated, func() (core.Pending[core.PairsResult], error) {
		return s.core.Establish(q.by, req.Pairs, req.Options)
	})
}

func (s *API) withdraw(q *call) (answer, error) {
	var req api.PairsRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	q.frees = true
	return s.onPairs(q, body, http.StatusOK, func() (core.Pending[core.PairsResult], error) {
		return s.core.Withdraw(q.by, req.Pairs)
	})
}

func (s *API) setCopyRate(q *call) (answer, error) {
	var req api.CopyRateRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.onPairs(q, body, http.StatusOK, func() (core.Pending[core.PairsResult], error) {
		return s.core.SetCopyRate(q.by, req.Pairs, req.CopyRate)
	})
}

func (s *API) onPairs(
	q *call, body []byte, status int, prepare func() (core.Pending[core.PairsResult], error),
) (answer, error) {
	return s.once(q, body, func() (act, error) {
		do, err := prepare()
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (answer, error) {
			result, err := do(ctx)
			if err != nil {
				return answer{}, err
			}
			return answer{status: status, body: api.PairsResult(result)}, nil
		}, nil
	})
}
