package rest

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
)

// getContent sends a volume, or a range of it. When that fails in the middle the
// connection is cut: bytes that are fewer than announced, and a sparse stream
// without its end frame, are not taken for whole.
func (s *API) getContent(q *call) (answer, error) {
	serial, err := q.serial()
	if err != nil {
		return answer{}, err
	}
	if err := q.take(streamMemory); err != nil {
		return answer{}, err
	}
	v, err := s.core.OpenContent(q.Context(), q.by, serial)
	if err != nil {
		return answer{}, err
	}
	defer v.Close()
	out, err := q.outgoing(v.Size())
	if err != nil {
		return answer{}, err
	}
	// A volume that cannot be read gets an error, not the beginning of an answer.
	if _, err := v.ReadAt(make([]byte, 1), out.first); err != nil {
		return answer{}, err
	}
	out.announce(q.w)
	if q.Method == http.MethodHead {
		return answer{streamed: true}, nil
	}
	if err := out.send(&patient{s: s, q: q, w: q.w}, v); err != nil {
		q.w.err, q.w.cut = err, true
	}
	return answer{streamed: true}, nil
}

// outgoing is how the content of a volume is sent.
type outgoing struct {
	byteRange
	size    int64 // of the volume
	partial bool  // the range was asked for
	sparse  bool  // the whole volume as a sparse stream
}

// outgoing finds out what the client wants of a volume of size bytes.
func (q *call) outgoing(size int64) (outgoing, error) {
	out := outgoing{byteRange: byteRange{0, size - 1}, size: size}
	if out.sparse = wantsSparse(q.Header.Values("Accept")); out.sparse {
		return out, nil
	}
	// Content has no validator that a part could be held against, so that the
	// condition of If-Range is never met; and only GET has ranges.
	asked := q.Header.Values("Range")
	if asked == nil || q.Method != http.MethodGet || q.Header.Get("If-Range") != "" {
		return out, nil
	}
	part, err := parseRange(strings.Join(asked, ","), size)
	if err != nil {
		q.w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		return out, err
	}
	if part != nil {
		out.byteRange, out.partial = *part, true
	}
	return out, nil
}

// wantsSparse reports whether the sparse stream is named in an Accept header, and
// is liked no less than the plain bytes.
func wantsSparse(accept []string) bool {
	var sparse, raw float64
	for element := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(element)
		if err != nil {
			continue
		}
		quality := 1.0
		if text, ok := params["q"]; ok {
			if quality, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		switch kind {
		case api.SparseContentType:
			sparse = max(sparse, quality)
		case api.RawContentType, "application/*", "*/*":
			raw = max(raw, quality)
		}
	}
	return sparse > 0 && sparse >= raw
}

// announce writes the head of the answer.
func (o outgoing) announce(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept")
	status := http.StatusOK
	if o.sparse {
		h.Set("Content-Type", api.SparseContentType)
	} else {
		h.Set("Content-Type", api.RawContentType)
		h.Set("Accept-Ranges", "bytes")
		h.Set("Content-Length", strconv.FormatInt(o.length(), 10))
	}
	if o.partial {
		h.Set("Content-Range", o.of(o.size))
		status = http.StatusPartialContent
	}
	w.WriteHeader(status)
}

func (o outgoing) send(w io.Writer, v arrayclient.VolumeIO) error {
	if o.sparse {
		return api.SendVolume(w, v)
	}
	return api.SendRange(w, v, o.first, o.length())
}

// putContent replaces the content of a volume, or a range of it. What breaks off
// leaves a beginning of it new and the rest old.
func (s *API) putContent(q *call) (answer, error) {
	serial, err := q.serial()
	if err != nil {
		return answer{}, err
	}
	in, err := q.incoming()
	if err != nil {
		return answer{}, err
	}
	force, err := q.flag("force")
	if err != nil {
		return answer{}, err
	}
	if err := q.take(streamMemory); err != nil {
		return answer{}, err
	}
	v, err := s.core.ReplaceContent(q.Context(), q.by, serial, force)
	if err != nil {
		return answer{}, err
	}
	came, err := in.receive(&patient{s: s, q: q, r: q.Body}, v)
	if closeErr := v.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return answer{}, err
	}
	stored, err := s.core.Volume(q.Context(), q.by, serial)
	if err != nil {
		return answer{}, err
	}
	volume := wireVolume(stored)
	return ok(api.WrittenVolume{Volume: volume, Warnings: in.warnings(came, volume)})
}

