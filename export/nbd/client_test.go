package nbd

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"copyservices/arrayclient"
)

const testTimeout = 10 * time.Second

// startServer serves exports on a free port until the test ends.
func startServer(t testing.TB, opts Options, exports Exports) *Server {
	t.Helper()
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	s, err := New(opts, exports)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// one is a set with a single export, named 20313698.
func one(v arrayclient.VolumeIO) fixed {
	return fixed{volumes: map[string]arrayclient.VolumeIO{"20313698": v}}
}

// client speaks the protocol by hand. Its methods fail the test.
type client struct {
	t      testing.TB
	nc     net.Conn
	cookie uint64
}

// dial connects and answers the greeting with flags.
func dial(t testing.TB, s *Server, flags uint32) *client {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, nc: nc}
	hello := c.recv(18)
	if string(hello[:16]) != "NBDMAGICIHAVEOPT" || hello[17] != 3 {
		t.Fatalf("greeting %q", hello)
	}
	c.send(binary.BigEndian.AppendUint32(nil, flags))
	return c
}

// connect goes all the way to the transmission phase.
func connect(t testing.TB, s *Server, structured bool) *client {
	t.Helper()
	c := dial(t, s, flagFixedNewstyle)
	if structured {
		c.want(optStructuredReply, nil, repAck)
		c.want(optSetMeta, metaData("20313698", contextAllocation), repAck)
	}
	c.want(optGo, infoData("20313698"), repAck)
	return c
}

func (c *client) send(p []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(p); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

func (c *client) recv(n int) []byte {
	c.t.Helper()
	p := make([]byte, n)
	if _, err := io.ReadFull(c.nc, p); err != nil {
		c.t.Fatalf("receive %d bytes: %v", n, err)
	}
	return p
}

// wantClosed checks that the server ends the connection, whatever it still
// sends.
func (c *client) wantClosed() {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c.nc)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		c.t.Fatal("the server does not close the connection")
	}
}

// optReply is a reply to an option.
type optReply struct {
	code, kind uint32
	data       []byte
}

func optionBytes(code uint32, data []byte) []byte {
	p := binary.BigEndian.AppendUint64(nil, magicOption)
	p = binary.BigEndian.AppendUint32(p, code)
	p = binary.BigEndian.AppendUint32(p, uint32(len(data)))
	return append(p, data...)
}

// want sends an option and checks the kind of the final reply. It returns
// all replies.
func (c *client) want(code uint32, data []byte, kind uint32) []optReply {
	c.t.Helper()
	c.send(optionBytes(code, data))
	var all []optReply
	for {
		head := c.recv(20)
		r := optReply{
			code: binary.BigEndian.Uint32(head[8:]),
			kind: binary.BigEndian.Uint32(head[12:]),
			data: c.recv(int(binary.BigEndian.Uint32(head[16:]))),
		}
		if binary.BigEndian.Uint64(head) != magicOptReply || r.code != code {
			c.t.Fatalf("option %d: reply %+v", code, r)
		}
		all = append(all, r)
		if r.kind == repAck || r.kind >= repError {
			break
		}
	}
	if last := all[len(all)-1]; last.kind != kind {
		c.t.Fatalf("option %d: final reply %#x %q, want %#x", code, last.kind, last.data, kind)
	}
	return all
}

// infoData is the data of NBD_OPT_INFO and NBD_OPT_GO.
func infoData(name string, items ...uint16) []byte {
	p := appendString(nil, name)
	p = binary.BigEndian.AppendUint16(p, uint16(len(items)))
	for _, item := range items {
		p = binary.BigEndian.AppendUint16(p, item)
	}
	return p
}

// metaData is the data of the options about metadata contexts.
func metaData(name string, queries ...string) []byte {
	p := appendString(nil, name)
	p = binary.BigEndian.AppendUint32(p, uint32(len(queries)))
	for _, q := range queries {
		p = appendString(p, q)
	}
	return p
}

func appendString(p []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(p, uint32(len(s))), s...)
}

func requestBytes(kind, flags uint16, cookie, off uint64, n uint32, payload []byte) []byte {
	p := binary.BigEndian.AppendUint32(nil, magicRequest)
	p = binary.BigEndian.AppendUint16(p, flags)
	p = binary.BigEndian.AppendUint16(p, kind)
	p = binary.BigEndian.AppendUint64(p, cookie)
	p = binary.BigEndian.AppendUint64(p, off)
	p = binary.BigEndian.AppendUint32(p, n)
	return append(p, payload...)
}

