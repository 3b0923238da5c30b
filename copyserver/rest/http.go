package rest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/access"
	"copyservices/copyserver/api"
	"copyservices/copyserver/core"
	"copyservices/copyserver/runner"
	"copyservices/export/quota"
	"copyservices/taskstore"
)

const (
	// bodyTimeout is how long a client may take to send a JSON body, and to
	// take an answer.
	bodyTimeout = 30 * time.Second
	// streamTimeout is how long the content of a volume may stand still.
	streamTimeout = 2 * time.Minute
)

// public is the act of a route that needs no user.
var public core.Act

// route is one path and method of the API.
type route struct {
	pattern string   // of http.ServeMux
	act     core.Act // public: no user is needed
	handle  func(*API, *call) (answer, error)
}

// call is one request. It is for one goroutine.
type call struct {
	*http.Request
	w       *responseWriter
	control *http.ResponseController
	by      core.Caller
	arrived time.Time      // its head
	account *quota.Account // nil for a stranger
	taken   int64          // of account
	// frees: it makes way for more space, and done twice does no harm, so a
	// full disk that cannot take its key is no reason not to do it.
	frees bool
}

// answer is what a handler returns. A nil body is an empty answer, []byte is
// encoded already; streamed says that the handler has answered itself.
type answer struct {
	status   int
	body     any
	kind     string // media type of the body; empty: JSON
	streamed bool
}

func ok(body any) (answer, error)      { return answer{status: http.StatusOK, body: body}, nil }
func created(body any) (answer, error) { return answer{status: http.StatusCreated, body: body}, nil }
func done() (answer, error)            { return answer{status: http.StatusNoContent}, nil }

// handler returns the whole API.
func (s *API) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes() {
		mux.Handle(r.pattern, s.endpoint(r))
	}
	// Browsers send passwords they know with requests of other pages.
	sameOrigin := http.NewCrossOriginProtection()
	return s.observed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			r = s.withBody(w, r)
		}
		if err := sameOrigin.Check(r); err != nil {
			err = fault.New(fault.Denied, "a request of another origin: %w", core.ErrForbidden)
			s.answering(w, r, func() { writeError(w, err) })
			return
		}
		if _, pattern := mux.Handler(r); pattern == "" {
			s.answering(w, r, func() { s.unrouted(mux, w, r) })
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// unrouted answers a path that is not there, or not with that method.
func (s *API) unrouted(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var methods []string
	for _, m := range []string{"GET", "PUT", "POST", "PATCH", "DELETE"} {
		other := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := mux.Handler(other); pattern != "" {
			methods = append(methods, m)
		}
	}
	if methods == nil {
		writeError(w, fault.New(fault.NotFound, "no such path: %.200q", r.URL.Path).
			WithHint("/v1/openapi.yaml has the paths; is the client of another version?"))
		return
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	writeStatus(w, http.StatusMethodNotAllowed,
		fault.New(fault.Usage, "%.20q is no method of this path", r.Method).
			WithHint("it has %s", strings.Join(methods, ", ")))
}

// endpoint serves one route: first who is asking, then the rest. The read
// deadline bounds a body that trickles in; whoever reads the body to its end
// lifts it, since it would also end a long poll. The write deadline begins
// with the answer.
func (s *API) endpoint(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := w.(*responseWriter)
		q := &call{Request: r, w: rw, control: http.NewResponseController(w), arrived: rw.arrived}
		defer q.leave()
		var a answer
		err := s.admit(rt, q)
		if err == nil {
			a, err = rt.handle(s, q)
		}
		s.answering(w, r, func() {
			switch {
			case err != nil:
				rw.err = err
				writeError(w, err)
			case !a.streamed:
				rw.err = q.writeAnswer(a)
			}
		})
	})
}

// admit finds out who asks and whether they may.
func (s *API) admit(rt route, q *call) error {
	if rt.act == public {
		return nil
	}
	name, password, given := q.BasicAuth()
	if !given {
		return fault.New(fault.Denied, "no user and password were given").
			WithHint("give them with --user and --password-file")
	}
	q.w.user = name
	user, err := s.login(q, name, password)
	if err != nil {
		q.w.stranger = true
		return err
	}
	if err := q.serve(s.clients); err != nil {
		return err
	}
	q.by = core.Caller{Name: user.Name, Role: user.Role, DefaultPassword: user.DefaultPassword}
	q.w.user = user.Name
	return q.by.May(rt.act)
}

