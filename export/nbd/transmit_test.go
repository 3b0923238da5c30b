package nbd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"copyservices/arrayclient/fault"
)

const testSize = 4 << 20

func pattern(n int, seed byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = seed + byte(i*7+i>>8)
	}
	return p
}

func TestReadsAndWrites(t *testing.T) {
	d := newMemDevice(testSize)
	s := startServer(t, Options{}, one(d))
	for _, structured := range []bool{false, true} {
		c := connect(t, s, structured)
		for _, r := range []struct{ off, n int }{
			{0, 1}, {511, 3}, {4096, 4096}, {65535, 65537}, {testSize - 1, 1},
			{100, largeRequest}, {100, largeRequest + 1}, {777, 3 * pieceSize}, {0, testSize},
		} {
			data := pattern(r.n, byte(r.off))
			if e := c.write(0, uint64(r.off), data); e != errnoNone {
				t.Fatalf("write of %+v: %d", r, e)
			}
			if !bytes.Equal(d.at(r.off, r.n), data) {
				t.Fatalf("write of %+v did not arrive", r)
			}
			if structured {
				for _, flags := range []uint16{0, cmdFlagDF} {
					if got, _ := c.readPieces(flags, uint64(r.off), uint32(r.n)); !bytes.Equal(got, data) {
						t.Fatalf("structured read of %+v differs", r)
					}
				}
			} else if !bytes.Equal(c.read(uint64(r.off), uint32(r.n)), data) {
				t.Fatalf("read of %+v differs", r)
			}
		}
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	d := newMemDevice(testSize)
	s := startServer(t, Options{}, one(d))
	const size = testSize
	for _, tt := range []struct {
		kind, flags uint16
		off         uint64
		n           uint32
		want        errno
	}{
		{cmdRead, 0, size, 1, errnoInvalid},
		{cmdRead, 0, size - 1, 2, errnoInvalid},
		{cmdRead, 0, 1 << 63, 1, errnoInvalid},
		{cmdRead, 0, ^uint64(0), 1, errnoInvalid},
		{cmdRead, 0, 0, 0xffffffff, errnoInvalid},
		{cmdRead, 0, 0, 0, errnoInvalid},
		{cmdRead, cmdFlagNoHole, 0, 512, errnoInvalid},
		{cmdRead, 1 << 15, 0, 512, errnoInvalid},
		{cmdTrim, 0, size - 1, 2, errnoInvalid},
		{cmdTrim, 0, 0, 0, errnoInvalid},
		{cmdWriteZeroes, 0, size - 1, 2, errnoNoSpace},
		{cmdWriteZeroes, 0, ^uint64(0) - 5, 10, errnoNoSpace},
		{cmdWriteZeroes, cmdFlagNoHole | cmdFlagFastZero, 0, 512, errnoNotSup},
		{cmdFlush, 0, 1, 0, errnoInvalid},
		{cmdFlush, 0, 0, 1, errnoInvalid},
		{cmdBlockStatus, 0, size, 1, errnoInvalid},
		{cmdBlockStatus, 0, 0, 0, errnoInvalid},
		{5, 0, 0, 512, errnoInvalid},
		{8, 0, 0, 512, errnoInvalid},
		{0xffff, 0, 0, 0, errnoInvalid},
	} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			c := connect(t, s, false)
			c.wantSimple(c.request(tt.kind, tt.flags, tt.off, tt.n), tt.want)
			c.read(0, 1)
			c = connect(t, s, true)
			c.wantError(c.request(tt.kind, tt.flags, tt.off, tt.n), tt.want)
			c.readPieces(0, 0, 1)
		})
	}
	if d.strays.Load() != 0 {
		t.Error("a request beyond the end reached the volume")
	}
}

func TestBadWritesAreSkipped(t *testing.T) {
	d := newMemDevice(testSize)
	c := connect(t, startServer(t, Options{}, one(d)), false)
	for _, tt := range []struct {
		flags uint16
		off   uint64
		n     int
		want  errno
	}{
		{0, testSize, 4096, errnoNoSpace},
		{0, testSize - 1, 2, errnoNoSpace},
		{0, ^uint64(0), 100, errnoNoSpace},
		{0, 0, maxPayload + 1, errnoNoSpace},
		{0, 0, 0, errnoInvalid},
		{cmdFlagDF, 0, 512, errnoInvalid},
	} {
		if e := c.write(tt.flags, tt.off, pattern(tt.n, 1)); e != tt.want {
			t.Errorf("%d bytes at %d: %d, want %d", tt.n, tt.off, e, tt.want)
		}
	}
	if !bytes.Equal(d.at(0, testSize), make([]byte, testSize)) || d.strays.Load() != 0 {
		t.Error("a refused write touched the volume")
	}
	c.send(requestBytes(cmdWrite, 0, 1, 0, 0xffffffff, nil))
	c.wantClosed()
}

