package nbd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

func TestListTellsEveryExport(t *testing.T) {
	exports := fixed{volumes: map[string]arrayclient.VolumeIO{
		"20313698": newMemDevice(4096), "20413698": newMemDevice(8192),
	}}
	c := dial(t, startServer(t, Options{}, exports), flagFixedNewstyle)
	replies := c.want(optList, nil, repAck)
	var got []string
	for _, r := range replies[:len(replies)-1] {
		n := binary.BigEndian.Uint32(r.data)
		got = append(got, string(r.data[4:4+n])+"="+string(r.data[4+n:]))
	}
	want := "20313698=volume 20313698 20413698=volume 20413698"
	if strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.want(optList, []byte{1}, repErrInvalid)
}

func TestInfoDescribesAnExport(t *testing.T) {
	d := newMemDevice(1 << 20)
	c := dial(t, startServer(t, Options{}, one(d)), flagFixedNewstyle|flagNoZeroes)
	replies := c.want(optInfo, infoData("20313698", infoName, infoBlockSize, 77), repAck)
	want := [][]byte{
		binary.BigEndian.AppendUint16([]byte{0, infoExport, 0, 0, 0, 0, 0, 0x10, 0, 0},
			sendHasFlags|sendFlush|sendFUA|sendTrim|sendWriteZeroes|canMultiConn|sendFastZero),
		append([]byte{0, infoName}, "20313698"...),
		{0, infoBlockSize, 0, 0, 0, 1, 0, 0, 0x10, 0, 2, 0, 0, 0},
		nil,
	}
	if len(replies) != len(want) {
		t.Fatalf("%d replies, want %d", len(replies), len(want))
	}
	for i, r := range replies {
		if !bytes.Equal(r.data, want[i]) {
			t.Errorf("reply %d is %x, want %x", i, r.data, want[i])
		}
	}
	if d.closes.Load() != 1 {
		t.Error("INFO leaves the volume open")
	}
}

func TestFlagsOfAReadOnlyExport(t *testing.T) {
	exports := one(newMemDevice(4096))
	exports.readOnly = map[string]bool{"20313698": true}
	c := dial(t, startServer(t, Options{}, exports), flagFixedNewstyle)
	c.want(optStructuredReply, nil, repAck)
	replies := c.want(optGo, infoData("20313698"), repAck)
	got := binary.BigEndian.Uint16(replies[0].data[10:])
	want := uint16(sendHasFlags | sendReadOnly | sendFlush | sendFUA | canMultiConn | sendDF)
	if got != want {
		t.Errorf("flags %#x, want %#x", got, want)
	}
	c.cookie++
	c.send(requestBytes(cmdWrite, 0, c.cookie, 0, 4, []byte("data")))
	c.wantError(c.cookie, errnoPerm)
	c.wantError(c.request(cmdTrim, 0, 0, 4096), errnoPerm)
	c.wantError(c.request(cmdWriteZeroes, 0, 0, 4096), errnoPerm)
	c.wantSimple(c.request(cmdFlush, 0, 0, 0), errnoNone)
}

func TestUnknownExportIsRefused(t *testing.T) {
	d := newMemDevice(4096)
	s := startServer(t, Options{}, one(d))
	c := dial(t, s, flagFixedNewstyle)
	for _, name := range []string{"", "20313699", "2031369", "20313698 ", "20313698\x00"} {
		r := c.want(optGo, infoData(name), repErrUnknown)
		if name != "" && !strings.Contains(string(r[0].data), "no volume") {
			t.Errorf("message %q for %q", r[0].data, name)
		}
	}
	c.want(optGo, infoData(strings.Repeat("x", maxString+1)), repErrUnknown)
	c.want(optGo, infoData("20313698"), repAck)
	for _, name := range []string{"", "99999999"} {
		c := dial(t, s, flagFixedNewstyle)
		c.send(optionBytes(optExportName, []byte(name)))
		c.wantClosed()
	}
}

func TestExportNameEntersTransmission(t *testing.T) {
	s := startServer(t, Options{}, one(newMemDevice(4096)))
	for flags, zeroes := range map[uint32]int{
		flagFixedNewstyle: 124, flagFixedNewstyle | flagNoZeroes: 0,
	} {
		c := dial(t, s, flags)
		c.send(optionBytes(optExportName, []byte("20313698")))
		head := c.recv(10 + zeroes)
		if size := binary.BigEndian.Uint64(head); size != 4096 {
			t.Errorf("size %d", size)
		}
		if got := c.read(0, 16); !bytes.Equal(got, make([]byte, 16)) {
			t.Errorf("read %x", got)
		}
	}
}

