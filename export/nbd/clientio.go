package nbd

import (
	"errors"
	"io"

	"copyservices/arrayclient/fault"
)

const (
	// pieceIO is how many bytes one request of a Client reads or writes at most.
	pieceIO = 4 << 20
	// pieceRange is how many bytes a request without data is about at most.
	pieceRange = 1 << 30
)

// Size returns the size of the volume in bytes, as it was when it was attached.
func (c *Client) Size() int64 { return c.size }

// within refuses a range that leaves the volume.
func (c *Client) within(off, n int64) error {
	if off < 0 || n < 0 || off > c.size || n > c.size-off {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// pieces calls do for the parts of n bytes from off, of most bytes each, until one fails.
// It returns how many bytes are done.
func pieces(off, n, most int64, do func(off, n int64) error) (done int64, err error) {
	for done < n {
		length := min(most, n-done)
		if err := do(off+done, length); err != nil {
			return done, err
		}
		done += length
	}
	return done, nil
}

// ReadAt fills p from off.
func (c *Client) ReadAt(p []byte, off int64) (int, error) {
	if err := c.within(off, int64(len(p))); err != nil {
		return 0, err
	}
	done, err := pieces(off, int64(len(p)), pieceIO, func(at, n int64) error {
		x := &exchange{off: at, data: p[at-off:][:n]}
		return c.do(x, cmdRead, 0, n, nil)
	})
	return int(done), err
}

// WriteAt writes p at off.
func (c *Client) WriteAt(p []byte, off int64) (int, error) {
	if err := c.within(off, int64(len(p))); err != nil {
		return 0, err
	}
	done, err := pieces(off, int64(len(p)), pieceIO, func(at, n int64) error {
		return c.do(&exchange{off: at}, cmdWrite, 0, n, p[at-off:][:n])
	})
	return int(done), err
}

// Flush makes all writes durable that were answered before.
func (c *Client) Flush() error { return c.do(&exchange{}, cmdFlush, 0, 0, nil) }

// Zero makes n bytes from off read as zeros; with punch their space is given back.
func (c *Client) Zero(off, n int64, punch bool) error {
	if err := c.within(off, n); err != nil {
		return err
	}
	flags := uint16(cmdFlagNoHole)
	if punch {
		flags = 0
	}
	_, err := pieces(off, n, pieceRange, func(at, n int64) error {
		return c.do(&exchange{off: at}, cmdWriteZeroes, flags, n, nil)
	})
	return err
}

// Extents calls f, in order, for the extents of n bytes from off.
func (c *Client) Extents(off, n int64, f func(length int64, hole bool) bool) error {
	if err := c.within(off, n); err != nil {
		return err
	}
	_, err := pieces(off, n, pieceRange, func(at, n int64) error { return c.status(at, n, f) })
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// errEnough says that the caller of Extents needs no more.
var errEnough = errors.New("enough")

// status asks until it knows all n bytes: an answer may be about fewer.
func (c *Client) status(off, n int64, f func(length int64, hole bool) bool) error {
	for end := off + n; off < end; {
		x := &exchange{off: off}
		if err := c.do(x, cmdBlockStatus, 0, end-off, nil); err != nil {
			return err
		}
		before := off
		for _, e := range x.extents {
			length := min(e.length, end-off)
			if length > 0 && !f(length, e.hole) {
				return errEnough
			}
			off += length
		}
		if off == before {
			return fault.New(fault.Connection, "NBD server %s does not tell what is stored", c.opts.Address)
		}
	}
	return nil
}
