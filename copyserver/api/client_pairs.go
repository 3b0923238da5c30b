package api

import (
	"context"
	"net/http"
	"net/url"

	"copyservices/arrayclient"
)

// Relationships returns the relationships in which one of the volumes takes
// part, all where none is named.
func (c *Client) Relationships(
	ctx context.Context, serials ...arrayclient.Serial,
) ([]Relationship, error) {
	var out []Relationship
	err := c.get(ctx, "/v1/relationships", serialQuery("volume", serials), &out)
	return out, err
}

// RelationshipsIn returns the relationships of the array with an id like 2105.13698.
func (c *Client) RelationshipsIn(ctx context.Context, array string) ([]Relationship, error) {
	var out []Relationship
	err := c.get(ctx, "/v1/relationships", url.Values{"array": {array}}, &out)
	return out, err
}

// Establish establishes pairs without a stored task, all or none.
func (c *Client) Establish(ctx context.Context, req EstablishRequest) (PairsResult, error) {
	var out PairsResult
	q := call{method: http.MethodPost, path: "/v1/relationships", repeat: keyed, in: req, out: &out}
	err := c.do(ctx, q)
	return out, err
}

// Withdraw ends the relationships of pairs, all or none.
func (c *Client) Withdraw(ctx context.Context, req PairsRequest) (PairsResult, error) {
	return c.onPairs(ctx, "withdraw", req)
}

// Resync copies the recorded tracks of pairs again, all or none.
func (c *Client) Resync(ctx context.Context, req PairsRequest) (PairsResult, error) {
	return c.onPairs(ctx, "resync", req)
}

// Reverse copies the recorded tracks of pairs back, all or none. The pairs are named as
// they stand before.
func (c *Client) Reverse(ctx context.Context, req PairsRequest) (PairsResult, error) {
	return c.onPairs(ctx, "reverse", req)
}

// BackgroundCopy starts to copy pairs that were established without it, all or none.
func (c *Client) BackgroundCopy(ctx context.Context, req PairsRequest) (PairsResult, error) {
	return c.onPairs(ctx, "background-copy", req)
}

// ConsistencyCreated releases the writes that the freeze of pairs holds, all or none.
func (c *Client) ConsistencyCreated(
	ctx context.Context, req PairsRequest,
) (PairsResult, error) {
	return c.onPairs(ctx, "consistency-created", req)
}

// SetCopyRate bounds the background copies of pairs, all or none.
func (c *Client) SetCopyRate(ctx context.Context, req CopyRateRequest) (PairsResult, error) {
	return c.onPairs(ctx, "copy-rate", req)
}

// onPairs does what the last part of the path says.
func (c *Client) onPairs(ctx context.Context, act string, req any) (PairsResult, error) {
	var out PairsResult
	path := "/v1/relationships/" + act
	err := c.do(ctx, call{method: http.MethodPost, path: path, repeat: keyed, in: req, out: &out})
	return out, err
}
