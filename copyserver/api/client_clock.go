package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// A deadline is sent as the time that is left from a moment of the server's own
// clock: counted from its arrival, a request that was long on its way would be
// begun when nobody waits for it any more. The clock was read before the answer
// with its stamp came, so that the server never counts too much.

// stamp is what a server's clock showed not later than at.
type stamp struct {
	text string
	at   time.Time
}

const (
	// freshStamp is how long a stamp is good: clocks do not run alike.
	freshStamp = time.Minute
	// maxStamps is how often a request gets a new stamp.
	maxStamps = 3
)

// errStamp says that a server does not know the stamp of a request, which it has
// therefore not carried out.
var errStamp = errors.New("the server started again meanwhile")

func (c *Client) setClock(server string, resp *http.Response) {
	text := resp.Header.Get(ClockHeader)
	if text == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamps[server] = stamp{text, time.Now()}
}

func (c *Client) clockOf(server string) (stamp, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.stamps[server]
	return s, ok && time.Since(s.at) < freshStamp
}

// begin returns what tells server by when r is to be begun, "" for whenever.
// Where no stamp of its clock is at hand it asks for one.
func (c *Client) begin(ctx context.Context, server string, r *request) (string, error) {
	if ctx.Value(leavingContext{}) != nil {
		return "0", nil
	}
	deadline, ok := ctx.Deadline()
	if !ok || r.repeat != keyed {
		return "", nil
	}
	s, ok := c.clockOf(server)
	if !ok {
		if _, err := c.header(ctx, server); err != nil {
			return "", err
		}
		if s, ok = c.clockOf(server); !ok {
			return "", nil // a server that knows no such thing
		}
	}
	left := deadline.Sub(s.at).Milliseconds()
	return strconv.FormatInt(max(left, 0), 10) + " after " + s.text, nil
}

type leavingContext struct{}

// LeaveLine takes back a request for a run that had the key of ctx. It returns
// the run, if that has begun already; an error of kind Busy or TimedOut says that
// it never will.
func (c *Client) LeaveLine(ctx context.Context, task string, req RunRequest) (Run, error) {
	ctx = context.WithValue(ctx, patientContext{}, false)
	req.Line = 0
	return c.RunTask(context.WithValue(ctx, leavingContext{}, true), task, req)
}

// header returns the header of an answer to nothing in particular, in which no user
// is named.
func (c *Client) header(ctx context.Context, server string) (h http.Header, err error) {
	ask := &request{
		method: http.MethodGet, path: "/healthz", repeat: safe, limit: c.opts.Timeout, anonymous: true,
		take: func(_ string, resp *http.Response, _ func()) error {
			h = resp.Header
			return nil
		},
	}
	return h, notSent(c.try(ctx, server, ask, ""))
}

// notSent makes of a lost answer to another request that nothing was sent.
func notSent(err error) error {
	var gone *lost
	if errors.As(err, &gone) {
		return &unreachable{gone.server, gone.err}
	}
	return err
}
