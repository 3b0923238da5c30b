package nbd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
)

// gate is a hook that holds operations of one kind until it is opened.
type gate struct {
	op      string
	entered chan struct{}
	open    chan struct{}
}

func newGate(op string) *gate {
	return &gate{op, make(chan struct{}, 1000), make(chan struct{})}
}

func (g *gate) hook(op string, _, _ int64) error {
	if op == g.op {
		g.entered <- struct{}{}
		<-g.open
	}
	return nil
}

func TestListenIsRefusedForStrangers(t *testing.T) {
	for _, listen := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		_, err := New(Options{Listen: listen}, one(newMemDevice(4096)))
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "--nbd-insecure") {
			t.Errorf("%s: %v (hint %q)", listen, err, fault.HintOf(err))
		}
		s, err := New(Options{Listen: listen, Insecure: true}, one(newMemDevice(4096)))
		if err != nil {
			t.Errorf("%s, insecure: %v", listen, err)
			continue
		}
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestBadOptionsAreUsage(t *testing.T) {
	for _, o := range []Options{
		{Listen: "nonsense"}, {Listen: "127.0.0.1:99999"}, {Listen: "127.0.0.1:0", MaxConns: -1},
		{Listen: "127.0.0.1:0", MaxInFlight: -1}, {Listen: "127.0.0.1:0", HandshakeTimeout: -1},
	} {
		if _, err := New(o, one(newMemDevice(4096))); fault.KindOf(err) != fault.Usage {
			t.Errorf("%+v: %v", o, err)
		}
	}
	s := startServer(t, Options{}, one(newMemDevice(4096)))
	_, err := New(Options{Listen: s.Addr().String()}, one(newMemDevice(4096)))
	if fault.KindOf(err) != fault.Failed || fault.HintOf(err) == "" {
		t.Errorf("address in use: %v", err)
	}
}

func TestStopLetsRequestsEnd(t *testing.T) {
	d, g := newMemDevice(testSize), newGate("write")
	d.hook = g.hook
	s := startServer(t, Options{}, one(d))
	c := connect(t, s, false)
	idle := connect(t, s, false)
	c.send(requestBytes(cmdWrite, 0, 7, 0, 4, []byte("data")))
	<-g.entered
	stopped := make(chan error)
	for range 2 {
		go func() { stopped <- s.Stop(context.Background()) }()
	}
	idle.wantClosed()
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("a stopping server takes clients")
	}
	close(g.open)
	c.wantSimple(7, errnoNone)
	c.wantClosed()
	for range 2 {
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
	if got := d.at(0, 4); string(got) != "data" || d.closes.Load() < 2 {
		t.Errorf("volume holds %q, closed %d times", got, d.closes.Load())
	}
}

func TestStopIsBounded(t *testing.T) {
	d, g := newMemDevice(testSize), newGate("read")
	d.hook = g.hook
	s := startServer(t, Options{}, one(d))
	c := connect(t, s, false)
	c.request(cmdRead, 0, 0, 512)
	<-g.entered
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); fault.KindOf(err) != fault.TimedOut || !errors.Is(err, ctx.Err()) {
		t.Errorf("stop: %v", err)
	}
	c.wantClosed()
	close(g.open)
}

// TestStopCutsOffADeafClient has a client that takes no replies.
func TestStopCutsOffADeafClient(t *testing.T) {
	s := startServer(t, Options{}, one(newMemDevice(8<<20)))
	c := connect(t, s, false)
	for range 20 {
		c.request(cmdRead, 0, 0, 8<<20)
	}
	c.recv(headerSimple)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); fault.KindOf(err) != fault.TimedOut {
		t.Errorf("stop: %v", err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Errorf("second stop: %v", err)
	}
}