func TestGarbageEndsTheConnection(t *testing.T) {
	d := newMemDevice(testSize)
	s := startServer(t, Options{}, one(d))
	for _, p := range [][]byte{
		make([]byte, headerRequest), []byte("GET / HTTP/1.1\r\nHost: example\r\n\r\n"),
		{0x25, 0x60, 0x95, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
	} {
		c := connect(t, s, true)
		c.send(p)
		c.wantClosed()
	}
	connect(t, s, true).readPieces(0, 0, 1)
}

func TestErrorsOfTheVolume(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want errno
		text string
	}{
		{syscall.ENOSPC, errnoNoSpace, ""},
		{fault.New(fault.Failed, "full (%w)", syscall.ENOSPC), errnoNoSpace,
			"full (" + syscall.ENOSPC.Error() + ")"},
		{fault.New(fault.Refused, "writes are inhibited"), errnoPerm, "writes are inhibited"},
		{io.ErrUnexpectedEOF, errnoInvalid, ""},
		{errors.New("/dev/secret failed"), errnoIO, ""},
	} {
		d := newMemDevice(testSize)
		d.hook = func(string, int64, int64) error { return tt.err }
		c := connect(t, startServer(t, Options{}, one(d)), true)
		requests := map[uint16]uint32{
			cmdRead: 512, cmdTrim: 512, cmdWriteZeroes: 512, cmdFlush: 0, cmdBlockStatus: 512,
		}
		for kind, n := range requests {
			if text := c.wantError(c.request(kind, 0, 0, n), tt.want); text != tt.text {
				t.Errorf("message %q, want %q", text, tt.text)
			}
		}
		c.wantError(c.request(cmdRead, 0, 0, testSize), tt.want)
		c.wantError(c.request(cmdRead, cmdFlagDF, 0, testSize), tt.want)
		c.send(requestBytes(cmdWrite, 0, 99, 0, 4, []byte("data")))
		c.wantError(99, tt.want)
		simple := connect(t, startServer(t, Options{}, one(d)), false)
		simple.wantSimple(simple.request(cmdRead, 0, 0, testSize), tt.want)
	}
}

func TestReadErrorAfterPieces(t *testing.T) {
	d := newMemDevice(testSize)
	d.hook = func(op string, off, _ int64) error {
		if op == "read" && off >= testSize/2 {
			return syscall.EIO
		}
		return nil
	}
	if err := d.Zero(0, testSize, false); err != nil {
		t.Fatal(err)
	}
	c := connect(t, startServer(t, Options{}, one(d)), true)
	c.request(cmdRead, 0, 0, testSize)
	all := c.pieces()
	last := all[len(all)-1]
	if last.kind != chunkError || len(all) < 3 {
		t.Fatalf("%d chunks, the last %+v", len(all), last)
	}
	if e := errno(binary.BigEndian.Uint32(last.payload)); e != errnoIO {
		t.Errorf("error %d", e)
	}
}

func TestHolesAreSentAsSuch(t *testing.T) {
	d := newMemDevice(testSize)
	c := connect(t, startServer(t, Options{}, one(d)), true)
	for _, off := range []int{0, 300 << 10, 304 << 10, 1<<20 + 1, testSize - 100} {
		c.write(0, uint64(off), pattern(100, byte(off)))
	}
	blocks := 5
	want := d.at(0, testSize)
	got, holes := c.readPieces(0, 0, testSize)
	if !bytes.Equal(got, want) || holes != testSize-blocks*memBlock {
		t.Errorf("%d bytes of holes, equal %v", holes, bytes.Equal(got, want))
	}
	got, holes = c.readPieces(0, 5000, 2<<20)
	if !bytes.Equal(got, want[5000:5000+2<<20]) || holes == 0 {
		t.Errorf("unaligned: %d bytes of holes", holes)
	}
	got, holes = c.readPieces(cmdFlagDF, 0, testSize)
	if !bytes.Equal(got, want) || holes != 0 {
		t.Errorf("DF: %d bytes of holes", holes)
	}
}

