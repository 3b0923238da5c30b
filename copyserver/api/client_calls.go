package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore"
)

// MaxWait is the longest time that one long poll lasts.
const MaxWait = taskstore.MaxWait

// call is a request with JSON on both ways. out is nil where no content is
// expected.
type call struct {
	method string
	path   string
	query  url.Values
	repeat repeat
	wait   time.Duration // how long the server may let us wait on purpose
	in     any
	out    any
	header func(http.Header) // is called with that of a good answer; may be nil
}

func (c *Client) do(ctx context.Context, q call) error {
	r := &request{
		method: q.method, path: q.path, repeat: q.repeat, limit: c.opts.Timeout + q.wait,
		take: func(server string, resp *http.Response, _ func()) error {
			err := c.readAnswer(server, resp, q.out)
			if err == nil && q.header != nil {
				q.header(resp.Header)
			}
			if err == nil && c.opts.Missing != nil {
				for _, text := range resp.Header.Values(WarningHeader) {
					c.opts.Missing(text)
				}
			}
			return err
		},
	}
	if len(q.query) > 0 {
		r.path += "?" + q.query.Encode()
	}
	if q.in != nil {
		body, err := encode(q.in)
		if err != nil {
			return err
		}
		r.body = body
	}
	if q.repeat == keyed {
		r.key = keyOf(ctx)
	}
	return c.send(ctx, r)
}

// encode returns the JSON of in. Text that is not UTF-8 is refused: JSON would
// hold another text in its place, be it a password.
func encode(in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fault.New(fault.Failed, "the request cannot be written: %w", err)
	}
	// A whole U+FFFD is written as it is; the escape stands for wrong bytes.
	if bytes.Contains(bytes.ReplaceAll(body, []byte(`\\`), nil), []byte(`\ufffd`)) {
		return nil, fault.New(fault.Usage, "a name, a password or another text is not UTF-8").
			WithHint("does the terminal or the file have another encoding?")
	}
	return body, nil
}

func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.do(ctx, call{method: http.MethodGet, path: path, query: query, repeat: safe, out: out})
}

func (c *Client) delete(ctx context.Context, path string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path, repeat: safe})
}

// readAnswer decodes an answer into out, which may be nil. An answer that
// ends early is *lost, as is that of a proxy whose server is away.
func (c *Client) readAnswer(server string, resp *http.Response, out any) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.maxAnswer+1))
	switch {
	case err != nil:
		return &lost{server, err}
	case int64(len(body)) > c.maxAnswer:
		return fault.New(fault.Server, "the answer of %s is longer than %d MiB",
			server, c.maxAnswer>>20)
	case resp.StatusCode >= 300:
		return answerError(server, resp, body)
	case out == nil:
		return nil
	case len(body) == 0:
		return &lost{server, errEmpty}
	case !isJSON(resp):
		return notOurs(server, "its answer is not JSON")
	}
	if err := json.Unmarshal(body, out); err != nil {
		if isCut(body) {
			return &lost{server, errCut}
		}
		return fault.New(fault.Server, "the answer of %s cannot be understood: %w", server, err).
			WithHint("this command and the server may be of different versions")
	}
	return nil
}

// isCut reports whether body is the beginning of a JSON value.
func isCut(body []byte) bool {
	err := json.NewDecoder(bytes.NewReader(body)).Decode(new(json.RawMessage))
	return errors.Is(err, io.ErrUnexpectedEOF)
}

func isJSON(resp *http.Response) bool {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return strings.TrimSpace(kind) == "application/json"
}

// maxName is far more than any name has, in bytes, and few enough for a server
// to take it and answer that there is no such thing.
const maxName = 1024

// pathOf joins base and the names below it, escaped. The error of kind Usage
// is for a name that no path can carry.
func pathOf(base string, names ...string) (string, error) {
	for _, name := range names {
		if name == "" || name == "." || name == ".." || len(name) > maxName {
			return "", fault.New(fault.Usage, "%.80q is not a name", name)
		}
		base += "/" + url.PathEscape(name)
	}
	return base, nil
}

// one gets, puts or deletes the thing of that name.
func (c *Client) one(ctx context.Context, method, base, name string, in, out any) error {
	path, err := pathOf(base, name)
	if err != nil {
		return err
	}
	return c.do(ctx, call{method: method, path: path, repeat: safe, in: in, out: out})
}

// poll is a GET that the server may let wait, MaxWait at most.
func (c *Client) poll(ctx context.Context, path string, wait time.Duration, out any) error {
	wait = min(max(wait, 0), MaxWait)
	q := call{method: http.MethodGet, path: path, repeat: safe, wait: wait, out: out}
	if wait > 0 {
		seconds := int64((wait + time.Second - 1) / time.Second)
		q.query = url.Values{"wait": {strconv.FormatInt(seconds, 10)}}
	}
	return c.do(ctx, q)
}
