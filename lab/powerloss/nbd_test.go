package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// attached returns a client of an export of the device.
func attached(t *testing.T, d *device) *attachment {
	t.Helper()
	e, err := serveDevice(d, filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	c, err := net.Dial("unix", e.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a := &attachment{conn: c}
	t.Cleanup(a.close)
	return a
}

func TestDeviceLogsWhatItIsAsked(t *testing.T) {
	d := testDevice(t)
	a := attached(t, d)
	if err := a.open(""); err != nil || a.size != testSize {
		t.Fatalf("open: %v, %d bytes", err, a.size)
	}
	page := bytes.Repeat([]byte{7}, pageSize)
	for _, r := range []struct {
		kind   operation
		flags  uint16
		off, n int64
		data   []byte
	}{
		{cmdWrite, 0, pageSize, pageSize, page},
		{cmdWrite, flagFUA, 2 * pageSize, pageSize, page},
		{cmdFlush, 0, 0, 0, nil},
		{cmdTrim, 0, pageSize, pageSize / 2, nil},
		{cmdZero, flagFUA, 3 * pageSize, pageSize, nil},
	} {
		if err := a.request(r.kind, r.flags, r.off, r.n, r.data); err != nil {
			t.Fatalf("request %+v: %v", r.kind, err)
		}
	}
	var got []entry
	for _, e := range d.log.entries {
		e.at, e.when = 0, 0
		got = append(got, e)
	}
	want := []entry{
		{kind: entryWrite, off: pageSize, n: pageSize},
		{kind: entryWrite, fua: true, off: 2 * pageSize, n: pageSize},
		{kind: entryFlush},
		{kind: entryTrim, off: pageSize, n: pageSize / 2},
		{kind: entryZero, fua: true, off: 3 * pageSize, n: pageSize},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the log is %+v, want %+v", got, want)
	}
	if n := d.log.lastFlush(5); n != 3 {
		t.Errorf("%d entries are safe, want 3", n)
	}
	read := make([]byte, 2*pageSize)
	if err := a.read(read, pageSize); err != nil {
		t.Fatal(err)
	}
	half := append(make([]byte, pageSize/2), page[:pageSize/2]...)
	if !bytes.Equal(read, append(half, page...)) {
		t.Error("the disk does not hold what was written")
	}
	var answer nbdError
	if err := a.request(cmdTrim, 0, testSize, 1, nil); !errors.As(err, &answer) {
		t.Errorf("beyond the end: %v", err)
	}
}

// TestDeviceNegotiates asks as libnbd does: an option that is not known, then go.
func TestDeviceNegotiates(t *testing.T) {
	a := attached(t, testDevice(t))
	option := func(code uint32) []byte {
		b := binary.BigEndian.AppendUint64(nil, magicOption)
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, code), 0)
	}
	go a.conn.Write(append(append([]byte{0, 0, 0, 3}, option(8)...), option(optGo)...))
	got := make([]byte, 18+20+(20+12)+20)
	if _, err := io.ReadFull(a.conn, got); err != nil {
		t.Fatal(err)
	}
	kind := func(at int) uint32 { return binary.BigEndian.Uint32(got[at+12:]) }
	if kind(18) != repUnsupported || kind(38) != repInfo || kind(70) != repAck {
		t.Errorf("answers %#x, %#x, %#x", kind(18), kind(38), kind(70))
	}
	if size := binary.BigEndian.Uint64(got[38+20+2:]); size != testSize {
		t.Errorf("the size is %d", size)
	}
}