// login knows the user by the password. A server that stops ends the waiting of a
// try for its turn, which may be far off.
func (s *API) login(q *call, name, password string) (taskstore.User, error) {
	ctx, cancel := context.WithCancel(q.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	user, err := s.auth.Login(ctx, name, password, remoteAddr(q.Request))
	if errors.Is(err, context.Canceled) && s.stopping.Err() != nil {
		err = fault.New(fault.Server, "%w", runner.ErrStopping)
	}
	return user, err
}

func remoteAddr(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // which no rule takes for the loopback
	}
	return a.Addr()
}

// observed logs every request and turns a panic into an answer: one request
// that the server cannot take must not end the others, nor the arrays' work.
func (s *API) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := &responseWriter{ResponseWriter: w, clock: &s.clock, arrived: time.Now()}
		id := requestID()
		rw.Header().Set("X-Request-Id", id)
		rw.Header().Set(api.ServerHeader, s.server.ID)
		defer func() {
			if p := recover(); p != nil {
				s.panicked(rw, id, p)
			}
			s.logRequest(rw, r, id, time.Since(rw.arrived))
			if rw.cut {
				panic(http.ErrAbortHandler) // closes the connection
			}
		}()
		next.ServeHTTP(rw, r)
	})
}

func (s *API) panicked(w *responseWriter, id string, p any) {
	s.logger.Error("panic in a request", "id", id, "panic", p, "stack", string(debug.Stack()))
	if w.status != 0 {
		w.cut = true
		return
	}
	writeError(w, fault.New(fault.Server, "the server failed in this request").
		WithHint("its log has more under the id %s", id))
}

func (s *API) logRequest(w *responseWriter, r *http.Request, id string, took time.Duration) {
	attrs := []any{
		"id", id, "method", r.Method, "path", r.URL.Path, "user", firstBytes(w.user, maxLoggedName),
		"remote", r.RemoteAddr, "status", w.status, "duration", took,
	}
	if w.err != nil {
		attrs = append(attrs, "error", w.err)
	}
	level, text := logLine(w, r)
	s.logger.Log(r.Context(), level, text, attrs...)
}

// logLine tells what changes something, or should have, from what only reads.
func logLine(w *responseWriter, r *http.Request) (slog.Level, string) {
	switch {
	case w.stranger:
		return slog.LevelWarn, "login failed"
	case w.status >= http.StatusInternalServerError:
		return slog.LevelError, "request failed"
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return slog.LevelDebug, "read"
	}
	return slog.LevelInfo, "request"
}

// maxLoggedName is how much of a name that a stranger gives is logged.
const maxLoggedName = 100

func firstBytes(s string, n int) string { return s[:min(len(s), n)] }

func requestID() string {
	var b [6]byte
	rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}

// responseWriter remembers what the log wants to know.
type responseWriter struct {
	http.ResponseWriter
	status int // 0 before the answer
	user   string
	err    error
	cut    bool // the answer broke off: the client must not take it for whole
	// stranger: user is what somebody claims to be, and is not.
	stranger bool

	clock   *clock
	arrived time.Time
}

// WriteHeader notes the status, and stamps the answer.
func (w *responseWriter) WriteHeader(status int) {
	w.status = status
	w.Header().Set(api.ClockHeader, w.clock.stamp())
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the status of an answer that begins without one.
func (w *responseWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// statusOf is the HTTP status for a failure. Clients go by the kind in the
// body; the status is for proxies and people.
func statusOf(err error) int {
	var tooMany *access.TooMany
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooMany):
		return http.StatusTooManyRequests
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errCrowded):
		return http.StatusServiceUnavailable
	case errors.Is(err, core.ErrForbidden):
		return http.StatusForbidden
	case errors.Is(err, errRange):
		return http.StatusRequestedRangeNotSatisfiable
	case errors.Is(err, fault.ErrExists):
		return http.StatusConflict
	case errors.Is(err, runner.ErrStopping):
		return http.StatusServiceUnavailable
	case errors.As(err, new(errStamp)):
		return http.StatusPreconditionFailed
	}
	switch fault.KindOf(err) {
	case fault.Usage:
		return http.StatusBadRequest
	case fault.Denied:
		return http.StatusUnauthorized
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Busy:
		return http.StatusConflict
	case fault.Refused:
		return http.StatusUnprocessableEntity
	case fault.TimedOut:
		return http.StatusGatewayTimeout
	case fault.Connection:
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

func writeError(w http.ResponseWriter, err error) {
	var tooMany *access.TooMany
	if errors.As(err, &tooMany) {
		seconds := int(tooMany.RetryAfter.Seconds()) + 1
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	writeStatus(w, statusOf(err), err)
}

func writeStatus(w http.ResponseWriter, status int, err error) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Copy Services", charset="UTF-8"`)
	}
	if status == http.StatusRequestEntityTooLarge {
		w.Header().Set("Connection", "close")
	}
	writeAnswer(w, answer{status: status, body: errorBody(err)})
}
