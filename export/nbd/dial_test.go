package nbd

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// isVolume: a Client is the content of a volume.
var _ arrayclient.VolumeIO = (*Client)(nil)

func dialOptions(address string) DialOptions {
	return DialOptions{
		Address: address, Export: "20313698", Timeout: testTimeout, Silence: testTimeout,
	}
}

func attach(t *testing.T, o DialOptions) *Client {
	t.Helper()
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func wantKind(t *testing.T, err error, kind fault.Kind, text string) {
	t.Helper()
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v is of kind %q; want %q and %q", err, fault.KindOf(err), kind, text)
	}
}

// TestClientCarriesAll compares what many callers at once wrote with what is there, in
// requests longer than one of the protocol.
func TestClientCarriesAll(t *testing.T) {
	const part, parts = 5<<20 + 4096, 3
	d := newMemDevice(part * parts)
	s := startServer(t, Options{}, one(d))
	c := attach(t, dialOptions(s.Addr().String()))
	if c.Size() != part*parts {
		t.Fatalf("%d bytes", c.Size())
	}
	var all sync.WaitGroup
	for i := range parts {
		all.Go(func() {
			data, got := make([]byte, part), make([]byte, part)
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for j := range data {
				data[j] = byte(random.Uint32())
			}
			at := int64(i * part)
			n, err := c.WriteAt(data, at)
			if n != part || err != nil {
				t.Errorf("wrote %d: %v", n, err)
			}
			if n, err = c.ReadAt(got, at); n != part || err != nil || !bytes.Equal(got, data) {
				t.Errorf("read %d: %v, the same is %v", n, err, bytes.Equal(got, data))
			}
		})
	}
	all.Wait()
	if err := c.Flush(); err != nil || d.flushes.Load() != 1 || !bytes.Equal(d.durable, d.data) {
		t.Errorf("flush: %v", err)
	}
	if err := c.Zero(part-100, 200, true); err != nil || !bytes.Equal(d.data[part-100:][:200], make([]byte, 200)) {
		t.Errorf("zero: %v", err)
	}
	opened := d.closes.Load()
	if err := c.Close(); err != nil || d.closes.Load() != opened+1 {
		t.Errorf("close: %v; the volume is closed is %v", err, d.closes.Load() == opened+1)
	}
	_, err := c.ReadAt(make([]byte, 1), 0)
	wantKind(t, err, fault.Connection, "the volume is closed")
	if err := c.Close(); err != nil {
		t.Errorf("the second close: %v", err)
	}
}

// TestClientTellsWhy: what the server refuses has its kind and its text.
func TestClientTellsWhy(t *testing.T) {
	d := newMemDevice(testSize)
	inhibited := fault.New(fault.Refused, "writes to 20313698 are inhibited")
	d.hook = func(op string, off, _ int64) error {
		switch {
		case op == "write" && off == 0:
			return inhibited
		case op == "write":
			return syscall.ENOSPC
		case op == "read" && off == 512:
			return syscall.EIO
		}
		return nil
	}
	exports := one(d)
	exports.volumes["20413698"], exports.readOnly = newMemDevice(testSize), map[string]bool{"20413698": true}
	s := startServer(t, Options{}, exports)
	o := dialOptions(s.Addr().String())
	c := attach(t, o)
	_, err := c.WriteAt(make([]byte, 512), 0)
	wantKind(t, err, fault.Refused, inhibited.Message)
	_, err = c.WriteAt(make([]byte, 512), 512)
	wantKind(t, err, fault.Failed, "no space left")
	_, err = c.ReadAt(make([]byte, 512), 512)
	wantKind(t, err, fault.Failed, "the volume failed")
	if _, err = c.ReadAt(make([]byte, 512), 0); err != nil || c.Broken() {
		t.Errorf("after that: %v", err)
	}
	o.Export = "20413698"
	_, err = attach(t, o).WriteAt(make([]byte, 512), 0)
	wantKind(t, err, fault.Refused, "may not be written")
	o.Export = "20513698"
	_, err = Dial(t.Context(), o)
	wantKind(t, err, fault.NotFound, "20513698")
	o.TLS = &tls.Config{}
	_, err = Dial(t.Context(), o)
	wantKind(t, err, fault.Connection, "TLS is not offered here")
}

