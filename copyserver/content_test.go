package copyserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/api"
)

// contentSize is no whole number of tracks.
const contentSize = 1<<20 + 3*512

// image is random data with a hole of two tracks in it.
func image(seed uint64, size int) []byte {
	data := make([]byte, size)
	rnd := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = rnd.Read(data) // never fails, see its documentation
	if size > 5*arrayclient.TrackSize {
		clear(data[3*arrayclient.TrackSize : 5*arrayclient.TrackSize])
	}
	return data
}

// filled creates a volume with an image, and returns its path.
func (w *world) filled(data []byte) (serial, path string) {
	w.Helper()
	var out []api.Volume
	w.do("POST", "/v1/volumes", api.VolumeCreate{Size: int64(len(data))}, 201, &out)
	serial = string(out[0].Serial)
	path = "/v1/volumes/" + serial + "/content"
	w.do("PUT", path, bytes.NewReader(data), 200, nil, "Content-Type", api.RawContentType)
	return serial, path
}

// bytesOf returns the content of a volume.
func (w *world) bytesOf(path string) []byte {
	w.Helper()
	resp, data := w.request("GET", path, nil)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != api.RawContentType {
		w.Fatalf("%s: %s %s", path, resp.Status, data[:min(len(data), 200)])
	}
	return data
}

// TestPutImage writes whole images, and refuses what is none.
func TestPutImage(t *testing.T) {
	w := start(t, t.TempDir())
	data := image(3, contentSize)
	serial, path := w.filled(data)
	kind := []string{"Content-Type", api.RawContentType}
	same := func(what string, want []byte) {
		t.Helper()
		if got := w.bytesOf(path); !bytes.Equal(got, want) {
			t.Errorf("%s: the content is another", what)
		}
	}
	same("the whole image", data)
	refused := func(
		what string, body io.Reader, status int, of fault.Kind, text string, more ...string,
	) {
		t.Helper()
		w.refused("PUT", path, body, status, of, text, append(slices.Clone(kind), more...)...)
		same(what, data)
	}
	refused("empty", http.NoBody, 400, fault.Usage, "is empty")
	refused("empty, of unknown length", io.NopCloser(strings.NewReader("")), 400, fault.Usage,
		"is empty")
	refused("too large", bytes.NewReader(image(4, contentSize+1)), 422, fault.Refused,
		"do not fit a volume of 1050112 bytes")
	refused("compressed", strings.NewReader("x"), 400, fault.Usage, "gzip", "Content-Encoding",
		"gzip")
	refused("a Range", strings.NewReader("x"), 400, fault.Usage, "Range is for reading", "Range",
		"bytes=0-0")
	w.refused("PUT", path, strings.NewReader("x"), 400, fault.Usage, "is sent as", "Content-Type", "")
	w.refused("PUT", path, strings.NewReader("x"), 400, fault.Usage, "is sent as", "Content-Type",
		"text/plain")
	same("another type", data)

	shorter := image(5, 700_001)
	var out api.WrittenVolume
	w.do("PUT", path, bytes.NewReader(shorter), 200, &out, kind...)
	if string(out.Serial) != serial || len(out.Warnings) != 1 ||
		!strings.Contains(out.Warnings[0], "the image has 700001 bytes, volume "+serial+" has 1050112") {
		t.Errorf("a shorter image: %+v", out)
	}
	same("a shorter image", append(shorter, make([]byte, contentSize-700_001)...))
	out = api.WrittenVolume{}
	w.do("PUT", path, io.NopCloser(bytes.NewReader(data)), 200, &out, kind...)
	if out.Warnings != nil {
		t.Errorf("a whole image: %q", out.Warnings)
	}
	same("an image of unknown length", data)
	larger := image(6, contentSize+1)
	w.refused("PUT", path, io.NopCloser(bytes.NewReader(larger)), 422, fault.Refused, "larger than",
		kind...)
	same("too large, of unknown length", larger[:contentSize])
}

// TestPutRange writes ranges, and leaves the rest alone.
func TestPutRange(t *testing.T) {
	const size, track = contentSize, arrayclient.TrackSize
	w := start(t, t.TempDir())
	data := image(7, size)
	_, path := w.filled(data)
	put := func(body io.Reader, header string) (*http.Response, []byte) {
		return w.request("PUT", path, body, "Content-Type", api.RawContentType, "Content-Range", header)
	}
	for i, c := range [][2]int{
		{0, 1}, {512, 1024}, {1, 514}, {track - 3, track + 3}, {track, 3 * track},
		{2*track + 100, 5*track - 1}, {size - 1, size}, {size - 513, size}, {0, size},
	} {
		part := image(uint64(20+i), c[1]-c[0])
		if i == 5 {
			clear(part)
		}
		complete := strconv.Itoa(size)
		if i%2 == 1 {
			complete = "*"
		}
		header := fmt.Sprintf("bytes %d-%d/%s", c[0], c[1]-1, complete)
		resp, body := put(bytes.NewReader(part), header)
		copy(data[c[0]:], part)
		if resp.StatusCode != 200 || bytes.Contains(body, []byte("warnings")) {
			t.Errorf("%s: %s %s", header, resp.Status, body)
		}
		if !bytes.Equal(w.bytesOf(path), data) {
			t.Fatalf("%s: the content is another", header)
		}
	}
}