// request sends a command without payload and returns its cookie.
func (c *client) request(kind, flags uint16, off uint64, n uint32) uint64 {
	c.t.Helper()
	c.cookie++
	c.send(requestBytes(kind, flags, c.cookie, off, n, nil))
	return c.cookie
}

// simple reads a simple reply without data.
func (c *client) simple() (uint64, errno) {
	c.t.Helper()
	head := c.recv(headerSimple)
	if binary.BigEndian.Uint32(head) != magicSimple {
		c.t.Fatalf("no simple reply: %x", head)
	}
	return binary.BigEndian.Uint64(head[8:]), errno(binary.BigEndian.Uint32(head[4:]))
}

// wantSimple checks that the next reply is a simple one to cookie.
func (c *client) wantSimple(cookie uint64, want errno) {
	c.t.Helper()
	if got, e := c.simple(); got != cookie || e != want {
		c.t.Fatalf("reply to %d is %d, want %d to %d", got, e, want, cookie)
	}
}

// write sends a write and waits for its reply, which is simple.
func (c *client) write(flags uint16, off uint64, data []byte) errno {
	c.t.Helper()
	c.cookie++
	c.send(requestBytes(cmdWrite, flags, c.cookie, off, uint32(len(data)), data))
	cookie, e := c.simple()
	if cookie != c.cookie {
		c.t.Fatalf("reply to %d, want %d", cookie, c.cookie)
	}
	return e
}

// read reads with simple replies.
func (c *client) read(off uint64, n uint32) []byte {
	c.t.Helper()
	c.wantSimple(c.request(cmdRead, 0, off, n), errnoNone)
	return c.recv(int(n))
}

// piece is one chunk of a structured reply.
type piece struct {
	flags, kind uint16
	cookie      uint64
	payload     []byte
}

func (c *client) piece() piece {
	c.t.Helper()
	head := c.recv(headerChunk)
	if binary.BigEndian.Uint32(head) != magicStructured {
		c.t.Fatalf("no chunk: %x", head)
	}
	return piece{
		flags:   binary.BigEndian.Uint16(head[4:]),
		kind:    binary.BigEndian.Uint16(head[6:]),
		cookie:  binary.BigEndian.Uint64(head[8:]),
		payload: c.recv(int(binary.BigEndian.Uint32(head[16:]))),
	}
}

// pieces reads the chunks of one reply.
func (c *client) pieces() []piece {
	c.t.Helper()
	for all := []piece{}; ; {
		p := c.piece()
		all = append(all, p)
		if p.cookie != all[0].cookie {
			c.t.Fatalf("chunk for %d among those for %d", p.cookie, all[0].cookie)
		}
		if p.flags&chunkDone != 0 {
			return all
		}
	}
}

// wantError checks that the next reply is an error chunk.
func (c *client) wantError(cookie uint64, want errno) string {
	c.t.Helper()
	p := c.piece()
	if p.kind != chunkError || p.flags != chunkDone || p.cookie != cookie || len(p.payload) < 6 {
		c.t.Fatalf("no error chunk: %+v", p)
	}
	text := p.payload[6:]
	if n := binary.BigEndian.Uint16(p.payload[4:]); int(n) != len(text) {
		c.t.Fatalf("message of %d bytes in %d", n, len(text))
	}
	if got := errno(binary.BigEndian.Uint32(p.payload)); got != want {
		c.t.Fatalf("error %d (%s), want %d", got, text, want)
	}
	return string(text)
}

// readPieces reads with structured replies and returns the bytes and how many
// of them came as holes.
func (c *client) readPieces(flags uint16, off uint64, n uint32) (data []byte, holes int) {
	c.t.Helper()
	c.request(cmdRead, flags, off, n)
	data = make([]byte, n)
	told := 0
	for _, p := range c.pieces() {
		at := binary.BigEndian.Uint64(p.payload) - off
		switch p.kind {
		case chunkData:
			told += copy(data[at:], p.payload[8:])
		case chunkHole:
			l := int(binary.BigEndian.Uint32(p.payload[8:]))
			told, holes = told+l, holes+l
		default:
			c.t.Fatalf("chunk of kind %d in a read", p.kind)
		}
	}
	if told != int(n) {
		c.t.Fatalf("%d bytes told of %d", told, n)
	}
	return data, holes
}
