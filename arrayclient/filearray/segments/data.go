package segments

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"sync/atomic"

	"copyservices/arrayclient"
	"copyservices/arrayclient/filearray/disk"
)

const trackSize = arrayclient.TrackSize

// Data is the bytes of one volume in its segments, without any regard to
// relationships. Callers stay within [0, Size).
type Data struct {
	// Size is in bytes. It changes with the files, while nobody else uses them.
	Size  int64
	files []*File
	// failed is set for good when a sync failed: nothing is known any more
	// about what is on the disk.
	failed atomic.Pointer[error]
	share  *sharer
}

// Err returns why the volume takes no I/O any more, nil for a good one.
func (d *Data) Err() error {
	if p := d.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// Fail makes the volume take no I/O any more.
func (d *Data) Fail(cause error) {
	d.failed.CompareAndSwap(nil, &cause)
	d.share.leave()
}

// each calls f for the parts of [off, off+n) that are in one segment each.
func (d *Data) each(off, n int64, f func(s *File, off, n int64) error) error {
	if len(d.files) == 0 { // of a volume whose files are not there
		return d.Err()
	}
	for n > 0 {
		i := off / disk.SegmentSize
		at := off - i*disk.SegmentSize
		part := min(n, disk.SegmentSize-at)
		if err := f(d.files[i], at, part); err != nil {
			return err
		}
		off, n = off+part, n-part
	}
	return nil
}

// one returns the segment that [off, off+n) is in, nil when it spans two.
func (d *Data) one(off, n int64) *File {
	i := off / disk.SegmentSize
	if (off+n-1)/disk.SegmentSize != i {
		return nil
	}
	return d.files[i]
}

// ReadAt reads a range.
func (d *Data) ReadAt(p []byte, off int64) error {
	if err := d.Err(); err != nil {
		return err
	}
	if s := d.one(off, int64(len(p))); s != nil {
		_, err := s.ReadAt(p, off%disk.SegmentSize)
		return err
	}
	return d.each(off, int64(len(p)), func(s *File, at, n int64) error {
		_, err := s.ReadAt(p[:n], at)
		p = p[n:]
		return err
	})
}

// WriteAt writes a range, of which nothing is in a log.
func (d *Data) WriteAt(p []byte, off int64) error {
	return d.writeEach(p, off, (*File).Write)
}

// ApplyAt is WriteAt for what is in a log too, so that a flush need not sync it.
func (d *Data) ApplyAt(p []byte, off int64) error {
	return d.writeEach(p, off, (*File).apply)
}

func (d *Data) writeEach(p []byte, off int64, write func(*File, []byte, int64) error) error {
	if err := d.Err(); err != nil {
		return err
	}
	if s := d.one(off, int64(len(p))); s != nil {
		return write(s, p, off%disk.SegmentSize)
	}
	return d.each(off, int64(len(p)), func(s *File, at, n int64) error {
		err := write(s, p[:n], at)
		p = p[n:]
		return err
	})
}

// Clone makes [off, off+n) share the blocks of src; see disk.File.
func (d *Data) Clone(src *Data, off, n int64) error {
	if err := cmp.Or(d.Err(), src.Err()); err != nil {
		return err
	}
	return src.each(off, n, func(s *File, at, n int64) error {
		own := d.files[slices.Index(src.files, s)]
		defer own.share.release(own.share.claim(own.base+at, n))
		defer own.change()
		return own.Clone(s.File, at, n)
	})
}

// Zero makes a range read as zeros; punch says that it need not occupy storage.
func (d *Data) Zero(off, n int64, punch bool) error {
	if err := d.Err(); err != nil {
		return err
	}
	return d.each(off, n, func(s *File, at, n int64) error {
		if !punch {
			return s.writeZeros(at, n)
		}
		defer s.share.release(s.share.claim(s.base+at, n))
		defer s.change()
		return s.Punch(at, n)
	})
}

// WriteOut begins to bring a range to the disk; see disk.File.
func (d *Data) WriteOut(off, n int64) {
	d.each(off, n, func(s *File, at, n int64) error {
		s.WriteOut(at, n)
		return nil
	})
}

// ReadAhead begins to read a range from the disk, what of it is in the volume;
// see disk.File.
func (d *Data) ReadAhead(off, n int64) {
	d.each(off, min(n, d.Size-off), func(s *File, at, n int64) error {
		s.ReadAhead(at, n)
		return nil
	})
}

// Expose notes that what was applied is in the log no more.
func (d *Data) Expose() {
	for _, s := range d.files {
		if s.dirty.Load() {
			s.exposed.Store(true)
		}
	}
}

// IsExposed reports whether Flush has something to sync.
func (d *Data) IsExposed() bool {
	return slices.ContainsFunc(d.files, func(s *File) bool { return s.exposed.Load() })
}

// Sync makes what was written durable. When it fails the volume is failed.
func (d *Data) Sync() error {
	err := d.syncEach((*File).Sync)
	if err == nil {
		d.share.synced()
	}
	return err
}

// Flush is Sync, but may leave out what is in the log too.
func (d *Data) Flush() error { return d.syncEach((*File).flush) }

func (d *Data) syncEach(sync func(*File) error) error {
	if err := d.Err(); err != nil {
		return err
	}
	for _, s := range d.files {
		if err := sync(s); err != nil {
			d.Fail(err)
			return err
		}
	}
	return d.Err()
}

// Extents calls f for the extents of [off, off+n) in order; f returns false
// to stop.
func (d *Data) Extents(off, n int64, f func(n int64, hole bool) bool) error {
	errStop := errors.New("stop")
	err := d.each(off, n, func(s *File, at, n int64) error {
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

// Allocated returns how many bytes of storage the files occupy.
func (d *Data) Allocated() (int64, error) {
	var sum int64
	for _, s := range d.files {
		n, err := s.Allocated()
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// Close closes the files.
func (d *Data) Close() error {
	d.share.leave()
	return CloseFiles(d.files)
}

// Drop closes the files of a volume that is deleted. Who syncs it after that has
// nothing to do.
func (d *Data) Drop() error {
	err := d.Close()
	d.files = nil
	return err
}

// Filled reports whether a range has no holes.
func (d *Data) Filled(off, n int64) bool {
	full := true
	err := d.Extents(off, n, func(_ int64, hole bool) bool {
		full = full && !hole
		return full
	})
	return err == nil && full
}

// HoleTracks returns how many tracks from first, at most limit, are holes all
// through; 0 where the first is not.
func (d *Data) HoleTracks(first, limit int64) int64 {
	off := first * trackSize
	n := min(limit*trackSize, d.Size-off)
	var length int64
	err := d.Extents(off, n, func(l int64, hole bool) bool {
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

// Store writes tracks to a target. Tracks of zeros become holes.
func (d *Data) Store(p []byte, off int64) error {
	if err := d.Err(); err != nil {
		return err
	}
	for len(p) > 0 {
		n, zero := alike(p)
		var err error
		if zero {
			err = d.Clear(off, int64(n))
		} else {
			err = d.WriteAt(p[:n], off)
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// Clear makes a range read as zeros, at no cost where it does already.
func (d *Data) Clear(off, n int64) error {
	var pos int64
	var failed error
	err := d.Extents(off, n, func(length int64, hole bool) bool {
		if !hole {
			failed = d.Zero(off+pos, length, true)
		}
		pos += length
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// alike returns how many bytes at the beginning of p are tracks of zeros, or
// are not.
func alike(p []byte) (n int, zero bool) {
	isZero := func(p []byte) bool {
		track := p[:min(len(p), trackSize)]
		return bytes.Equal(track, disk.Zeros[:len(track)])
	}
	zero = isZero(p)
	for n < len(p) && isZero(p[n:]) == zero {
		n += min(len(p)-n, trackSize)
	}
	return n, zero
}

// Bound returns how much of a range has no more than most bytes of data, in few
// extents.
func (d *Data) Bound(off, n, most int64) int64 {
	var length, sum int64
	extents := 0
	err := d.Extents(off, n, func(l int64, hole bool) bool {
		if !hole {
			l = min(l, most-sum)
			sum += l
		}
		length += l
		extents++
		return sum < most && extents < fewExtents
	})
	if err != nil {
		return min(n, most)
	}
	return length
}

// fewExtents is how many extents Bound looks at.
const fewExtents = 256

// HoldStamps keeps the files from getting new stamps, or lets them.
func (d *Data) HoldStamps(hold bool) {
	for _, s := range d.files {
		s.syncMu.Lock()
		s.stamp.held = hold
		s.syncMu.Unlock()
	}
}

// Older reports whether a file was opened with an older stamp than was noted.
func (d *Data) Older() bool {
	return slices.ContainsFunc(d.files, func(s *File) bool { return s.stamp.older })
}