func TestRefusedOptionsKeepTheHandshakeGoing(t *testing.T) {
	c := dial(t, startServer(t, Options{}, one(newMemDevice(4096))), flagFixedNewstyle)
	c.want(optStartTLS, nil, repErrUnsup)
	c.want(4, nil, repErrUnsup)
	c.want(0xffffffff, make([]byte, 1000), repErrUnsup)
	c.want(optStructuredReply, []byte{0}, repErrInvalid)
	c.want(optSetMeta, metaData("20313698", contextAllocation), repErrInvalid)
	c.want(optList, make([]byte, maxOptionData+1), repErrTooBig)
	for _, data := range [][]byte{
		nil, {0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 0, 0}, append(infoData("x"), 0),
		infoData("x")[:5], {0, 0, 0, 0, 0xff, 0xff},
	} {
		c.want(optGo, data, repErrInvalid)
		c.want(optInfo, data, repErrInvalid)
	}
	c.want(optAbort, []byte("ignored"), repAck)
	c.wantClosed()
}

func TestMetaContexts(t *testing.T) {
	c := dial(t, startServer(t, Options{}, one(newMemDevice(4096))), flagFixedNewstyle)
	c.want(optStructuredReply, nil, repAck)
	for _, tt := range []struct {
		code    uint32
		queries []string
		found   int
	}{
		{optListMeta, nil, 1},
		{optListMeta, []string{"base:"}, 1},
		{optListMeta, []string{"base:allocation", "x-other:thing"}, 1},
		{optListMeta, []string{"qemu:dirty-bitmap:x"}, 0},
		{optSetMeta, nil, 0},
		{optSetMeta, []string{"base:"}, 0},
		{optSetMeta, []string{"x-other:thing", "base:allocation"}, 1},
	} {
		replies := c.want(tt.code, metaData("20313698", tt.queries...), repAck)
		if len(replies)-1 != tt.found {
			t.Errorf("option %d %q finds %d", tt.code, tt.queries, len(replies)-1)
		}
	}
	c.want(optSetMeta, metaData("99999999", contextAllocation), repErrUnknown)
	c.want(optSetMeta, append(metaData("20313698"), 1), repErrInvalid)
	c.want(optListMeta, []byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, repErrInvalid)
	// The failures have taken the selection back.
	c.want(optGo, infoData("20313698"), repAck)
	c.wantError(c.request(cmdBlockStatus, 0, 0, 4096), errnoInvalid)
}

func TestHagglingEnds(t *testing.T) {
	s := startServer(t, Options{HandshakeTimeout: 200 * time.Millisecond}, one(newMemDevice(4096)))
	big := binary.BigEndian.AppendUint64(nil, magicOption)
	big = binary.BigEndian.AppendUint32(big, optList)
	for name, p := range map[string][]byte{
		"bad options":   bytes.Repeat(optionBytes(99, nil), maxBadOptions+1),
		"options":       bytes.Repeat(optionBytes(optStructuredReply, nil), maxOptions+1),
		"a huge one":    binary.BigEndian.AppendUint32(big, maxOptionWaste+1),
		"a huge name":   optionBytes(optExportName, make([]byte, maxOptionData+1)),
		"wrong magic":   []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"silence":       nil,
		"half a header": optionBytes(optList, nil)[:9],
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s, flagFixedNewstyle)
			go func() { _, _ = c.nc.Write(p) }()
			c.wantClosed()
		})
	}
	for _, flags := range []uint32{0, flagNoZeroes, 4 | flagFixedNewstyle, 0xffffffff} {
		dial(t, s, flags).wantClosed()
	}
}

// failing is a set that cannot be listed and refuses to open.
type failing struct{ err error }

func (f failing) List(context.Context, Peer) ([]ExportInfo, error) { return nil, f.err }
func (f failing) Open(context.Context, Peer, string) (arrayclient.VolumeIO, bool, error) {
	return nil, false, f.err
}

func TestFailingExportsAreReported(t *testing.T) {
	for _, tt := range []struct {
		err  error
		kind uint32
		text string
	}{
		{fault.New(fault.Refused, "volume 203 is frozen"), repErrPolicy, "volume 203 is frozen"},
		{fault.New(fault.Failed, "volume 203 is broken"), repErrUnknown, "volume 203 is broken"},
		{errors.New("open /secret/path"), repErrUnknown, ""},
	} {
		c := dial(t, startServer(t, Options{}, failing{tt.err}), flagFixedNewstyle)
		for code, kind := range map[uint32]uint32{optGo: tt.kind, optList: repErrPolicy} {
			data := infoData("20313698")
			if code == optList {
				data = nil
			}
			if got := c.want(code, data, kind)[0].data; string(got) != tt.text {
				t.Errorf("message %q, want %q", got, tt.text)
			}
		}
	}
}
