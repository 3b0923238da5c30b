package segments

import (
	"errors"
	"sync"
	"sync/atomic"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
)

// File is a segment of a volume, or the file of its write log. It knows whether what was written
// to it is synced, and has a stamp.
type File struct {
	disk.File
	dirty   atomic.Bool
	exposed atomic.Bool // some of what is dirty is in no stage
	syncMu  sync.Mutex
	failed  error // of the sync that failed; guarded by syncMu

	stamp stamp
	share *sharer // the volume that it is of; nil for that of a log
	base  int64   // offset in the volume
}

// Dirty reports whether Sync has something to sync.
func (s *File) Dirty() bool { return s.dirty.Load() }

// Sync makes the writes that returned before it durable. The mutex makes a
// caller wait for the sync that another one began for both; when that one
// failed, it failed for both.
func (s *File) Sync() error {
	return s.syncIf(&s.dirty)
}

// flush is Sync, but may leave out what is in a log too.
func (s *File) flush() error {
	return s.syncIf(&s.exposed)
}

// syncIf syncs if flag is set.
func (s *File) syncIf(flag *atomic.Bool) error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.failed == nil && flag.Load() {
		s.dirty.Store(false)
		s.exposed.Store(false)
		end := s.share.beginSync(bitmap.RangeAt(s.base, disk.SegmentSize))
		stamped := s.stamp.renew(s.File)
		s.failed = s.File.Sync()
		if s.failed == nil && stamped {
			s.stamp.all.add(&s.stamp)
		}
		if s.failed == nil && end() {
			s.dirty.Store(true)
		}
	}
	return s.failed
}

// expose notes that what is dirty is in no stage.
func (s *File) expose() {
	s.exposed.Store(true)
	s.dirty.Store(true)
}

// change notes that the file was changed, by what is in no stage.
func (s *File) change() {
	s.stamp.change()
	s.expose()
}

// Write writes p at an offset. It marks the file dirty behind the write, so that a
// sync that runs meanwhile leaves the mark for the next one.
func (s *File) Write(p []byte, at int64) error {
	defer s.share.release(s.share.claim(s.base+at, int64(len(p))))
	_, err := s.WriteAt(p, at)
	s.change()
	return err
}

// apply is Write for what is in a log too.
func (s *File) apply(p []byte, at int64) error {
	defer s.share.release(s.share.claim(s.base+at, int64(len(p))))
	_, err := s.WriteAt(p, at)
	s.stamp.change()
	s.dirty.Store(true)
	return err
}

func (s *File) writeZeros(at, n int64) error {
	for n > 0 {
		step := min(n, int64(len(disk.Zeros)))
		if err := s.Write(disk.Zeros[:step], at); err != nil {
			return err
		}
		at, n = at+step, n-step
	}
	return nil
}

// CloseFiles closes the files of a list.
func CloseFiles(list []*File) error {
	var errs []error
	for _, s := range list {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
