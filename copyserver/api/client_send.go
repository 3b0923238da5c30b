package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"

	"copyservices/arrayclient/fault"
)

// repeat says what may be done when the answer to a request was lost.
type repeat int

const (
	never repeat = iota // it could be done twice
	safe                // doing it twice is doing it once
	keyed               // the server knows it again by its key
)

// request is one logical call.
type request struct {
	method string
	path   string // with the query
	repeat repeat
	key    string
	body   []byte    // JSON; nil for none
	stream io.Reader // content instead of body; it is sent once only
	// abandon makes reads of stream fail: the transport waits for them even
	// when the connection is gone. It may be called more than once.
	abandon func()
	limit   time.Duration
	// anonymous: without user and password.
	anonymous bool
	// take reads the answer. What it returns is final, unless it is a *lost.
	// It owns resp.Body; alive is to be called whenever data arrives.
	take func(server string, resp *http.Response, alive func()) error
}

// lost says that a request was or may have been sent and no whole answer
// came.
type lost struct {
	server string
	err    error
}

func (e *lost) Error() string { return e.server + ": " + reason(e.err) }
func (e *lost) Unwrap() error { return e.err }

// patience is the pause between two rounds in which no server answered.
const patience = 200 * time.Millisecond

// send carries r to the first server that answers it.
func (c *Client) send(ctx context.Context, r *request) error {
	sent, waiting := false, false
	for {
		failures, gone, err := c.round(ctx, r, sent)
		sent = sent || gone
		switch {
		case failures == nil:
			if waiting {
				c.warn(c.Answered() + " answers again")
			}
			return err
		case ctx.Err() != nil:
			return stopped(ctx, r, sent)
		case !c.waits(ctx, r, sent):
			return noAnswer(c.opts, r, failures, sent)
		}
		if !waiting {
			c.warn("no answer from " + textOf(failures) + "; asking on")
		}
		waiting = true
		if pause(ctx, patience) != nil {
			return stopped(ctx, r, sent)
		}
	}
}

// waits reports whether r is to be sent again when no server has answered it.
func (c *Client) waits(ctx context.Context, r *request, sent bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := r.stream == nil && (r.repeat != never || !sent)
	return isPatient(ctx) && again && (sent || c.reached)
}

