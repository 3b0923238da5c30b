package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
)

// forgetAfter is how long a key is known to have expired. A request that
// comes with it later still is taken for a new one.
const forgetAfter = 7 * api.KeyLifetime

var keyForm = regexp.MustCompile(`^[A-Za-z0-9-]{16,64}$`)

// idempotency is the key of a request, and what the request was.
type idempotency struct {
	key  string // empty: none was given
	hash string
}

// idempotency reads the key of a request. Its hash covers who asked for what:
// a key that leaks or is guessed is of no use to another user.
func (q *call) idempotency(body []byte) (idempotency, error) {
	key := q.Header.Get(api.KeyHeader)
	if key == "" {
		return idempotency{}, nil
	}
	if !keyForm.MatchString(key) {
		return idempotency{}, fault.New(fault.Usage, "%.80q is no idempotency key", key).
			WithHint("a key has 16 to 64 letters, digits and '-'")
	}
	h := sha256.New()
	for _, part := range []string{taskstore.Key(q.by.Name), q.Method, q.URL.Path, string(body)} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	return idempotency{key, hex.EncodeToString(h.Sum(nil))}, nil
}

// keyLocks makes requests with the same key wait for each other. The zero
// value is ready.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when given back
}

// lock takes key; unlock must be called. The empty key is nobody's.
func (k *keyLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	if key == "" {
		return func() {}, nil
	}
	for {
		other := k.take(key)
		if other == nil {
			return func() { k.give(key) }, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take returns nil, or what to wait for.
func (k *keyLocks) take(key string) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if other, ok := k.held[key]; ok {
		return other
	}
	if k.held == nil {
		k.held = map[string]chan struct{}{}
	}
	k.held[key] = make(chan struct{})
	return nil
}

func (k *keyLocks) give(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.held[key])
	delete(k.held, key)
}

// recall returns the answer to an earlier request with the same key. found is
// false for a key that is new. The caller has the key's lock.
func (s *API) recall(ctx context.Context, id idempotency) (a answer, found bool, err error) {
	if id.key == "" {
		return a, false, nil
	}
	if run, ok := s.core.Runner.ByKey(ctx, id.key); ok {
		err := id.sameAs(run.Body, run.Started)
		if err == nil && (run.State == taskstore.RunQueued || run.Untouched) {
			return a, false, nil // it has not been carried out yet
		}
		if err != nil {
			return a, true, err
		}
		return answer{status: http.StatusCreated, body: wireRun(run)}, true, nil
	}
	req, err := s.core.Store.Requests().Get(id.key)
	if fault.KindOf(err) == fault.NotFound {
		return a, false, nil
	}
	if err == nil {
		err = id.sameAs(req.Hash, req.Started)
	}
	if err == nil && req.Status == 0 {
		err = fault.New(fault.Server, "the server ended in the middle of this request").
			WithHint("look whether it was carried out, and send it anew if not")
	}
	return answer{status: req.Status, body: []byte(req.Answer)}, true, err
}

// sameAs refuses a key that was used for another request or too long ago.
func (id idempotency) sameAs(hash string, started time.Time) error {
	switch {
	case hash != id.hash:
		return fault.New(fault.Usage, "idempotency key %s was used for another request", id.key).
			WithHint("every request needs a key of its own")
	case time.Since(started) >= api.KeyLifetime:
		return fault.New(fault.Usage, "idempotency key %s has expired", id.key).
			WithHint("look whether the request was carried out, and send it with a new key if not")
	}
	return nil
}

// act is what a keyed request does to an array.
type act func(ctx context.Context) (answer, error)

// once answers a keyed request: from memory when it was there before, else by
// what prepare returns. An error of prepare's own leaves no trace; the answer
// of the act is kept, be it an error. The act goes on when the client leaves.
func (s *API) once(q *call, body []byte, prepare func() (act, error)) (answer, error) {
	id, err := q.idempotency(body)
	if err != nil {
		return answer{}, err
	}
	unlock, err := s.keys.lock(q.Context(), id.key)
	if err != nil {
		return answer{}, err
	}
	defer unlock()
	if a, found, err := s.recall(q.Context(), id); found || err != nil {
		return a, err
	}
	do, err := prepare()
	if err == nil {
		err = s.inTime(q)
	}
	if err != nil {
		return answer{}, err
	}
	ctx := context.WithoutCancel(q.Context())
	if id.key == "" {
		return do(ctx)
	}
	return s.record(ctx, q, id, do)
}

// record does what do says between two durable records: a server that ends
// in between knows afterwards that it does not know.
func (s *API) record(ctx context.Context, q *call, id idempotency, do act) (answer, error) {
	req := taskstore.Request{
		Key: id.key, Hash: id.hash, User: q.by.Name, Started: time.Now().UTC(),
	}
	err := s.core.Store.Requests().Create(req)
	if err != nil && q.frees && atomicfile.IsFull(err) {
		s.logger.Warn("done without a record of its key", "key", id.key, "error", err)
		return do(ctx)
	}
	if err != nil {
		return answer{}, err
	}
	a, err := do(ctx)
	if err != nil {
		q.w.err = err
		a = answer{status: statusOf(err), body: errorBody(err)}
	}
	a.body = encode(a.body)
	req.Status, req.Answer = a.status, string(a.body.([]byte))
	if err := s.core.Store.Requests().Put(req); err != nil {
		s.logger.Error("cannot record the answer to a request", "key", id.key, "error", err)
	}
	return a, nil
}

// ForgetRequests drops the records of keys that expired long ago.
func (s *API) ForgetRequests() error {
	all, err := s.core.Store.Requests().List()
	if err != nil {
		return err
	}
	for _, req := range all {
		if time.Since(req.Started) < forgetAfter {
			break // they are in the order of their beginning
		}
		if err := s.core.Store.Requests().Delete(req.Key); err != nil {
			return err
		}
	}
	return nil
}

// keepForgetting does so once a day while the server lives.
func (s *API) keepForgetting(ctx context.Context) {
	ticker := time.NewTicker(api.KeyLifetime)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := s.ForgetRequests(); err != nil {
				s.logger.Error("cannot drop records of old requests", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}