// TestClientWaitsForWhatIsHeldBack: a server that answers other requests is not silent.
func TestClientWaitsForWhatIsHeldBack(t *testing.T) {
	d := newMemDevice(testSize)
	held := make(chan struct{})
	d.hook = func(op string, _, _ int64) error {
		if op == "write" {
			<-held
		}
		return nil
	}
	s := startServer(t, Options{}, one(d))
	o := dialOptions(s.Addr().String())
	o.Silence = 200 * time.Millisecond
	c := attach(t, o)
	written := make(chan error, 1)
	go func() {
		_, err := c.WriteAt(make([]byte, 512), 0)
		written <- err
	}()
	select {
	case err := <-written:
		t.Fatalf("the write that was held back ended: %v", err)
	case <-time.After(5 * o.Silence):
	}
	close(held)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

// hostile is a server that says what a test wants it to.
func hostile(t *testing.T, say func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			say(conn)
			<-ended
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		close(ended)
		l.Close()
		<-over
	})
	return l.Addr().String()
}

// welcome shakes hands for a volume of testSize.
func welcome(conn net.Conn) {
	hello := binary.BigEndian.AppendUint64(nil, magicServer)
	hello = binary.BigEndian.AppendUint64(hello, magicOption)
	conn.Write(binary.BigEndian.AppendUint16(hello, flagFixedNewstyle))
	io.CopyN(io.Discard, conn, 4)
	for code := uint32(0); code != optGo; {
		var head [16]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		code = binary.BigEndian.Uint32(head[8:])
		io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[12:])))
		if code == optGo {
			info := binary.BigEndian.AppendUint16(nil, infoExport)
			info = binary.BigEndian.AppendUint64(info, testSize)
			conn.Write(optionReply(code, repInfo, binary.BigEndian.AppendUint16(info, sendHasFlags)))
		}
		conn.Write(optionReply(code, repAck, nil))
	}
}

func optionReply(code, kind uint32, data []byte) []byte {
	p := binary.BigEndian.AppendUint64(nil, magicOptReply)
	p = binary.BigEndian.AppendUint32(p, code)
	p = binary.BigEndian.AppendUint32(p, kind)
	return append(binary.BigEndian.AppendUint32(p, uint32(len(data))), data...)
}

// TestClientMeetsStrangers: whatever answers, the client ends with one error, in time.
func TestClientMeetsStrangers(t *testing.T) {
	text := func(s string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, s) } }
	answer := func(p []byte) func(net.Conn) {
		return func(c net.Conn) {
			welcome(c)
			io.CopyN(io.Discard, c, headerRequest)
			c.Write(p)
		}
	}
	for name, c := range map[string]struct {
		say  func(net.Conn)
		text string
	}{
		"says nothing":        {func(net.Conn) {}, "no answer in time"},
		"hangs up":            {func(c net.Conn) { c.Close() }, "the connection was closed"},
		"another protocol":    {text("220 smtp.example.com ESMTP ready\r\n"), "not an NBD server"},
		"stops in the middle": {func(c net.Conn) { welcome(c) }, "no answer in time"},
		"another cookie":      {answer(appendSimple(nil, 99, errnoNone)), "cannot be understood"},
		"no data":             {answer(appendSimple(nil, 1, errnoNone)), "too few"},
		"less data":           {answer(append(appendDataHeader(nil, 1, chunkDone, 0, 8), "12345678"...)), "too few"},
		"data from elsewhere": {answer(append(appendDataHeader(nil, 1, chunkDone, 512, 8), "12345678"...)), "cannot be understood"},
		"too much data":       {answer(appendDataHeader(nil, 1, chunkDone, 0, 4096)), "cannot be understood"},
		"a hole too many":     {answer(appendHole(nil, 1, chunkDone, 0, 4096)), "cannot be understood"},
		"a hole of nothing":   {answer(appendHole(nil, 1, chunkDone, 0, 0)), "cannot be understood"},
		"a chunk too long":    {answer(appendChunk(nil, 1, chunkDone, chunkError, 1<<31)), "cannot be understood"},
		"noise":               {answer(bytes.Repeat([]byte{0x5a}, 64)), "cannot be understood"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := dialOptions(hostile(t, c.say))
			o.Timeout, o.Silence = 500*time.Millisecond, 500*time.Millisecond
			client, err := Dial(context.Background(), o)
			if err == nil {
				defer client.Close()
				_, err = client.ReadAt(make([]byte, 512), 0)
			}
			wantKind(t, err, fault.Connection, c.text)
		})
	}
}