func TestPutRangeRefuses(t *testing.T) {
	const size = contentSize
	w := start(t, t.TempDir())
	data := image(8, size)
	_, path := w.filled(data)
	digits := strings.Repeat("9", 30)
	for _, c := range []struct {
		header string
		n      int
		status int
		text   string
	}{
		{"bytes 0-9/1050112", 9, 400, "the range has 10 bytes, the request 9"},
		{"bytes 0-9/1050112", 11, 400, "the range has 10 bytes, the request 11"},
		{"bytes 0-9/1050112", 0, 400, "the range has 10 bytes, the request 0"},
		{"bytes 0-9/1050111", 10, 422, "the volume has 1050112 bytes, Content-Range says 1050111"},
		{"bytes 0-9/" + digits, 10, 422, "Content-Range says"},
		{"bytes 1050110-1050112/*", 3, 422, "byte 1050112 does not fit a volume of 1050112 bytes"},
		{"bytes 1050110-1050112/1050112", 3, 400, "behind its own end"},
		{"bytes 0-" + digits + "/*", 3, 400, "behind its own end"},
		{"bytes " + digits + "-" + digits + "/*", 1, 400, "behind its own end"},
		{"bytes */1050112", 10, 400, "no Content-Range that can be written"},
		{"bytes 9-0/*", 10, 400, "no Content-Range"}, {"bytes 0-9", 10, 400, "no Content-Range"},
		{"bytes 0-9/", 10, 400, "no Content-Range"}, {"bytes=0-9/*", 10, 400, "no Content-Range"},
		{"bytes -9/*", 9, 400, "no Content-Range"}, {"bytes 0-/*", 10, 400, "no Content-Range"},
		{"bytes 0-9/*/*", 10, 400, "no Content-Range"}, {"lines 0-9/*", 10, 400, "no Content-Range"},
		{"bytes 0-4/*, bytes 5-9/*", 10, 400, "no Content-Range"}, {"", 10, 400, "no Content-Range"},
		{"bytes " + strings.Repeat("0-9/*,", 5000), 10, 400, "no Content-Range"},
	} {
		kind := fault.Usage
		if c.status == 422 {
			kind = fault.Refused
		}
		w.refused("PUT", path, bytes.NewReader(image(9, c.n)), c.status, kind, c.text,
			"Content-Type", api.RawContentType, "Content-Range", c.header)
	}
	w.refused("PUT", path, bytes.NewReader(w.content("00013698")), 400, fault.Usage,
		"a range is written as", "Content-Type", api.SparseContentType, "Content-Range", "bytes 0-9/*")
	if !bytes.Equal(w.bytesOf(path), data) {
		t.Fatal("what was refused changed the content")
	}
	// Of unknown length: what came is known only when it has.
	for n, text := range map[int]string{9: "cut off after 9 bytes", 11: "more came than the 10 bytes"} {
		part := image(uint64(n), n)
		status, kind := 400, fault.Usage
		if n > 10 {
			status, kind = 422, fault.Refused
		}
		w.refused("PUT", path, io.NopCloser(bytes.NewReader(part)), status, kind, text,
			"Content-Type", api.RawContentType, "Content-Range", "bytes 700-709/*")
		copy(data[700:710], part)
		if !bytes.Equal(w.bytesOf(path), data) {
			t.Errorf("%d bytes for 10: something else changed", n)
		}
	}
}

