package api

import (
	"errors"
	"io"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// RawContentType is the media type of a volume's content, or of a range of it, as
// it is: one byte for each.
const RawContentType = "application/octet-stream"

// SendRange writes n bytes of v from off to w, as they are. Holes are not read.
func SendRange(w io.Writer, v arrayclient.VolumeIO, off, n int64) error {
	var err error
	buf := make([]byte, min(n, MaxFrame))
	scan := v.Extents(off, n, func(length int64, hole bool) bool {
		if hole {
			err = writeZeros(w, length)
		} else {
			err = copyRange(inOrder{w}, v, off, length, buf)
		}
		off += length
		return err == nil
	})
	return errors.Join(err, scan)
}

// inOrder takes what is written to it in ascending order.
type inOrder struct{ io.Writer }

// WriteAt writes p behind what was written last.
func (o inOrder) WriteAt(p []byte, _ int64) (int, error) { return o.Write(p) }

// ReceiveImage makes the content of v the image that r has up to its end, flushes
// it, and returns the size of the image; what it is shorter by becomes zeros. An
// empty image is refused before anything is written; that one is too large shows
// when as much as the volume holds has been written. After an error the content
// of v begins with what came of the image, and is as it was behind that.
func ReceiveImage(r io.Reader, v arrayclient.VolumeIO) (size int64, err error) {
	to := &filling{v: v}
	size, err = to.receive(r, v.Size())
	switch {
	case err != nil:
		return size, err
	case size == 0:
		return 0, errEmptyImage
	case size == v.Size():
		if err := wantEnd(r, "the image is larger than the volume of %d bytes", size); err != nil {
			return size, err
		}
	}
	if err := to.zeroTo(v.Size()); err != nil {
		return size, err
	}
	return size, v.Flush()
}

// errEmptyImage refuses an image without a byte: it comes from a program that failed
// in front of a pipe, not from somebody who wants zeros.
var errEmptyImage = fault.New(fault.Usage, "the image is empty").
	WithHint("nothing was written; a volume of zeros is written as an image of one zero byte")

// ReceiveRange replaces n bytes of v from off by those of r, which must have just
// as many, and flushes them. After an error a beginning of the range has what came,
// and the rest of v is as it was.
func ReceiveRange(r io.Reader, v arrayclient.VolumeIO, off, n int64) error {
	to := &filling{v: v, end: off}
	came, err := to.receive(r, n)
	switch {
	case err != nil:
		return err
	case came < n:
		return cutOff(came)
	}
	if err := wantEnd(r, "more came than the %d bytes of the range", n); err != nil {
		return err
	}
	return v.Flush()
}

func cutOff(came int64) error {
	return fault.New(fault.Usage, "the content was cut off after %d bytes: %w", came,
		io.ErrUnexpectedEOF).
		WithHint("what came was written; send it again")
}

// wantEnd refuses r if it goes on behind the n bytes that were taken.
func wantEnd(r io.Reader, format string, n int64) error {
	k, err := fill(r, make([]byte, 1))
	switch {
	case k > 0:
		return fault.New(fault.Refused, format, n).
			WithHint("so many bytes of it were written; with its length in Content-Length none would be")
	case errors.Is(err, io.EOF):
		return nil
	}
	return unreceived(err, n)
}

// filling writes a volume from front to back; what is left out becomes zeros.
type filling struct {
	v   arrayclient.VolumeIO
	end int64 // up to which it is written
}

// receive writes at most n bytes of r, and returns how many there were. Blocks of
// zeros become holes, where the storage can.
func (f *filling) receive(r io.Reader, n int64) (came int64, err error) {
	buf := make([]byte, min(n, MaxFrame))
	begin := f.end
	for came < n && err == nil {
		var k int
		k, err = fill(r, buf[:min(n-came, int64(len(buf)))])
		if failed := f.image(buf[:k], begin+came); failed != nil {
			return came, failed
		}
		came += int64(k)
	}
	// Also where it breaks off: what came is written, up to its end.
	if failed := f.zeroTo(begin + came); failed != nil {
		return came, failed
	}
	if err == nil || errors.Is(err, io.EOF) {
		return came, nil
	}
	return came, unreceived(err, came)
}

// fill is io.ReadFull that leaves the errors of r as they are: of the content of a
// request, the end and a break are different things.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = r.Read(p[n:])
		n += k
	}
	return n, err
}

func unreceived(err error, came int64) error {
	var own *fault.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, io.ErrUnexpectedEOF):
		return cutOff(came)
	}
	return fault.New(fault.Connection, "the content broke off after %d bytes: %w", came, err).
		WithHint("what came was written; send it again")
}

// image writes p at off, but for blocks of zeros at its end: more may follow.
func (f *filling) image(p []byte, off int64) error {
	for len(p) > 0 {
		zeros, data := nextRun(p, off)
		off += int64(zeros)
		if data == 0 {
			return nil
		}
		if err := f.write(p[zeros:zeros+data], off); err != nil {
			return err
		}
		off += int64(data)
		p = p[zeros+data:]
	}
	return nil
}

// write writes p at off, which must not lie before the end.
func (f *filling) write(p []byte, off int64) error {
	if err := f.zeroTo(off); err != nil {
		return err
	}
	if _, err := f.v.WriteAt(p, off); err != nil {
		return err
	}
	f.end = off + int64(len(p))
	return nil
}

// zeroTo makes what is left out up to off read as zeros.
func (f *filling) zeroTo(off int64) error {
	if off == f.end {
		return nil
	}
	if err := f.v.Zero(f.end, off-f.end, true); err != nil {
		return err
	}
	f.end = off
	return nil
}
