package api

import (
	"errors"
	"io"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// SendVolume writes the content of v to w as a sparse stream. Holes cost
// nothing. Where it fails the stream has no end frame, so that the receiver
// knows.
func SendVolume(w io.Writer, v arrayclient.VolumeIO) error {
	out, err := NewSparseWriter(w, v.Size())
	if err != nil {
		return err
	}
	var off int64
	buf := make([]byte, MaxFrame)
	scan := v.Extents(0, v.Size(), func(length int64, hole bool) bool {
		if !hole {
			err = copyRange(out, v, off, length, buf)
		}
		off += length
		return err == nil
	})
	if err := errors.Join(err, scan); err != nil {
		return err
	}
	return out.Close()
}

// copyRange copies n bytes at off from r to the same place of w.
func copyRange(w io.WriterAt, r io.ReaderAt, off, n int64, buf []byte) error {
	for n > 0 {
		p := buf[:min(n, int64(len(buf)))]
		if got, err := r.ReadAt(p, off); got < len(p) {
			return err
		}
		if _, err := w.WriteAt(p, off); err != nil {
			return err
		}
		off += int64(len(p))
		n -= int64(len(p))
	}
	return nil
}

// ReceiveVolume makes the content of v what the stream in says and flushes
// it. A stream of a smaller volume leaves zeros behind its end; one of a
// larger volume is refused before anything is written. After any other error
// the content of v is partly old and partly new.
func ReceiveVolume(in *SparseReader, v arrayclient.VolumeIO) error {
	if in.Size() > v.Size() {
		return fault.New(fault.Refused, "%d bytes do not fit a volume of %d bytes", in.Size(), v.Size())
	}
	to := filling{v: v}
	for {
		off, p, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := to.write(p, off); err != nil {
			return err
		}
	}
	if err := to.zeroTo(v.Size()); err != nil {
		return err
	}
	return v.Flush()
}
