package api

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// SparseContentType is the media type of a volume's content in the REST API:
// a sparse stream.
//
// A sparse stream is a header, frames of data and an end frame; what no frame
// covers is zeros. All numbers are big-endian; checksums are CRC-32C.
//
//	header  magic "CSPARSE\n", version u32 (1), size of the volume u64,
//	        checksum u32 of the 20 bytes before it
//	frame   offset u64, length u32, checksum u32 of the 12 bytes before it
//	        and the data, data
//	end     a frame with the volume's size as offset and length 0
//
// Frames are in ascending order, do not overlap and lie within the volume; a
// length is at most MaxFrame. Nothing follows the end frame: a stream without
// one was cut off.
const SparseContentType = "application/vnd.copyservices.sparse"

// MaxFrame is the most data in bytes that one frame of a sparse stream has.
const MaxFrame = 1 << 20

const (
	sparseMagic   = "CSPARSE\n"
	sparseVersion = 1
	headerSize    = 24
	frameSize     = 16
	zeroBlock     = arrayclient.TrackSize // blocks of zeros are left out
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SparseWriter writes a sparse stream.
type SparseWriter struct {
	w    io.Writer
	size int64
	next int64 // lowest offset the next frame may have
}

// NewSparseWriter writes the header of a stream for a volume of size bytes.
func NewSparseWriter(w io.Writer, size int64) (*SparseWriter, error) {
	header := make([]byte, 0, headerSize)
	header = append(header, sparseMagic...)
	header = binary.BigEndian.AppendUint32(header, sparseVersion)
	header = binary.BigEndian.AppendUint64(header, uint64(size))
	header = binary.BigEndian.AppendUint32(header, crc32.Checksum(header, castagnoli))
	_, err := w.Write(header)
	return &SparseWriter{w: w, size: size}, err
}

// WriteAt adds the data p at off, which must not lie before the end of what
// was added last. Blocks of zeros are left out. It keeps the conditions of
// io.WriterAt but for the order.
func (s *SparseWriter) WriteAt(p []byte, off int64) (int, error) {
	if off < s.next || off > s.size || int64(len(p)) > s.size-off {
		return 0, fault.New(fault.Failed,
			"%d bytes at %d do not fit a stream of %d bytes that is written up to %d",
			len(p), off, s.size, s.next)
	}
	done := 0
	for done < len(p) {
		zeros, data := nextRun(p[done:], off+int64(done))
		done += zeros
		if data == 0 {
			continue
		}
		if err := s.frame(off+int64(done), p[done:done+data]); err != nil {
			return done, err
		}
		done += data
	}
	s.next = off + int64(len(p))
	return done, nil
}

// Close writes the end frame; without it the stream counts as cut off. It
// does not close the underlying writer.
func (s *SparseWriter) Close() error { return s.frame(s.size, nil) }

func (s *SparseWriter) frame(off int64, p []byte) error {
	head := make([]byte, 0, frameSize)
	head = binary.BigEndian.AppendUint64(head, uint64(off))
	head = binary.BigEndian.AppendUint32(head, uint32(len(p)))
	head = binary.BigEndian.AppendUint32(head, frameSum(head, p))
	if _, err := s.w.Write(head); err != nil {
		return err
	}
	_, err := s.w.Write(p)
	return err
}

func frameSum(head, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, data)
}

// nextRun splits the start of p, which lies at off, into zeros that may be
// left out and data of at most MaxFrame bytes.
func nextRun(p []byte, off int64) (zeros, data int) {
	for zeros < len(p) {
		n := blockAt(p[zeros:], off+int64(zeros))
		if !isZero(p[zeros : zeros+n]) {
			break
		}
		zeros += n
	}
	for data < min(len(p)-zeros, MaxFrame) {
		at := zeros + data
		n := blockAt(p[at:], off+int64(at))
		if data > 0 && (data+n > MaxFrame || isZero(p[at:at+n])) {
			break
		}
		data += n
	}
	return zeros, data
}

