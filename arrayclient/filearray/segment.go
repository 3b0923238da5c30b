package filearray

import (
	"errors"
	"sync"
	"sync/atomic"

	"copyservices/arrayclient/filearray/disk"
)

type segment struct {
	disk.File
	dirty   atomic.Bool
	exposed atomic.Bool // some of what is dirty is in no stage
	syncMu  sync.Mutex
	failed  error // of the sync that failed; guarded by syncMu

	stamp *fileStamp // nil for files that have none
	share *sharer    // the volume that it is of; nil for other files
	base  int64      // offset in the volume
}

// sync makes the writes that returned before it durable. The mutex makes a
// caller wait for the sync that another one began for both; when that one
// failed, it failed for both.
func (s *segment) sync() error {
	return s.syncIf(&s.dirty)
}

// flush is sync, but may leave out what is in a stage too.
func (s *segment) flush() error {
	return s.syncIf(&s.exposed)
}

// syncIf syncs if flag is set.
func (s *segment) syncIf(flag *atomic.Bool) error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.failed == nil && flag.Load() {
		s.dirty.Store(false)
		s.exposed.Store(false)
		end := s.share.beginSync(tracksAt(s.base, disk.SegmentSize))
		stamped := s.stamp.renew(s.File)
		s.failed = s.File.Sync()
		if s.failed == nil && stamped {
			s.stamp.fresh.add(s.stamp)
		}
		if s.failed == nil && end() {
			s.dirty.Store(true)
		}
	}
	return s.failed
}

// expose notes that what is dirty is in no stage.
func (s *segment) expose() {
	s.exposed.Store(true)
	s.dirty.Store(true)
}

// change notes that the segment was changed, by what is in no stage.
func (s *segment) change() {
	s.stamp.change()
	s.expose()
}

// createSegments makes the files of v and makes them durable, their entries
// in the folder excepted. What it made before an error it removes.
func createSegments(fsys disk.FS, serial string, v *disk.VolumeRecord) (err error) {
	for i := range disk.Segments(v.Size) {
		err = createSegment(fsys, serial, v, i)
		if err != nil {
			removeSegments(fsys, v)
			return err
		}
	}
	return nil
}

func createSegment(fsys disk.FS, serial string, v *disk.VolumeRecord, i int) error {
	f, err := fsys.Create(disk.SegmentName(v, i))
	if err != nil {
		return err
	}
	length := disk.DataLength(v.Size, i)
	_, err = f.WriteAt(disk.SegmentTail(serial, v, i, disk.NextStamp(0)), disk.HeaderOffset(length))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// removeSegments removes what files of v there are.
func removeSegments(fsys disk.FS, v *disk.VolumeRecord) error {
	var errs []error
	for i := range disk.Segments(v.Size) {
		if err := fsys.Remove(disk.SegmentName(v, i)); !disk.IsNotExist(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func openSegments(fsys disk.FS, serial string, v *disk.VolumeRecord) ([]*segment, error) {
	var list []*segment
	for i := range disk.Segments(v.Size) {
		s, err := openSegment(fsys, serial, v, i)
		if err != nil {
			closeSegments(list)
			return nil, err
		}
		// A process that was killed may have left what it wrote unsynced, so
		// the first sync is not one to be spared.
		s.expose()
		list = append(list, s)
	}
	return list, nil
}

func openSegment(fsys disk.FS, serial string, v *disk.VolumeRecord, i int) (*segment, error) {
	name := disk.SegmentName(v, i)
	f, err := fsys.Open(name)
	if disk.IsNotExist(err) {
		return nil, disk.Corrupt(name, "it is missing")
	}
	if err != nil {
		return nil, err
	}
	want := disk.SegmentHeader(serial, v, i)
	at := disk.HeaderOffset(int64(want.Length))
	got, err := disk.ReadHeader(f, name, at, disk.MagicVolume, serial)
	if err == nil && got != want {
		err = disk.Corrupt(name, "it is another volume's file")
	}
	s := &segment{File: f}
	if err == nil {
		s.stamp, err = openStamp(f, serial, v, i)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func closeSegments(list []*segment) error {
	var errs []error
	for _, s := range list {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
