package copyserver

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// TestRanges asks for what RFC 9110 lets one ask for.
func TestRanges(t *testing.T) {
	const size, track = contentSize, arrayclient.TrackSize
	w := start(t, t.TempDir())
	data := image(1, size)
	_, path := w.filled(data)
	many := strings.Repeat("0-0,", 15_000)
	digits := strings.Repeat("9", 25_000)
	for _, c := range []struct {
		header     string
		status     int
		from, upTo int // of the content
	}{
		{"bytes=0-0", 206, 0, 1},
		{"bytes=0-511", 206, 0, 512},
		{"bytes=1-513", 206, 1, 514},
		{fmt.Sprintf("bytes=%d-%d", track-1, track), 206, track - 1, track + 1},
		{fmt.Sprintf("bytes=%d-%d", 2*track+7, 6*track+1), 206, 2*track + 7, 6*track + 2},
		{fmt.Sprintf("bytes=%d-%d", 3*track+1, 4*track), 206, 3*track + 1, 4*track + 1},
		{"Bytes= 5-", 206, 5, size},
		{fmt.Sprintf("bytes=%d-", size-1), 206, size - 1, size},
		{fmt.Sprintf("bytes=%d-%d", size-1, size), 206, size - 1, size},
		{"bytes=7-" + digits, 206, 7, size},
		{"bytes=-1", 206, size - 1, size},
		{fmt.Sprintf("bytes=-%d", size), 206, 0, size},
		{"bytes=-" + digits, 206, 0, size},
		{fmt.Sprintf("bytes=%d-", size), 416, 0, 0},
		{"bytes=" + digits + "-", 416, 0, 0},
		{"bytes=" + digits + "-" + digits, 416, 0, 0},
		{"bytes=-0", 416, 0, 0}, {"bytes=2-1", 416, 0, 0}, {"bytes=-", 416, 0, 0}, {"bytes=", 416, 0, 0},
		{"bytes", 416, 0, 0}, {"bytes=1", 416, 0, 0}, {"bytes=a-b", 416, 0, 0},
		{"bytes=0x1-2", 416, 0, 0}, {"bytes=+1-2", 416, 0, 0}, {"bytes=1-2-3", 416, 0, 0}, {"bytes=--1", 416, 0, 0},
		{"bytes=1 - 2", 416, 0, 0}, {"bytes=\u0661-\u0662", 416, 0, 0},
		{"bytes=0-0,5-6", 200, 0, size}, {"bytes=" + many, 200, 0, size}, {"lines=1-2", 200, 0, size},
		{"", 200, 0, size},
	} {
		resp, got := w.request("GET", path, nil, "Range", c.header)
		contentRange := map[int]string{
			206: fmt.Sprintf("bytes %d-%d/%d", c.from, c.upTo-1, size), 416: fmt.Sprintf("bytes */%d", size),
		}[c.status]
		shown := c.header[:min(len(c.header), 60)]
		if resp.StatusCode != c.status || resp.Header.Get("Content-Range") != contentRange {
			t.Errorf("%q: %s, Content-Range %q, want %d and %q", shown, resp.Status,
				resp.Header.Get("Content-Range"), c.status, contentRange)
			continue
		}
		if want := data[c.from:c.upTo]; c.status != 416 && (!bytes.Equal(got, want) ||
			resp.Header.Get("Content-Length") != strconv.Itoa(len(want)) ||
			resp.Header.Get("Accept-Ranges") != "bytes") {
			t.Errorf("%q: %d bytes, %v", shown, len(got), resp.Header)
		}
	}
	w.refused("GET", path, nil, 416, fault.Usage, "no range of bytes", "Range", "bytes=2-1")
	w.refused("GET", path, nil, 416, fault.Usage, "the volume has 1050112 bytes", "Range",
		"bytes=1050112-")
}

// TestRangesThatAreNone: a range counts only where it can.
func TestRangesThatAreNone(t *testing.T) {
	w := start(t, t.TempDir())
	data := image(2, contentSize)
	_, path := w.filled(data)
	const part = "bytes=0-9"
	resp, got := w.request("GET", path, nil, "Range", part, "If-Range", `"x"`)
	if resp.StatusCode != 200 || !bytes.Equal(got, data) {
		t.Errorf("If-Range: %s, %d bytes", resp.Status, len(got))
	}
	resp, _ = w.request("GET", path, nil, "Range", part, "Accept", api.SparseContentType)
	if resp.StatusCode != 200 || resp.Header.Get("Accept-Ranges") != "" {
		t.Errorf("a range of a sparse stream: %s %v", resp.Status, resp.Header)
	}
	resp, got = w.request("HEAD", path, nil, "Range", part)
	if resp.StatusCode != 200 || len(got) != 0 || resp.ContentLength != contentSize ||
		resp.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("HEAD: %s, length %d, %v", resp.Status, resp.ContentLength, resp.Header)
	}
	resp, _ = w.request("GET", path, nil, "Range", "bytes="+strings.Repeat("0-0,", 40_000))
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a huge header: %s", resp.Status)
	}
	if log := w.log.String(); strings.Contains(log, "status=0") {
		t.Errorf("an answer was logged without its status:\n%s", log)
	}
}