// extents asks for the status of a range and returns lengths, those of holes
// negative.
func (c *client) extents(flags uint16, off uint64, n uint32) []int {
	c.t.Helper()
	c.request(cmdBlockStatus, flags, off, n)
	all := c.pieces()
	p := all[0].payload
	if len(all) != 1 || all[0].kind != chunkBlockStatus ||
		binary.BigEndian.Uint32(p) != contextAllocationID {
		c.t.Fatalf("no block status: %+v", all)
	}
	var lengths []int
	for p = p[4:]; len(p) > 0; p = p[8:] {
		l := int(binary.BigEndian.Uint32(p))
		if binary.BigEndian.Uint32(p[4:]) == stateHole|stateZero {
			l = -l
		}
		lengths = append(lengths, l)
	}
	return lengths
}

func TestBlockStatus(t *testing.T) {
	d := newMemDevice(16 << 20)
	c := connect(t, startServer(t, Options{}, one(d)), true)
	c.write(0, 8192, pattern(8192, 1))
	for _, tt := range []struct {
		flags uint16
		off   uint64
		n     uint32
		want  string
	}{
		{0, 0, 16 << 20, fmt.Sprint([]int{-8192, 8192, 16384 - 16<<20})},
		{cmdFlagReqOne, 0, 16 << 20, "[-8192]"},
		{cmdFlagReqOne, 8192, 100, "[100]"},
		{cmdFlagReqOne, 8192, 1 << 20, "[8192]"},
		{0, 8000, 200, "[-192 8]"},
	} {
		if got := fmt.Sprint(c.extents(tt.flags, tt.off, tt.n)); got != tt.want {
			t.Errorf("%d at %d: %s, want %s", tt.n, tt.off, got, tt.want)
		}
	}
	for off := uint64(0); off < 16<<20; off += 2 * memBlock {
		c.write(0, off, []byte{1})
	}
	if got := c.extents(0, 0, 16<<20); len(got) != maxExtents || got[0] != memBlock {
		t.Errorf("%d extents of a fragmented volume, the first %d", len(got), got[0])
	}
}

func TestZeroesAndTrim(t *testing.T) {
	d := newMemDevice(testSize)
	c := connect(t, startServer(t, Options{}, one(d)), true)
	for _, tt := range []struct {
		kind, flags uint16
		hole        bool
	}{
		{cmdTrim, 0, true},
		{cmdWriteZeroes, 0, true},
		{cmdWriteZeroes, cmdFlagFastZero, true},
		{cmdWriteZeroes, cmdFlagNoHole, false},
	} {
		c.write(0, 0, bytes.Repeat([]byte{7}, 1<<20))
		before := d.flushes.Load()
		c.wantSimple(c.request(tt.kind, tt.flags|cmdFlagFUA, 100, 1<<19), errnoNone)
		if d.flushes.Load() != before+1 {
			t.Error("FUA without a flush")
		}
		got, holes := c.readPieces(0, 0, 1<<20)
		want := bytes.Repeat([]byte{7}, 1<<20)
		clear(want[100 : 100+1<<19])
		if !bytes.Equal(got, want) || (holes > 0) != tt.hole {
			t.Errorf("%+v: equal %v, holes %d", tt, bytes.Equal(got, want), holes)
		}
	}
}

func TestFlushCoversAllConnections(t *testing.T) {
	d := newMemDevice(testSize)
	s := startServer(t, Options{}, one(d))
	a, b := connect(t, s, true), connect(t, s, false)
	a.write(0, 0, []byte("from a"))
	b.write(0, 4096, []byte("from b"))
	if bytes.Contains(d.flushed(), []byte("from")) {
		t.Fatal("durable too early")
	}
	b.wantSimple(b.request(cmdFlush, 0, 0, 0), errnoNone)
	got := d.flushed()
	if string(got[:6]) != "from a" || string(got[4096:4102]) != "from b" {
		t.Error("a flush does not cover the other connection")
	}
	a.write(cmdFlagFUA, 8192, []byte("forced"))
	if !bytes.Equal(d.flushed()[8192:8198], []byte("forced")) {
		t.Error("FUA does not reach the disk")
	}
}
