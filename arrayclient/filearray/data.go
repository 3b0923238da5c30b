package filearray

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"sync/atomic"

	"copyservices/arrayclient/filearray/disk"
)

// data is the bytes of one volume in its segments, without any regard to
// relationships. Callers stay within [0, size).
type data struct {
	size int64
	segs []*segment
	// failed is set for good when a sync failed: nothing is known any more
	// about what is on the disk.
	failed atomic.Pointer[error]
	share  *sharer
}

// err returns why the volume takes no I/O any more, nil for a good one.
func (d *data) err() error {
	if p := d.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// fail makes the volume take no I/O any more.
func (d *data) fail(cause error) {
	d.failed.CompareAndSwap(nil, &cause)
	d.share.leave()
}

// each calls f for the parts of [off, off+n) that are in one segment each.
func (d *data) each(off, n int64, f func(s *segment, off, n int64) error) error {
	if len(d.segs) == 0 { // of a volume whose files are not there
		return d.err()
	}
	for n > 0 {
		i := off / disk.SegmentSize
		at := off - i*disk.SegmentSize
		part := min(n, disk.SegmentSize-at)
		if err := f(d.segs[i], at, part); err != nil {
			return err
		}
		off, n = off+part, n-part
	}
	return nil
}

// one returns the segment that [off, off+n) is in, nil when it spans two.
func (d *data) one(off, n int64) *segment {
	i := off / disk.SegmentSize
	if (off+n-1)/disk.SegmentSize != i {
		return nil
	}
	return d.segs[i]
}

func (d *data) readAt(p []byte, off int64) error {
	if err := d.err(); err != nil {
		return err
	}
	if s := d.one(off, int64(len(p))); s != nil {
		_, err := s.ReadAt(p, off%disk.SegmentSize)
		return err
	}
	return d.each(off, int64(len(p)), func(s *segment, at, n int64) error {
		_, err := s.ReadAt(p[:n], at)
		p = p[n:]
		return err
	})
}

func (d *data) writeAt(p []byte, off int64) error {
	return d.writeEach(p, off, (*segment).write)
}

// applyAt is writeAt for what is in a stage too, so that a flush need not sync it.
func (d *data) applyAt(p []byte, off int64) error {
	return d.writeEach(p, off, (*segment).apply)
}

func (d *data) writeEach(p []byte, off int64, write func(*segment, []byte, int64) error) error {
	if err := d.err(); err != nil {
		return err
	}
	if s := d.one(off, int64(len(p))); s != nil {
		return write(s, p, off%disk.SegmentSize)
	}
	return d.each(off, int64(len(p)), func(s *segment, at, n int64) error {
		err := write(s, p[:n], at)
		p = p[n:]
		return err
	})
}

// write marks the segment dirty behind the write, so that a sync that runs
// meanwhile leaves the mark for the next one.
func (s *segment) write(p []byte, at int64) error {
	defer s.share.release(s.share.claim(s.base+at, int64(len(p))))
	_, err := s.WriteAt(p, at)
	s.change()
	return err
}

// apply is write for what is in a stage too.
func (s *segment) apply(p []byte, at int64) error {
	defer s.share.release(s.share.claim(s.base+at, int64(len(p))))
	_, err := s.WriteAt(p, at)
	s.stamp.change()
	s.dirty.Store(true)
	return err
}

// clone makes [off, off+n) share the blocks of src; see File.Clone.
func (d *data) clone(src *data, off, n int64) error {
	if err := cmp.Or(d.err(), src.err()); err != nil {
		return err
	}
	return src.each(off, n, func(s *segment, at, n int64) error {
		own := d.segs[slices.Index(src.segs, s)]
		defer own.share.release(own.share.claim(own.base+at, n))
		defer own.change()
		return own.Clone(s.File, at, n)
	})
}

func (d *data) zero(off, n int64, punch bool) error {
	if err := d.err(); err != nil {
		return err
	}
	return d.each(off, n, func(s *segment, at, n int64) error {
		if !punch {
			return s.writeZeros(at, n)
		}
		defer s.share.release(s.share.claim(s.base+at, n))
		defer s.change()
		return s.Punch(at, n)
	})
}

func (s *segment) writeZeros(at, n int64) error {
	for n > 0 {
		step := min(n, int64(len(disk.Zeros)))
		if err := s.write(disk.Zeros[:step], at); err != nil {
			return err
		}
		at, n = at+step, n-step
	}
	return nil
}

// writeOut begins to bring a range to the disk; see File.WriteOut.
func (d *data) writeOut(off, n int64) {
	d.each(off, n, func(s *segment, at, n int64) error {
		s.WriteOut(at, n)
		return nil
	})
}

// readAhead begins to read a range from the disk, what of it is in the volume;
// see File.ReadAhead.
func (d *data) readAhead(off, n int64) {
	d.each(off, min(n, d.size-off), func(s *segment, at, n int64) error {
		s.ReadAhead(at, n)
		return nil
	})
}

// expose notes that what was applied is in the stage no more.
func (d *data) expose() {
	for _, s := range d.segs {
		if s.dirty.Load() {
			s.exposed.Store(true)
		}
	}
}

// isExposed reports whether flush has something to sync.
func (d *data) isExposed() bool {
	return slices.ContainsFunc(d.segs, func(s *segment) bool { return s.exposed.Load() })
}

// sync makes what was written durable. When it fails the volume is failed.
func (d *data) sync() error {
	err := d.syncEach((*segment).sync)
	if err == nil {
		d.share.synced()
	}
	return err
}

// flush is sync, but may leave out what is in the stage too.
func (d *data) flush() error { return d.syncEach((*segment).flush) }

func (d *data) syncEach(sync func(*segment) error) error {
	if err := d.err(); err != nil {
		return err
	}
	for _, s := range d.segs {
		if err := sync(s); err != nil {
			d.fail(err)
			return err
		}
	}
	return d.err()
}

// extents calls f for the extents of [off, off+n) in order; f returns false
// to stop.
func (d *data) extents(off, n int64, f func(n int64, hole bool) bool) error {
	errStop := errors.New("stop")
	err := d.each(off, n, func(s *segment, at, n int64) error {
		for end := at + n; at < end; {
			start, stop, err := s.NextData(at, end)
			if err != nil {
				return err
			}
			if start > at && !f(start-at, true) || stop > start && !f(stop-start, false) {
				return errStop
			}
			at = stop
			if start == end {
				at = end
			}
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func (d *data) allocated() (int64, error) {
	var sum int64
	for _, s := range d.segs {
		n, err := s.Allocated()
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func (d *data) close() error {
	d.share.leave()
	return closeSegments(d.segs)
}

// readData reads n bytes of f from off, but for a hole at their end.
func readData(f disk.File, off, n int64) ([]byte, error) {
	end := off
	for at := off; at < off+n; {
		start, stop, err := f.NextData(at, off+n)
		if err != nil {
			return nil, err
		}
		if start < stop {
			end = stop
		}
		at = max(stop, at+1)
	}
	b := make([]byte, end-off)
	if _, err := f.ReadAt(b, off); err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}

// filled reports whether a range has no holes.
func (d *data) filled(off, n int64) bool {
	full := true
	err := d.extents(off, n, func(_ int64, hole bool) bool {
		full = full && !hole
		return full
	})
	return err == nil && full
}

// holeTracks returns how many tracks from first, at most limit, are holes all
// through; 0 where the first is not.
func (d *data) holeTracks(first, limit int64) int64 {
	off := first * trackSize
	n := min(limit*trackSize, d.size-off)
	var length int64
	err := d.extents(off, n, func(l int64, hole bool) bool {
		if hole {
			length += l
		}
		return hole
	})
	if err != nil {
		return 0
	}
	if length == n {
		return limit
	}
	return length / trackSize
}

// store writes tracks to a target. Tracks of zeros become holes.
func (d *data) store(p []byte, off int64) error {
	if err := d.err(); err != nil {
		return err
	}
	for len(p) > 0 {
		n, zero := alike(p)
		var err error
		if zero {
			err = d.clear(off, int64(n))
		} else {
			err = d.writeAt(p[:n], off)
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// clear makes a range read as zeros, at no cost where it does already.
func (d *data) clear(off, n int64) error {
	var pos int64
	var failed error
	err := d.extents(off, n, func(length int64, hole bool) bool {
		if !hole {
			failed = d.zero(off+pos, length, true)
		}
		pos += length
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// holdStamps keeps the files from getting new stamps, or lets them.
func (d *data) holdStamps(hold bool) {
	for _, s := range d.segs {
		s.syncMu.Lock()
		s.stamp.held = hold
		s.syncMu.Unlock()
	}
}
