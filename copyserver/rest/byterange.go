package rest

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"copyservices/arrayclient/fault"
)

// byteRange is a part of a volume's content, by the offsets of its first and its
// last byte.
type byteRange struct{ first, last int64 }

func (r byteRange) length() int64 { return r.last - r.first + 1 }

// of is the range of a volume of size bytes, as Content-Range writes it.
func (r byteRange) of(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", r.first, r.last, size)
}

// errRange marks an error about a range of which nothing can be sent.
var errRange = errors.New("no such range")

// parseRange reads a Range header for content of size bytes (RFC 9110, 14.1.2 and
// 14.2). It returns nil for what a server may answer with the whole: another unit,
// and more than one range. A last byte behind the end means the last there is.
func parseRange(header string, size int64) (*byteRange, error) {
	unit, set, _ := strings.Cut(header, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Contains(set, ",") {
		return nil, nil
	}
	set = strings.Trim(set, " \t")
	from, to, isRange := strings.Cut(set, "-")
	first, hasFirst := decimal(from)
	last, hasLast := decimal(to)
	switch {
	case isRange && hasFirst && to == "":
		last = size - 1
	case isRange && from == "" && hasLast: // so many at the end
		first, last = size-min(last, size), size-1
	case !isRange || !hasFirst || !hasLast || last < first:
		return nil, fault.New(fault.Usage, "%.60q is no range of bytes: %w", set, errRange).
			WithHint("a range is FIRST-LAST, FIRST- or -LENGTH, in bytes")
	}
	if first >= size {
		return nil, fault.New(fault.Usage, "the volume has %d bytes, none in %.60q: %w", size, set,
			errRange)
	}
	return &byteRange{first, min(last, size-1)}, nil
}

// contentRange is the part of a volume that a request writes.
type contentRange struct {
	byteRange
	size int64 // of the volume, -1 where it was not given
}

// parseContentRange reads the Content-Range of a request.
func parseContentRange(header string) (*contentRange, error) {
	unit, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	set, complete, _ := strings.Cut(rest, "/")
	from, to, _ := strings.Cut(set, "-")
	first, hasFirst := decimal(from)
	last, hasLast := decimal(to)
	size, hasSize := decimal(complete)
	if complete == "*" {
		size, hasSize = -1, true
	}
	if !strings.EqualFold(unit, "bytes") || !hasFirst || !hasLast || !hasSize || last < first {
		return nil, fault.New(fault.Usage, "%.60q is no Content-Range that can be written", header).
			WithHint("nothing was written; it is \"bytes FIRST-LAST/SIZE\", or * for the size of the volume")
	}
	if last == math.MaxInt64 || size >= 0 && last >= size {
		return nil, fault.New(fault.Usage, "Content-Range %.60q names a byte behind its own end", header).
			WithHint("nothing was written; bytes are counted from 0")
	}
	return &contentRange{byteRange{first, last}, size}, nil
}

// fits refuses a range that is not one of a volume of size bytes.
func (r contentRange) fits(size int64) error {
	switch {
	case r.size >= 0 && r.size != size:
		return fault.New(fault.Refused, "the volume has %d bytes, Content-Range says %d", size, r.size).
			WithHint("nothing was written; the size is that of the volume, or *")
	case r.last >= size:
		return fault.New(fault.Refused, "byte %d does not fit a volume of %d bytes", r.last, size).
			WithHint("nothing was written")
	}
	return nil
}

// decimal reads digits. What is more than fits is as much as fits: no volume is so
// large.
func decimal(digits string) (n int64, ok bool) {
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if d := int64(c - '0'); n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
		} else {
			n = n*10 + d
		}
	}
	return n, digits != ""
}
