package api

import (
	"errors"
	"io"
	"os"

	"copyservices/arrayclient/fault"
)

// SendFile writes the content of a file that can seek, a block device too, as
// a sparse stream for a volume of size bytes, which must not be smaller than
// the file. Holes are not read where the system can tell. progress, if not
// nil, is called with the offset up to which the file is done.
func SendFile(w io.Writer, f *os.File, size int64, progress func(off int64)) error {
	length, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return unreadable(err)
	}
	if length > size {
		return tooLarge(size)
	}
	out, err := NewSparseWriter(w, size)
	if err != nil {
		return err
	}
	buf := make([]byte, MaxFrame)
	for off := int64(0); off < length; {
		start, end := nextData(f, off, length)
		for start < end {
			n := min(end-start, MaxFrame)
			if err := copyRange(out, image{f}, start, n, buf); err != nil {
				return err
			}
			start += n
			report(progress, start)
		}
		off = end
		report(progress, off)
	}
	return out.Close()
}

// SendStream is SendFile for a source of unknown length, a pipe. That it is
// too large is noticed only when size bytes were sent; the stream is left
// without an end then.
func SendStream(w io.Writer, r io.Reader, size int64, progress func(off int64)) error {
	out, err := NewSparseWriter(w, size)
	if err != nil {
		return err
	}
	buf := make([]byte, MaxFrame)
	for off := int64(0); ; {
		n, err := io.ReadFull(r, buf)
		if int64(n) > size-off {
			return tooLarge(size)
		}
		if _, err := out.WriteAt(buf[:n], off); err != nil {
			return err
		}
		off += int64(n)
		report(progress, off)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return out.Close()
		case err != nil:
			return unreadable(err)
		}
	}
}

// EmptyFile is a new file: an *os.File.
type EmptyFile interface {
	io.WriterAt
	Truncate(size int64) error
}

// ReceiveFile writes a sparse stream into a file, which gets the size of the
// volume; what is zeros becomes holes. Errors of f are returned as they are.
func ReceiveFile(in *SparseReader, f EmptyFile, progress func(off int64)) error {
	if err := f.Truncate(in.Size()); err != nil {
		return err
	}
	for {
		off, p, err := in.Next()
		if errors.Is(err, io.EOF) {
			report(progress, in.Size())
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(p, off); err != nil {
			return err
		}
		report(progress, off+int64(len(p)))
	}
}

// ReceiveStream writes the whole content of a volume, zeros included, to w,
// whose errors are returned as they are.
func ReceiveStream(in *SparseReader, w io.Writer, progress func(off int64)) error {
	var end int64
	for {
		off, p, err := in.Next()
		last := errors.Is(err, io.EOF)
		if last {
			off = in.Size()
		} else if err != nil {
			return err
		}
		if err := writeZeros(w, off-end); err != nil {
			return err
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
		end = off + int64(len(p))
		report(progress, end)
		if last {
			return nil
		}
	}
}

func writeZeros(w io.Writer, n int64) error {
	for n > 0 {
		k, err := w.Write(zeroes[:min(n, zeroBlock)])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

func report(progress func(off int64), off int64) {
	if progress != nil {
		progress(off)
	}
}

// image gives the errors of reading a file their kind, to tell them from
// those of sending.
type image struct{ *os.File }

func (i image) ReadAt(p []byte, off int64) (int, error) {
	n, err := i.File.ReadAt(p, off)
	if err != nil {
		err = unreadable(err)
	}
	return n, err
}

func tooLarge(size int64) error {
	return fault.New(fault.Refused, "the image is larger than the volume of %d bytes", size).
		WithHint("create a volume that is large enough: esscli create volume --size SIZE")
}

func unreadable(err error) error {
	return fault.New(fault.Failed, "cannot read the image: %w", err)
}