// TestStopDoesNotWaitForADeafClient: what is missing is the client's doing alone.
func TestStopDoesNotWaitForADeafClient(t *testing.T) {
	s := startServer(t, Options{}, one(newMemDevice(8<<20)))
	for _, structured := range []bool{false, true} {
		c := connect(t, s, structured)
		for range 20 {
			c.request(cmdRead, 0, 0, 8<<20)
		}
		c.recv(headerSimple)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestSlowRequestsStallNobody(t *testing.T) {
	for _, op := range []string{"read", "write", "flush", "zero"} {
		t.Run(op, func(t *testing.T) {
			d, g := newMemDevice(testSize), newGate(op)
			d.hook = g.hook
			c := connect(t, startServer(t, Options{}, one(d)), false)
			slow := map[string]uint16{
				"read": cmdRead, "write": cmdWrite, "flush": cmdFlush, "zero": cmdTrim,
			}[op]
			n := uint32(512)
			if slow == cmdFlush {
				n = 0
			}
			var payload []byte
			if slow == cmdWrite {
				payload = make([]byte, n)
			}
			const held = 5
			for i := range uint64(held) {
				c.send(requestBytes(slow, 0, 1000+i, 0, n, payload))
			}
			for range 100 {
				other := c.request(cmdBlockStatus, 0, 0, 512)
				c.wantSimple(other, errnoInvalid)
			}
			for range held {
				<-g.entered
			}
			close(g.open)
			for range held {
				if cookie, e := c.simple(); cookie < 1000 || e != errnoNone {
					t.Errorf("reply %d to %d", e, cookie)
				}
				if slow == cmdRead {
					c.recv(512)
				}
			}
		})
	}
}

func TestInFlightIsLimited(t *testing.T) {
	d, g := newMemDevice(testSize), newGate("flush")
	d.hook = g.hook
	c := connect(t, startServer(t, Options{MaxInFlight: 3}, one(d)), false)
	for range 50 {
		c.request(cmdFlush, 0, 0, 0)
	}
	time.Sleep(50 * time.Millisecond)
	// The reader itself may be at one more, and one may have lost its turn.
	if n := len(g.entered); n < 3 || n > 5 {
		t.Errorf("%d requests at a time", n)
	}
	close(g.open)
	for range 50 {
		c.simple()
	}
}

func TestDisconnectMidRequest(t *testing.T) {
	d := newMemDevice(testSize)
	s := startServer(t, Options{}, one(d))
	whole := requestBytes(cmdWrite, 0, 1, 0, 1<<20, pattern(1<<20, 1))
	for _, n := range []int{1, headerRequest - 1, headerRequest, headerRequest + 1, 4096, 1 << 20} {
		c := connect(t, s, false)
		c.send(whole[:n])
		c.nc.Close()
	}
	for range 20 {
		c := connect(t, s, true)
		c.request(cmdRead, 0, 0, testSize)
		c.recv(headerChunk)
		c.nc.Close()
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.at(0, testSize), make([]byte, testSize)) {
		t.Error("half a write was carried out")
	}
	if got, want := d.closes.Load(), int32(6+20+20); got != want {
		t.Errorf("volume closed %d times, want %d", got, want)
	}
}

// TestResetWhileReplying has clients that vanish while replies of both the
// reader and the workers are on their way.
func TestResetWhileReplying(t *testing.T) {
	d := newMemDevice(testSize)
	s := startServer(t, Options{}, one(d))
	for i := range 60 {
		c := connect(t, s, false)
		for range 1 + i%9 {
			c.request(cmdRead, 0, 0, testSize)
			c.request(cmdRead, 0, 0, 4096)
		}
		if err := c.nc.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 200 * time.Microsecond)
		c.nc.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestHalfClose has a client that sends all its requests and then no more.
func TestHalfClose(t *testing.T) {
	c := connect(t, startServer(t, Options{}, one(newMemDevice(testSize))), false)
	for range 10 {
		c.request(cmdRead, 0, 0, 100)
	}
	if err := c.nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c.nc)
	if want := 10 * (headerSimple + 100); err != nil || len(all) != want {
		t.Errorf("%d bytes of replies, want %d (%v)", len(all), want, err)
	}
}

func TestDisconnectCommandWaitsForRequests(t *testing.T) {
	d, g := newMemDevice(testSize), newGate("write")
	d.hook = g.hook
	c := connect(t, startServer(t, Options{}, one(d)), false)
	c.send(requestBytes(cmdWrite, 0, 1, 0, 4, []byte("data")))
	<-g.entered
	c.request(cmdDisconnect, 0, 0, 0)
	time.AfterFunc(20*time.Millisecond, func() { close(g.open) })
	c.wantSimple(1, errnoNone)
	c.wantClosed()
}

func TestConnectionsAreLimited(t *testing.T) {
	s := startServer(t, Options{MaxConns: 2}, one(newMemDevice(testSize)))
	a, _ := connect(t, s, false), connect(t, s, false)
	third := dial(t, s, flagFixedNewstyle)
	third.want(optInfo, infoData("20313698"), repAck)
	refusal := third.want(optGo, infoData("20313698"), repErrPolicy)
	if text := string(refusal[0].data); !strings.Contains(text, "too many connections") {
		t.Errorf("a third client is refused with %q", text)
	}
	old := dial(t, s, flagFixedNewstyle)
	old.send(optionBytes(optExportName, []byte("20313698")))
	old.wantClosed()
	a.request(cmdDisconnect, 0, 0, 0)
	a.wantClosed()
	third.want(optGo, infoData("20313698"), repAck)
}

// TestManyRequestsAtOnce mixes all commands on connections with many requests
// on their way.
func TestManyRequestsAtOnce(t *testing.T) {
	d := newMemDevice(testSize)
	s := startServer(t, Options{MaxInFlight: 4}, one(d))
	for range 3 {
		c := connect(t, s, true)
		const rounds = 40
		go func() {
			var p []byte
			for i := range uint64(rounds) {
				off := i * 4096 % testSize
				p = append(p, requestBytes(cmdRead, cmdFlagDF, i<<8, off, 4096, nil)...)
				p = append(p, requestBytes(cmdWrite, 0, i<<8|1, off, 16, make([]byte, 16))...)
				p = append(p, requestBytes(cmdFlush, 0, i<<8|2, 0, 0, nil)...)
				p = append(p, requestBytes(cmdRead, cmdFlagDF, i<<8|3, 0, 1<<20, nil)...)
				p = append(p, requestBytes(cmdWriteZeroes, 0, i<<8|4, off, 4096, nil)...)
			}
			_, _ = c.nc.Write(p)
		}()
		seen := map[uint64]bool{}
		for range 5 * rounds {
			cookie := c.anyReply()
			if seen[cookie] || cookie>>8 >= rounds {
				t.Fatalf("reply to %#x again", cookie)
			}
			seen[cookie] = true
		}
	}
}

// anyReply reads a successful reply of either sort that is in one piece.
func (c *client) anyReply() uint64 {
	c.t.Helper()
	head := c.recv(headerSimple)
	if head[0] == magicSimple>>24 {
		if e := errno(binary.BigEndian.Uint32(head[4:])); e != errnoNone {
			c.t.Fatalf("error %d", e)
		}
		return binary.BigEndian.Uint64(head[8:])
	}
	rest := c.recv(headerChunk - headerSimple)
	if head[7] != chunkData {
		c.t.Fatalf("chunk %x", head)
	}
	c.recv(int(binary.BigEndian.Uint32(rest)))
	return binary.BigEndian.Uint64(head[8:])
}
