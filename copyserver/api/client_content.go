package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// ReadContent calls take with the content of a volume as it arrives and
// returns take's error. It is not repeated once take was called.
func (c *Client) ReadContent(
	ctx context.Context, serial arrayclient.Serial, take func(*SparseReader) error,
) error {
	path, err := pathOf("/v1/volumes", string(serial), "content")
	if err != nil {
		return err
	}
	r := &request{
		method: http.MethodGet, path: path, repeat: safe, limit: c.opts.Timeout,
		take: func(server string, resp *http.Response, alive func()) error {
			if resp.StatusCode >= 300 {
				return c.readAnswer(server, resp, nil)
			}
			if resp.Header.Get("Content-Type") != SparseContentType {
				return notOurs(server, "its answer is not the content of a volume")
			}
			body := &arriving{ctx, resp.Request.Context(), server, resp.Body}
			in, err := NewSparseReader(&watched{body, alive}, fault.Server)
			if err != nil {
				return err
			}
			return take(in)
		},
	}
	return c.send(ctx, r)
}

// arriving gives the errors of a body that breaks off their kind and the
// name of the server.
type arriving struct {
	ctx     context.Context // the caller's
	attempt context.Context // ends also when the server is silent
	server  string
	body    io.Reader
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	case a.ctx.Err() != nil:
		return n, stopped(a.ctx, &request{method: http.MethodGet}, true)
	}
	err = causeOf(a.attempt, err)
	return n, fault.New(fault.Connection, "the connection to %s broke off: %s", a.server, reason(err))
}

// errNoTaker is what a sender's writes fail with when nobody reads on.
var errNoTaker = errors.New("the content is no longer wanted")

// WriteContent replaces the content of a volume with the sparse stream that
// fill writes; force does so under a host that has it attached. It is sent once: when the connection breaks or fill fails, the
// content of the volume is partly old and partly new. An error of fill's own
// is returned as it is. fill is called in a goroutine, which may outlast
// WriteContent while it waits for its source.
func (c *Client) WriteContent(
	ctx context.Context, serial arrayclient.Serial, force bool, fill func(w io.Writer) error,
) (Volume, error) {
	path, err := pathOf("/v1/volumes", string(serial), "content")
	if err != nil {
		return Volume{}, err
	}
	if force {
		path += "?force=true"
	}
	stream, failure := filled(fill)
	defer stream.CloseWithError(errNoTaker)
	var out Volume
	r := &request{
		method: http.MethodPut, path: path, repeat: never, limit: c.contentLimit(), stream: stream,
		abandon: func() { stream.CloseWithError(errNoTaker) },
		take: func(server string, resp *http.Response, _ func()) error {
			return c.readAnswer(server, resp, &out)
		},
	}
	err = c.send(ctx, r)
	if own := failure.Load(); own != nil {
		return Volume{}, *own
	}
	return out, err
}

// filled returns what fill writes. Its error is there before the stream ends
// with it.
func filled(fill func(w io.Writer) error) (*io.PipeReader, *atomic.Pointer[error]) {
	var failure atomic.Pointer[error]
	stream, w := io.Pipe()
	go func() {
		err := fill(w)
		if err != nil && !errors.Is(err, errNoTaker) {
			failure.Store(&err)
		}
		w.CloseWithError(err)
	}()
	return stream, &failure
}

// contentLimit is how long the server may be silent about content: at the end
// it makes all of it durable, which takes longer than an answer should.
func (c *Client) contentLimit() time.Duration { return 10 * c.opts.Timeout }
