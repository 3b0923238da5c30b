package api

import (
	"context"
	"net/http"
)

// Whether servers A and B are one server, which serves a state folder here or there,
// is to be known before B is told anything: the answers of another would be about
// other volumes.

// stranger says that server b is not of the same state folder as a.
type stranger struct{ a, b, how string }

func (e *stranger) Error() string { return e.b + " was not asked: it " + e.how + " " + e.a }

// same returns nil if b is the same server as a, or if nothing is known of a.
func (c *Client) same(ctx context.Context, a, b string) error {
	if id := c.idOf(a); id != "" {
		h, err := c.header(ctx, b)
		if err != nil {
			return err
		}
		switch h.Get(ServerHeader) {
		case id:
			return nil
		case "": // a server of before there was such a header
		default:
			return &stranger{a, b, "is another server than"}
		}
	}
	same, err := c.sameCertificate(ctx, a, b)
	if err == nil && !same {
		return &stranger{a, b, "has another certificate than"}
	}
	return err
}

// idOf returns the id that server had when it last answered; empty where it is not
// known or does not count.
func (c *Client) idOf(server string) string {
	if c.opts.KnownID == nil {
		return ""
	}
	c.mu.Lock()
	id := c.ids[server]
	c.mu.Unlock()
	if id == "" {
		id = c.opts.KnownID(server)
	}
	return id
}

// meet keeps the id of a server that answers.
func (c *Client) meet(server string, resp *http.Response) {
	id := resp.Header.Get(ServerHeader)
	c.mu.Lock()
	isNew := id != "" && id != c.ids[server]
	if isNew {
		c.ids[server] = id
	}
	c.mu.Unlock()
	if isNew && c.opts.Met != nil {
		c.opts.Met(server, id)
	}
}

// sameCertificate reports whether server b shows the certificate that a did, now
// or in the past. It connects to b anew. Of a server that was never seen it is
// not known.
func (c *Client) sameCertificate(ctx context.Context, a, b string) (bool, error) {
	conn, err := c.dialTLS(ctx, "tcp", b)
	if err != nil {
		return false, err
	}
	conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, ok := c.peers[a]
	if !ok && c.opts.Known != nil {
		seen, ok = c.opts.Known(a)
	}
	return !ok || seen == c.peers[b], nil
}