// round asks each server once. Without failures one of them has answered, and
// err is what it said.
func (c *Client) round(
	ctx context.Context, r *request, before bool,
) (failures []error, sent bool, err error) {
	sent = before
	servers := c.order()
	for i, server := range servers {
		if i > 0 {
			err := c.moveOn(ctx, r, servers[i-1], server, sent)
			if final := new(fault.Error); errors.As(err, &final) && !sent && !isPatient(ctx) {
				return nil, sent, final // of a certificate that is not trusted
			}
			if err != nil {
				return append(failures, err), sent, nil
			}
		}
		gone, err := c.persist(ctx, r, server, sent)
		sent = sent || gone
		if !isSilence(err) {
			if i > 0 {
				c.warn(server + " answers in place of " + failures[i-1].Error())
			}
			c.answered(server)
			return nil, sent, err
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return failures, sent, nil
}

// moveOn returns nil if r may go to server b after a did not answer it.
func (c *Client) moveOn(ctx context.Context, r *request, a, b string, sent bool) error {
	if sent && (r.repeat == never || r.stream != nil) {
		return fmt.Errorf("%s was not asked: the request could be carried out twice", b)
	}
	return c.same(ctx, a, b)
}

// persist sends r to one server, again where that is allowed. sent reports
// whether any of it may have arrived, there or before.
func (c *Client) persist(
	ctx context.Context, r *request, server string, before bool,
) (sent bool, err error) {
	sent = before
	end := time.Now().Add(2 * r.limit)
	for try := 0; ; try++ {
		err = c.attempt(ctx, server, r)
		var away *lost
		if errors.As(err, &away) {
			sent = true
		}
		switch {
		case !isSilence(err):
			return sent, repeated(r, err, sent)
		case !sent || ctx.Err() != nil || try >= c.tries(r) || time.Now().After(end) || isPatient(ctx):
			return sent, err
		}
		c.note("asking again: " + err.Error())
		if pause(ctx, c.backoff[try]) != nil {
			return sent, err
		}
	}
}

// tries is how often r may be sent again to one server.
func (c *Client) tries(r *request) int {
	switch {
	case r.stream != nil || r.repeat == never:
		return 0
	case r.repeat == safe:
		return min(1, len(c.backoff))
	}
	return len(c.backoff)
}

// repeated is the outcome of r when the server answered err: a deletion that
// was perhaps done before its answer was lost has nothing left to find.
func repeated(r *request, err error, sent bool) error {
	if sent && r.method == http.MethodDelete && fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// attempt sends r, again with a new stamp of the server's clock where the one it
// had is of an earlier process. It returns what try does.
func (c *Client) attempt(ctx context.Context, server string, r *request) error {
	for n := 0; ; n++ {
		begin, err := c.begin(ctx, server, r)
		if err == nil {
			err = c.try(ctx, server, r, begin)
		}
		if n == maxStamps || !errors.Is(err, errStamp) {
			return err
		}
	}
}

// try sends r once. It returns *unreachable, *lost, or what is final.
func (c *Client) try(
	caller context.Context, server string, r *request, begin string,
) error {
	ctx, cancel := context.WithCancelCause(caller)
	defer cancel(nil)
	timer := time.AfterFunc(time.Hour, func() { cancel(errSilent) })
	timer.Stop()
	defer timer.Stop()
	alive := func() { timer.Reset(r.limit) }
	if r.stream != nil {
		r.stream = &source{r.stream, func() { timer.Stop() }, alive}
		defer context.AfterFunc(ctx, r.abandon)()
	}

	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			connected.Store(true)
			alive()
			if conn, ok := info.Conn.(*closing); ok && r.stream != nil {
				conn.then.Store(&r.abandon)
			}
		},
	})
	req, err := c.build(ctx, server, r)
	if err != nil {
		return err
	}
	if begin != "" {
		req.Header.Set(BeginHeader, begin)
	}
	resp, err := c.roundTrip(req)
	if err != nil {
		return classify(ctx, server, err, connected.Load())
	}
	defer resp.Body.Close()
	if ctx.Err() != nil {
		// The server sees that the connection ends before the connection does, and
		// may use the moment for an answer to nobody.
		return &lost{server, context.Cause(ctx)}
	}
	alive()
	c.setClock(server, resp)
	if !r.anonymous {
		c.meet(server, resp)
	}
	err = r.take(server, resp, alive)
	if err != nil && ctx.Err() != nil {
		return &lost{server, context.Cause(ctx)}
	}
	return err
}

func (c *Client) build(ctx context.Context, server string, r *request) (*http.Request, error) {
	var body io.Reader
	kind := "application/json"
	switch {
	case r.stream != nil:
		body, kind = r.stream, SparseContentType
	case r.body != nil:
		body = bytes.NewReader(r.body)
	}
	// In a URL the zone of an IPv6 address stands behind an escaped "%" (RFC 6874).
	address := "https://" + strings.ReplaceAll(server, "%", "%25") + r.path
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, fault.New(fault.Usage, "%q is not the address of a server", server).
			WithHint("an address is HOST or HOST:PORT")
	}
	if !r.anonymous {
		req.SetBasicAuth(c.opts.User, c.password())
	}
	req.Header.Set("User-Agent", c.opts.UserAgent)
	req.Header.Set("Accept", "application/json, "+SparseContentType)
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	if r.repeat == keyed {
		req.Header.Set(KeyHeader, r.key)
	}
	if r.stream != nil {
		// A server that refuses then says so before the content is on its way.
		req.Header.Set("Expect", "100-continue")
	}
	return req, nil
}

// source is content on its way out: while it is waited for, the server may be
// silent.
type source struct {
	io.Reader
	pause func()
	alive func()
}

func (s *source) Read(p []byte) (int, error) {
	s.pause()
	defer s.alive()
	return s.Reader.Read(p)
}

// watched is content on its way in: every read tells alive.
type watched struct {
	io.Reader
	alive func()
}

func (w *watched) Read(p []byte) (int, error) {
	w.alive()
	return w.Reader.Read(p)
}
