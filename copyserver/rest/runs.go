package rest

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/runner"
	"copyservices/taskstore"
	"copyservices/taskstore/notation"
)

// startRun answers a repeated request with the run that the first started, as
// it is by then.
func (s *API) startRun(q *call) (answer, error) {
	var req api.RunRequest
	body, err := q.decode(&req)
	if err != nil {
		return answer{}, err
	}
	ask := runner.Request{Task: q.PathValue("name"), Wait: req.Wait}
	if ask.Until, err = s.until(q); err != nil {
		return answer{}, err
	}
	if req.DryRun {
		run, err := s.core.DryRun(q.Context(), q.by, ask)
		return answer{status: http.StatusOK, body: wireRun(run)}, err
	}
	id, err := q.idempotency(body)
	if err != nil {
		return answer{}, err
	}
	if ask.Line, err = q.line(); err != nil {
		return answer{}, err
	}
	unlock, err := s.keys.lock(q.Context(), id.key)
	if err != nil {
		return answer{}, err
	}
	// Who stands in line may be taken over from by a repetition.
	ask.InLine = sync.OnceFunc(unlock)
	defer ask.InLine()
	if a, found, err := s.recall(q.Context(), id); found || err != nil {
		return a, err
	}
	ask.Key, ask.Body = id.key, id.hash
	run, err := s.core.StartRun(q.Context(), q.by, ask)
	if err != nil {
		return answer{}, err
	}
	if run.State == taskstore.RunQueued {
		return answer{status: http.StatusAccepted, body: wireRun(run)}, nil
	}
	return created(wireRun(run))
}

// getCompletion is a long poll: it answers when the copies are complete, at
// the latest after the time that the client gives.
func (s *API) getCompletion(q *call) (answer, error) {
	wait, err := q.wait()
	if err != nil {
		return answer{}, err
	}
	c, err := s.core.Completion(q.Context(), q.by, q.PathValue("name"), wait)
	if err != nil {
		return answer{}, err
	}
	return ok(wireCompletion(c))
}

// runLimit is how many runs are listed when the client does not say.
const runLimit = 100

// listRuns says how many runs there are, so that a client knows when it has not got
// all of them.
func (s *API) listRuns(q *call) (answer, error) {
	limit := runLimit
	query := q.URL.Query()
	if text := query.Get("limit"); query.Has("limit") {
		n, err := notation.ParseNumber(text, 1, math.MaxInt32)
		if err != nil {
			return answer{}, fault.New(fault.Usage, "limit: %w", err)
		}
		limit = int(n)
	}
	runs, err := s.core.Runs(q.Context(), q.by, query.Get("task"), limit)
	if err != nil {
		return answer{}, err
	}
	q.w.Header().Set(api.TotalHeader, strconv.Itoa(runs.Total))
	q.warn(runs.Warnings)
	return ok(list(runs.Newest, wireRun))
}

// getRun is a long poll while the run is running.
func (s *API) getRun(q *call) (answer, error) {
	wait, err := q.wait()
	if err != nil {
		return answer{}, err
	}
	run, err := s.core.Run(q.Context(), q.by, q.PathValue("id"), wait)
	if err != nil {
		return answer{}, err
	}
	return ok(wireRun(run))
}

// deleteRun leaves a record of the run's idempotency key behind, so that a
// late repetition of its request does not run the task again.
func (s *API) deleteRun(q *call) (answer, error) {
	err := s.core.DeleteRun(q.by, q.PathValue("id"), func(run taskstore.Run) error {
		if run.Key == "" || time.Since(run.Started) >= forgetAfter {
			return nil
		}
		return s.core.Store.Requests().Put(goneRun(run))
	})
	if err != nil {
		return answer{}, err
	}
	return done()
}

func goneRun(run taskstore.Run) taskstore.Request {
	err := fault.New(fault.Usage, "the run %s of this request was deleted", run.ID)
	body, _ := json.Marshal(errorBody(err)) // of strings only: does not fail
	return taskstore.Request{
		Key: run.Key, Hash: run.Body, User: run.User, Started: run.Started,
		Status: http.StatusBadRequest, Answer: string(body),
	}
}
