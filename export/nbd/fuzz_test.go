package nbd

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"
)

// script is a connection to a client that sends in and then no more, but
// takes every reply.
type script struct {
	net.Conn // for the methods that nobody calls
	in       *bytes.Reader
	out      bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// converse gives a new server all of p and returns its replies. It fails when
// the server does not come to an end.
func converse(t *testing.T, d *memDevice, p []byte) []byte {
	t.Helper()
	s, err := New(Options{Listen: "127.0.0.1:0"}, one(d))
	if err != nil {
		t.Fatal(err)
	}
	client := &script{in: bytes.NewReader(p)}
	s.admit(client)
	ended := make(chan struct{})
	go func() {
		s.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(testTimeout):
		t.Fatalf("the server is still at %d bytes", len(p))
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if d.strays.Load() != 0 {
		t.Fatal("the server left the volume's range")
	}
	return client.out.Bytes()
}

// choose is all that a client sends to get to the transmission phase.
func choose() []byte {
	p := binary.BigEndian.AppendUint32(nil, flagFixedNewstyle)
	p = append(p, optionBytes(optStructuredReply, nil)...)
	p = append(p, optionBytes(optSetMeta, metaData("20313698", contextAllocation))...)
	return append(p, optionBytes(optGo, infoData("20313698", infoBlockSize))...)
}

func FuzzHandshake(f *testing.F) {
	hello := []byte{0, 0, 0, flagFixedNewstyle}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(choose())
	f.Add(append(hello, optionBytes(optList, nil)...))
	f.Add(append(hello, optionBytes(optInfo, infoData("20313698", 0, 1, 2, 3))...))
	f.Add(append(hello, optionBytes(optListMeta, metaData("20313698", "base:", "x:"))...))
	f.Add(append(hello, optionBytes(optExportName, []byte("20313698"))...))
	f.Add(append(hello, optionBytes(optStartTLS, nil)...))
	f.Add(append(hello, optionBytes(optAbort, []byte("bye"))...))
	f.Fuzz(func(t *testing.T, p []byte) {
		d := newMemDevice(64 << 10)
		replies := converse(t, d, p)
		if !bytes.HasPrefix(replies, []byte("NBDMAGIC")[:min(8, len(replies))]) {
			t.Errorf("greeting %q", replies)
		}
	})
}

func FuzzTransmission(f *testing.F) {
	const n = 64 << 10
	for _, kind := range []uint16{0, 1, 2, 3, 4, 5, 6, 7, 8} {
		f.Add(requestBytes(kind, 0, 1, 4096, 512, make([]byte, 512)))
		f.Add(requestBytes(kind, 0xffff, 1, ^uint64(0), 0xffffffff, nil))
	}
	leave := requestBytes(cmdDisconnect, 0, 2, 0, 0, nil)
	f.Add(append(requestBytes(cmdRead, 0, 1, 0, n, nil), leave...))
	f.Add(requestBytes(cmdWrite, cmdFlagFUA, 1, n-512, 512, make([]byte, 100)))
	f.Fuzz(func(t *testing.T, p []byte) {
		d := newMemDevice(n)
		replies := converse(t, d, append(choose(), p...))
		if len(replies) < 18 {
			t.Errorf("%d bytes of replies", len(replies))
		}
		if d.closes.Load() < 1 {
			t.Error("the volume stays open")
		}
	})
}

func FuzzParseInfo(f *testing.F) {
	f.Add(infoData("20313698", 0, 3))
	f.Add(metaData("20313698", "base:"))
	f.Fuzz(func(t *testing.T, p []byte) {
		if name, items, ok := parseInfo(p); ok && !bytes.Equal(infoData(name, items...), p) {
			t.Errorf("%x is read as %q %v", p, name, items)
		}
		if name, queries, ok := parseMeta(p); ok && !bytes.Equal(metaData(name, queries...), p) {
			t.Errorf("%x is read as %q %v", p, name, queries)
		}
	})
}