// blockAt is how much of p belongs to the block that off lies in.
func blockAt(p []byte, off int64) int {
	return int(min(int64(len(p)), zeroBlock-off%zeroBlock))
}

var zeroes [zeroBlock]byte

func isZero(p []byte) bool { return string(p) == string(zeroes[:len(p)]) }

// SparseReader reads a sparse stream and checks all of it.
type SparseReader struct {
	r    *bufio.Reader
	kind fault.Kind
	size int64
	next int64
	buf  []byte
	err  error
}

// NewSparseReader reads the header of a stream. kind is that of the errors
// about a stream that is damaged or cut off: Usage where a client sent it,
// Server where the server did.
func NewSparseReader(r io.Reader, kind fault.Kind) (*SparseReader, error) {
	s := &SparseReader{r: bufio.NewReaderSize(r, 64<<10), kind: kind}
	header := make([]byte, headerSize)
	if err := s.fill(header); err != nil {
		return nil, err
	}
	sum := binary.BigEndian.Uint32(header[headerSize-4:])
	size := binary.BigEndian.Uint64(header[12:])
	switch version := binary.BigEndian.Uint32(header[8:]); {
	case string(header[:8]) != sparseMagic:
		return nil, fault.New(kind, "the content is not a sparse stream")
	case version != sparseVersion:
		return nil, fault.New(kind, "the content has version %d of the sparse stream, known is %d",
			version, sparseVersion)
	case sum != crc32.Checksum(header[:headerSize-4], castagnoli) || int64(size) < 0:
		return nil, s.damaged("its header")
	}
	s.size = int64(size)
	return s, nil
}

// Size returns the size in bytes of the volume that the stream is for.
func (s *SparseReader) Size() int64 { return s.size }

// Next returns the next piece of data and its offset; the bytes between the
// pieces are zeros. p is good until the next call. After the end frame it
// returns io.EOF, with p nil.
func (s *SparseReader) Next() (off int64, p []byte, err error) {
	if s.err == nil {
		off, p, s.err = s.read()
	}
	if s.err != nil {
		return 0, nil, s.err
	}
	return off, p, nil
}

func (s *SparseReader) read() (int64, []byte, error) {
	head := make([]byte, frameSize)
	if err := s.fill(head); err != nil {
		return 0, nil, err
	}
	off := int64(binary.BigEndian.Uint64(head))
	length := int64(binary.BigEndian.Uint32(head[8:]))
	end := off == s.size && length == 0
	if off < s.next || off > s.size || length > min(MaxFrame, s.size-off) || length == 0 && !end {
		return 0, nil, s.damaged("a frame")
	}
	if int64(cap(s.buf)) < length {
		s.buf = make([]byte, length)
	}
	p := s.buf[:length]
	if err := s.fill(p); err != nil {
		return 0, nil, err
	}
	if binary.BigEndian.Uint32(head[12:]) != frameSum(head[:12], p) {
		return 0, nil, s.damaged("the checksum of a frame")
	}
	if end {
		return 0, nil, s.ended()
	}
	s.next = off + length
	return off, p, nil
}

// ended returns io.EOF when nothing follows the end frame.
func (s *SparseReader) ended() error {
	switch _, err := s.r.ReadByte(); {
	case err == nil:
		return s.damaged("its end")
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		return s.broken(err)
	}
}

// fill reads all of p.
func (s *SparseReader) fill(p []byte) error {
	_, err := io.ReadFull(s.r, p)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(s.kind, "the content was cut off: %w", io.ErrUnexpectedEOF)
	}
	return s.broken(err)
}

func (s *SparseReader) broken(err error) error {
	var own *fault.Error
	if errors.As(err, &own) {
		return own
	}
	return fault.New(fault.Connection, "the content could not be read: %w", err)
}

func (s *SparseReader) damaged(part string) error {
	return fault.New(s.kind, "the content was damaged on its way: %s is wrong", part)
}
