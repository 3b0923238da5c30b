package rest

import (
	"context"
	"net/http"

	"copyservices/arrayclient"
	"copyservices/copyserver/api"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/core"
	"copyservices/taskstore"
)

func (s *API) listRelationships(q *call) (answer, error) {
	array, wanted, err := q.selected("volume")
	if err != nil {
		return answer{}, err
	}
	var all arrays.Partial[arrayclient.Relationship]
	if array != "" {
		all, err = s.core.RelationshipsIn(q.Context(), q.by, array)
	} else {
		all, err = s.core.Relationships(q.Context(), q.by, wanted...)
	}
	if err != nil {
		return answer{}, err
	}
	return partial(q, all, wireRelationship)
}

// Acts on pairs leave no run behind, only the record of their key.
func (s *API) establish(q *call) (answer, error) {
	var req api.EstablishRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.onPairs(q, body, http.StatusCreated, func() (core.Pending[core.PairsResult], error) {
		return s.core.Establish(q.by, stored(req.Pairs), req.Options)
	})
}

func (s *API) withdraw(q *call) (answer, error) {
	q.frees = true
	return s.onNamedPairs(q, s.core.Withdraw)
}

func (s *API) resync(q *call) (answer, error)  { return s.onNamedPairs(q, s.core.Resync) }
func (s *API) reverse(q *call) (answer, error) { return s.onNamedPairs(q, s.core.Reverse) }

func (s *API) backgroundCopy(q *call) (answer, error) {
	return s.onNamedPairs(q, s.core.BackgroundCopy)
}

func (s *API) consistencyCreated(q *call) (answer, error) {
	return s.onNamedPairs(q, s.core.ConsistencyCreated)
}

// onNamedPairs carries out an act that is told nothing but the pairs.
func (s *API) onNamedPairs(
	q *call, do func(core.Caller, []taskstore.TaskPair) (core.Pending[core.PairsResult], error),
) (answer, error) {
	var req api.PairsRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.onPairs(q, body, http.StatusOK, func() (core.Pending[core.PairsResult], error) {
		return do(q.by, stored(req.Pairs))
	})
}

func (s *API) setCopyRate(q *call) (answer, error) {
	var req api.CopyRateRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	return s.onPairs(q, body, http.StatusOK, func() (core.Pending[core.PairsResult], error) {
		return s.core.SetCopyRate(q.by, stored(req.Pairs), req.CopyRate)
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
			return answer{status: status, body: api.PairsResult{
				Pairs: api.Each(result.Pairs, wireResolved), Warnings: result.Warnings,
			}}, nil
		}, nil
	})
}

func stored(pairs []api.TaskPair) []taskstore.TaskPair {
	return api.Each(pairs, api.TaskPair.Stored)
}
