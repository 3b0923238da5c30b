package nbd

import (
	"context"
	"crypto/tls"
	"sync"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// personal is a set of exports that notes who asks and hides from "stranger".
type personal struct {
	fixed
	mu    sync.Mutex
	peers []Peer
}

func (p *personal) note(peer Peer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers = append(p.peers, peer)
	return peer.Name != "stranger"
}

func (p *personal) last() Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peers[len(p.peers)-1]
}

func (p *personal) List(ctx context.Context, peer Peer) ([]ExportInfo, error) {
	if !p.note(peer) {
		return nil, nil
	}
	return p.fixed.List(ctx, peer)
}

func (p *personal) Open(
	ctx context.Context, peer Peer, name string,
) (arrayclient.VolumeIO, bool, error) {
	if !p.note(peer) {
		return nil, false, fault.New(fault.NotFound, "no volume %q", name)
	}
	return p.fixed.Open(ctx, peer, name)
}

// dialAs connects and starts TLS with a certificate for name.
func dialAs(t *testing.T, a *authority, s *Server, name string) (*client, Peer) {
	t.Helper()
	cert := a.issue(name)
	c := dial(t, s, flagFixedNewstyle)
	config := &tls.Config{
		RootCAs: a.pool, ServerName: "localhost", Certificates: []tls.Certificate{cert},
	}
	if err := c.upgrade(config); err != nil {
		t.Fatal(err)
	}
	return c, Peer{Name: name, Serial: cert.Leaf.SerialNumber.Text(16)}
}

func TestExportsKnowTheirClient(t *testing.T) {
	a := newAuthority(t)
	exports := &personal{fixed: one(newMemDevice(testSize))}
	s := startServer(t, Options{TLS: a.server()}, exports)
	c, peer := dialAs(t, a, s, "rich-w2k-os-1")
	if got := c.want(optList, nil, repAck); len(got) != 2 || exports.last() != peer {
		t.Errorf("%+v sees %d exports; the list was for %+v", peer, len(got)-1, exports.last())
	}
	c.want(optStructuredReply, nil, repAck)
	c.want(optSetMeta, metaData("20313698", contextAllocation), repAck)
	if exports.last() != peer {
		t.Errorf("the context was for %+v, want %+v", exports.last(), peer)
	}
	c.want(optGo, infoData("20313698"), repAck)
	if exports.last() != peer {
		t.Errorf("opened for %+v, want %+v", exports.last(), peer)
	}
	c, _ = dialAs(t, a, s, "stranger")
	if got := c.want(optList, nil, repAck); len(got) != 1 {
		t.Errorf("a stranger sees %d exports", len(got)-1)
	}
	for _, code := range []uint32{optInfo, optGo} {
		c.want(code, infoData("20313698"), repErrUnknown)
	}
	c.want(optAbort, nil, repAck)
}

func TestWithoutCertificateNobodyIsKnown(t *testing.T) {
	a := newAuthority(t)
	config := a.server()
	config.ClientAuth = tls.RequestClientCert
	for name, o := range map[string]Options{"no TLS": {}, "not verified": {TLS: config}} {
		exports := &personal{fixed: one(newMemDevice(testSize))}
		s := startServer(t, o, exports)
		var c *client
		if o.TLS == nil {
			c = dial(t, s, flagFixedNewstyle)
		} else {
			c, _ = dialAs(t, a, s, "anybody")
		}
		c.want(optGo, infoData("20313698"), repAck)
		if exports.last() != (Peer{}) {
			t.Errorf("%s: opened for %+v", name, exports.last())
		}
	}
}

// TestRecheckCutsOff those who may not go on, and leaves the others alone.
func TestRecheckCutsOff(t *testing.T) {
	a := newAuthority(t)
	d := newMemDevice(testSize)
	s := startServer(t, Options{TLS: a.server()}, one(d))
	good, _ := dialAs(t, a, s, "good")
	bad, badPeer := dialAs(t, a, s, "bad")
	early, _ := dialAs(t, a, s, "good")
	for _, c := range []*client{good, bad} {
		c.want(optGo, infoData("20313698"), repAck)
		if e := c.write(0, 0, pattern(512, 1)); e != errnoNone {
			t.Fatal(e)
		}
	}
	s.Recheck(func(peer Peer, export string, readOnly bool) bool {
		if export != "20313698" || readOnly {
			t.Errorf("asked about %s, read only %v", export, readOnly)
		}
		return peer != badPeer
	})
	bad.wantClosed()
	early.wantClosed()
	if e := good.write(0, 512, pattern(512, 2)); e != errnoNone {
		t.Errorf("a client that may go on: %v", e)
	}
	again, _ := dialAs(t, a, s, "bad")
	again.want(optList, nil, repAck)
}
