package segments

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"copyservices/arrayclient/filearray/disk"
)

// One file of one volume that is put back from an older backup would make a wrong
// image without a sign: bitmaps and logged writes count on what the file held
// later. So each segment, and each file of a log, has a stamp behind its first header,
// a number that only grows. A sync that finds the file changed writes a new stamp
// first, at most once in stampAfter. The next records in the journal, or the next
// checkpoint, take down the stamps that were synced. So whatever crashes, no stamp
// is taken down that the file does not have on the disk, and a file with an older
// one is not the file that was there.
//
// An older file of a volume is refused where an image or a logged write counts on
// it. Not told are a backup that was made less than stampAfter before the file last
// changed, and after a kill a source to which hosts wrote after the last record of
// any kind: what its targets read from it has not changed since.
//
// Stamps are times, so that an array that was restored as a whole does not repeat
// those that it had given after the backup. Where the clock goes back they go on
// from the last one.
const stampAfter = time.Minute

// stamp is the stamp of a file, whose syncMu guards it.
type stamp struct {
	disk.Header       // as it is in the file, but for a damaged one; length is the stamp
	at          int64 // where it is in the file
	older       bool  // the file was opened with an older stamp than was taken down
	held        bool  // the file gets no new one

	volume  uint16
	all     *Stamps
	given   time.Time   // when this process gave the last one
	changed atomic.Bool // the file, since then
}

// newStamp returns the stamp behind the header at an offset of a file.
func (f *Folder) newStamp(volume uint16, uid uint64, segment int, at int64) stamp {
	h := disk.StampHeader(f.serial, uid, segment)
	return stamp{Header: h, volume: volume, at: at + disk.StampStart, all: &f.Stamps}
}

// notedStamp returns the stamp that was taken down of segment i, 0 for none.
func notedStamp(v *disk.VolumeRecord, i int) uint64 {
	if i < len(v.Stamps) {
		return v.Stamps[i]
	}
	return 0
}

// open reads the stamp of a file. A damaged one tells nothing, and is taken for the
// one that was taken down.
func (s *stamp) open(f disk.File, name string, noted uint64) error {
	found, err := disk.ReadStamp(f, name, s.at, s.Header)
	var damage *disk.CorruptError
	if errors.As(err, &damage) {
		found, err = noted, nil
	}
	s.older = found < noted
	s.Length = max(found, noted)
	return err
}

// renew gives the file a new stamp if it is time for one, and reports whether it
// did. Without, the file can be taken for an older one's equal, which is no reason
// to refuse a sync.
func (s *stamp) renew(f disk.File) bool {
	if s.held || !s.changed.Load() || time.Since(s.given) < s.all.After {
		return false
	}
	return s.give(f) == nil
}

// give gives the file a new stamp.
func (s *stamp) give(f disk.File) error {
	s.changed.Store(false)
	s.Length = disk.NextStamp(s.Length)
	if _, err := f.WriteAt(s.Encode(), s.at); err != nil {
		s.changed.Store(true)
		return err
	}
	s.given = time.Now()
	return nil
}

// change notes that the file was changed.
func (s *stamp) change() {
	if !s.changed.Load() {
		s.changed.Store(true)
	}
}

// OpenStamp reads the stamp of a log. It returns an OlderError when the stamp
// noted is newer.
func (s *File) OpenStamp(name string, noted uint64) error {
	if err := s.stamp.open(s.File, name, noted); err != nil {
		return err
	}
	if s.stamp.older {
		return &OlderError{name, true}
	}
	return nil
}

// GiveStamp gives the new file of a log a stamp after the one noted. Its first sync gives
// it another one, which is taken down.
func (s *File) GiveStamp(noted uint64) error {
	s.stamp.Length = noted
	err := s.stamp.give(s.File)
	s.stamp.given = time.Time{}
	return err
}

// Stamps are those of an array that are durable and not taken down yet.
type Stamps struct {
	// After is how long a file that changes all the time has the same stamp.
	After time.Duration
	note  func(disk.Record)

	mu   sync.Mutex
	list []disk.StampChange
}

func (s *Stamps) add(one *stamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, disk.StampChange{
		ID: one.volume, UID: one.ID, Segment: int(one.Extra), Stamp: one.Length,
	})
}

// stampsAtOnce bounds what one commit takes down.
const stampsAtOnce = 1024

// Some returns some of them, or none.
func (s *Stamps) Some() []disk.StampChange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list[:min(len(s.list), stampsAtOnce)])
}

// Noted has the state take down stamps whose record is durable, or is about to be.
func (s *Stamps) Noted(list []disk.StampChange) {
	if len(list) == 0 {
		return
	}
	s.note(disk.JSONRecord(disk.RecStamped, list))
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := make(map[disk.StampChange]bool, len(list))
	for _, c := range list {
		gone[c] = true
	}
	s.list = slices.DeleteFunc(s.list, func(c disk.StampChange) bool { return gone[c] })
}

// NoteAll has the state take down all of them, for a checkpoint.
func (s *Stamps) NoteAll() {
	for list := s.Some(); len(list) > 0; list = s.Some() {
		s.Noted(list)
	}
}

// OlderError tells of a file of a volume that is older than what counts on it.
type OlderError struct {
	name   string
	Staged bool // by writes that are logged, or with them
}

func (e *OlderError) Error() string {
	return fmt.Sprintf("%s is older than what the array has noted of it: was it restored from a backup?", e.name)
}

// checkStamps refuses files that are older than what images or logged writes count
// on. Where nothing does, an older file is as good as any.
func checkStamps(s *disk.State, rec *disk.VolumeRecord, files []*File) error {
	i := slices.IndexFunc(files, func(s *File) bool { return s.stamp.older })
	if i < 0 || !rec.Staged && !s.Related(rec) {
		return nil
	}
	return &OlderError{disk.SegmentName(rec, i), rec.Staged}
}