// TestImageThatBreaksOff: what came is there, and behind it what was there before.
func TestImageThatBreaksOff(t *testing.T) {
	w := start(t, t.TempDir())
	data := image(10, contentSize)
	_, path := w.filled(data)
	for _, first := range []int{0, 3333} {
		part := image(uint64(11+first), contentSize-first)
		head := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n"+
			"Content-Type: %s\r\nContent-Length: %d\r\n", path, basicAuth, api.RawContentType, len(part))
		if first > 0 {
			head += fmt.Sprintf("Content-Range: bytes %d-%d/*\r\n", first, contentSize-1)
		}
		conn := w.half(head + "\r\n" + string(part[:400_000]))
		conn.Close()
		copy(data[first:], part[:400_000])
		want := fmt.Sprintf("cut off after %d bytes", 400_000)
		for end := time.Now().Add(time.Minute); strings.Count(w.log.String(), want) < min(first, 1)+1; {
			if time.Now().After(end) {
				t.Fatalf("the server has not noticed:\n%s", w.log)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if !bytes.Equal(w.bytesOf(path), data) {
			t.Errorf("from %d: the content is another", first)
		}
	}
}

// TestImageOfATarget: what is sent of a target is its instant, whatever is written to
// the source, also over REST; and a target is not written to.
func TestImageOfATarget(t *testing.T) {
	w := start(t, t.TempDir())
	data := image(12, contentSize)
	source, path := w.filled(data)
	target, copied := w.filled(image(13, contentSize))
	req := api.EstablishRequest{Pairs: []api.TaskPair{{Source: source, Target: target}}}
	req.Options.NoCopy = true
	w.do("POST", "/v1/relationships", req, 201, nil)
	kind := []string{"Content-Type", api.RawContentType}
	w.do("PUT", path, strings.NewReader("new"), 200, nil,
		append(kind, "Content-Range", "bytes 65535-65537/*")...)
	if !bytes.Equal(w.bytesOf(copied), data) {
		t.Error("a range that was written to the source is in the image")
	}
	w.do("PUT", path, bytes.NewReader(image(14, contentSize)), 200, nil, kind...)
	resp, got := w.request("GET", copied, nil, "Range", "bytes=65000-200000")
	if resp.StatusCode != 206 || !bytes.Equal(got, data[65_000:200_001]) {
		t.Errorf("a range of the image: %s, %d bytes", resp.Status, len(got))
	}
	for _, more := range [][]string{nil, {"Content-Range", "bytes 0-0/*"}} {
		w.refused("PUT", copied+"?force=true", strings.NewReader("x"), 422, fault.Refused,
			"is the target of "+source, append(kind, more...)...)
	}
	if !bytes.Equal(w.bytesOf(copied), data) {
		t.Error("the image is another now")
	}
}

// TestImageUnderAHost: bytes and ranges obey the rule of an import.
func TestImageUnderAHost(t *testing.T) {
	w := start(t, t.TempDir())
	data := image(15, contentSize)
	serial, path := w.filled(data)
	w.disk(serial)
	for _, more := range [][]string{nil, {"Content-Range", "bytes 0-0/*"}} {
		header := append([]string{"Content-Type", api.RawContentType}, more...)
		w.refused("PUT", path, strings.NewReader("x"), 422, fault.Refused, "127.0.0.1, read-write since ",
			header...)
		if !bytes.Equal(w.bytesOf(path), data) {
			t.Error("the content was replaced")
		}
		w.do("PUT", path+"?force=true", bytes.NewReader(data[:1]), 200, nil, header...)
		w.do("PUT", path+"?force=true", bytes.NewReader(data), 200, nil, header[:2]...)
	}
}

// TestSlowReaderHoldsNobodyUp: a client takes no more of a volume, and the server is
// ready with it for others.
func TestSlowReaderHoldsNobodyUp(t *testing.T) {
	w := start(t, t.TempDir())
	const size = 32 << 20 // more than the system keeps for a connection
	w.fullVolume(size)
	conn := w.half(exportOf("00013698", "*/*"))
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	must(t, err)
	_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	quick := func(method, path, body string, header ...string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, "https://"+w.Addr()+path,
			strings.NewReader(body))
		must(t, err)
		req.SetBasicAuth(w.user, w.pass)
		req.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := w.client.Do(req)
		must(t, err)
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			t.Errorf("%s %s: %s", method, path, resp.Status)
		}
	}
	quick("POST", "/v1/relationships",
		`{"pairs":[{"source":"00013698","target":"00113698"}],"options":{"nocopy":true}}`)
	quick("PUT", "/v1/volumes/00013698/content", "x", "Content-Type", api.RawContentType,
		"Content-Range", "bytes 33554431-33554431/*")
	quick("POST", "/v1/relationships/withdraw",
		`{"pairs":[{"source":"00013698","target":"00113698"}]}`)
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != size-1<<20 {
		t.Errorf("%d bytes came of what was left: %v", n, err)
	}
}

// breaking is an array whose volumes can be read up to an offset.
type breaking struct {
	*filearray.Array
	at int64
}

func (b breaking) OpenVolume(
	ctx context.Context, s arrayclient.Serial,
) (arrayclient.VolumeIO, error) {
	v, err := b.Array.OpenVolume(ctx, s)
	return brokenVolume{v, b.at}, err
}

type brokenVolume struct {
	arrayclient.VolumeIO
	at int64
}

func (b brokenVolume) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.at {
		return 0, fault.New(fault.Failed, "the disk is broken")
	}
	return b.VolumeIO.ReadAt(p, off)
}

// TestImageThatCannotBeRead: a client never takes a part for the whole.
func TestImageThatCannotBeRead(t *testing.T) {
	seams := testSeams
	seams.wrap = func(a *filearray.Array) arrayclient.Array { return breaking{a, 2 << 20} }
	w := startWith(t, t.TempDir(), seams)
	_, path := w.filled(image(16, 4<<20))
	w.refused("GET", path, nil, 500, fault.Failed, "the disk is broken", "Range", "bytes=3000000-")
	resp, got := w.request("GET", path, nil, "Range", "bytes=0-999999")
	if resp.StatusCode != 206 || len(got) != 1_000_000 {
		t.Errorf("what can be read: %s, %d bytes", resp.Status, len(got))
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+w.Addr()+path, nil)
	must(t, err)
	req.SetBasicAuth(w.user, w.pass)
	resp, err = w.client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) || n > 2<<20 {
		t.Errorf("%d bytes came, then %v", n, err)
	}
}