// incoming is how the content of a volume comes.
type incoming struct {
	sparse bool
	part   *contentRange // that is written; nil for a whole image
	length int64         // of what comes, -1 where it is not announced
}

// incoming finds out what the client sends, and refuses what would be taken for
// something that it is not meant to be: the whole volume would be lost.
func (q *call) incoming() (in incoming, err error) {
	in.length = q.ContentLength
	text := q.Header.Get("Content-Type")
	switch kind, _, err := mime.ParseMediaType(text); {
	case err == nil && kind == api.SparseContentType:
		in.sparse = true
	case err != nil || kind != api.RawContentType:
		return in, fault.New(fault.Usage, "the content of a volume is sent as %s or as %s, not %.80q",
			api.RawContentType, api.SparseContentType, text).
			WithHint("nothing was written; Content-Type says what it is")
	}
	if coding := q.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return in, fault.New(fault.Usage, "content in the coding %.20q is not taken", coding).
			WithHint("nothing was written; send it as it is")
	}
	if q.Header.Values("Range") != nil {
		return in, fault.New(fault.Usage, "the header Range is for reading").
			WithHint("nothing was written; a range is written with Content-Range")
	}
	if given := q.Header.Values("Content-Range"); given != nil {
		err = in.readRange(strings.Join(given, ","))
	}
	return in, err
}

func (in *incoming) readRange(header string) (err error) {
	if in.sparse {
		return fault.New(fault.Usage, "a range is written as %s", api.RawContentType).
			WithHint("nothing was written; a sparse stream has the whole content")
	}
	if in.part, err = parseContentRange(header); err != nil {
		return err
	}
	if n := in.part.length(); in.length >= 0 && in.length != n {
		return fault.New(fault.Usage, "the range has %d bytes, the request %d", n, in.length).
			WithHint("nothing was written")
	}
	return nil
}

// receive writes the content that comes to v. It returns the size of the image, which
// a range does not have.
func (in incoming) receive(r io.Reader, v arrayclient.VolumeIO) (size int64, err error) {
	switch {
	case in.sparse:
		stream, err := api.NewSparseReader(r, fault.Usage)
		if err != nil {
			return 0, err
		}
		return stream.Size(), api.ReceiveVolume(stream, v)
	case in.part != nil:
		if err := in.part.fits(v.Size()); err != nil {
			return 0, err
		}
		return 0, api.ReceiveRange(r, v, in.part.first, in.part.length())
	case in.length > v.Size():
		return 0, fault.New(fault.Refused, "%d bytes do not fit a volume of %d bytes", in.length,
			v.Size()).
			WithHint("nothing was written; create a volume that is large enough")
	}
	return api.ReceiveImage(r, v)
}

// warnings tell of an image that is shorter than the volume: it may have been cut
// off before it was sent.
func (in incoming) warnings(size int64, v api.Volume) []string {
	if in.part != nil || size >= v.Size {
		return nil
	}
	return []string{fmt.Sprintf("the image has %d bytes, volume %s has %d: "+
		"what is behind them is zeros now", size, v.Serial, v.Size)}
}

// patient moves the deadlines of a connection along with its progress.
type patient struct {
	s *API
	q *call
	r io.Reader
	w io.Writer
}

// Read reads, with streamTimeout to do it in.
func (p *patient) Read(b []byte) (int, error) {
	if err := p.q.control.SetReadDeadline(p.s.deadline(streamTimeout)); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

// Write writes, with streamTimeout to do it in.
func (p *patient) Write(b []byte) (n int, err error) {
	if err := p.q.control.SetWriteDeadline(p.s.deadline(streamTimeout)); err != nil {
		return 0, err
	}
	p.s.whileWaiting(func() { n, err = p.w.Write(b) }, func() {
		_ = p.q.control.SetWriteDeadline(p.s.deadline(streamTimeout))
	})
	return n, err
}
