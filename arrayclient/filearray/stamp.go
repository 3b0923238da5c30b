package filearray

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
// image without a sign: bitmaps and staged writes count on what the file held
// later. So each segment, and each stage file, has a stamp behind its first header,
// a number that only grows. A sync that finds the file changed writes a new stamp
// first, at most once in stampAfter. The next records in the journal, or the next
// checkpoint, take down the stamps that were synced. So whatever crashes, no stamp
// is taken down that the file does not have on the disk, and a file with an older
// one is not the file that was there.
//
// An older file of a volume is refused where an image or a staged write counts on
// it. Not told are a backup that was made less than stampAfter before the file last
// changed, and after a kill a source to which hosts wrote after the last record of
// any kind: what its targets read from it has not changed since.
//
// Stamps are times, so that an array that was restored as a whole does not repeat
// those that it had given after the backup. Where the clock goes back they go on
// from the last one.
const stampAfter = time.Minute

// fileStamp is the stamp of a file. The segment's syncMu guards it.
type fileStamp struct {
	disk.Header       // as it is in the file, but for a damaged one; length is the stamp
	at          int64 // where it is in the file
	older       bool  // the file was opened with an older stamp than was taken down
	held        bool  // the file gets no new one

	volume  uint16
	fresh   *freshStamps
	given   time.Time   // when this process gave the last one
	changed atomic.Bool // the file, since then
}

func newStamp(serial string, volume uint16, uid uint64, segment int, at int64) *fileStamp {
	h := disk.StampHeader(serial, uid, segment)
	return &fileStamp{Header: h, volume: volume, at: at + disk.StampStart}
}

// openStamp reads the stamp of segment i.
func openStamp(f disk.File, serial string, v *disk.VolumeRecord, i int) (*fileStamp, error) {
	s := newStamp(serial, v.ID, v.UID, i, disk.HeaderOffset(disk.DataLength(v.Size, i)))
	var noted uint64
	if i < len(v.Stamps) {
		noted = v.Stamps[i]
	}
	return s, s.open(f, disk.SegmentName(v, i), noted)
}

// open reads the stamp of a file. A damaged one tells nothing, and is taken for the
// one that was taken down.
func (s *fileStamp) open(f disk.File, name string, noted uint64) error {
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
func (s *fileStamp) renew(f disk.File) bool {
	if s == nil || s.held || !s.changed.Load() || time.Since(s.given) < s.fresh.after {
		return false
	}
	return s.give(f) == nil
}

// give gives the file a new stamp.
func (s *fileStamp) give(f disk.File) error {
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
func (s *fileStamp) change() {
	if s != nil && !s.changed.Load() {
		s.changed.Store(true)
	}
}

// freshStamps are those that are durable and not taken down yet.
type freshStamps struct {
	after time.Duration // stampAfter
	apply func(disk.Record)

	mu   sync.Mutex
	list []disk.StampChange
}

func (f *freshStamps) add(s *fileStamp) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, disk.StampChange{
		ID: s.volume, UID: s.ID, Segment: int(s.Extra), Stamp: s.Length,
	})
}

// stampsAtOnce bounds what one commit takes down.
const stampsAtOnce = 1024

// some returns some of them, or none.
func (f *freshStamps) some() []disk.StampChange {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.list[:min(len(f.list), stampsAtOnce)])
}

// noted has the state take down stamps whose record is durable, or is about to be.
func (f *freshStamps) noted(list []disk.StampChange) {
	if len(list) == 0 {
		return
	}
	f.apply(disk.JSONRecord(disk.RecStamped, list))
	f.mu.Lock()
	defer f.mu.Unlock()
	gone := make(map[disk.StampChange]bool, len(list))
	for _, c := range list {
		gone[c] = true
	}
	f.list = slices.DeleteFunc(f.list, func(c disk.StampChange) bool { return gone[c] })
}

// noteAll has the state take down all of them, for a checkpoint.
func (f *freshStamps) noteAll() {
	for list := f.some(); len(list) > 0; list = f.some() {
		f.noted(list)
	}
}

// olderFileError is a file of a volume that is older than what counts on it.
type olderFileError struct {
	name   string
	staged bool // by writes that are staged, or with them
}

func (e *olderFileError) Error() string {
	return fmt.Sprintf("%s is older than what the array has noted of it: was it restored from a backup?", e.name)
}

// openChecked opens the files of a volume unless they are older than what counts on
// them.
func openChecked(
	fsys disk.FS, serial string, s *disk.State, rec *disk.VolumeRecord,
) ([]*segment, error) {
	segs, err := openSegments(fsys, serial, rec)
	if err == nil {
		err = checkStamps(s, rec, segs)
	}
	if err != nil {
		closeSegments(segs)
		return nil, err
	}
	return segs, nil
}

// checkStamps refuses files that are older than what images or staged writes count
// on. Where nothing does, an older file is as good as any.
func checkStamps(s *disk.State, rec *disk.VolumeRecord, segs []*segment) error {
	i := slices.IndexFunc(segs, func(s *segment) bool { return s.stamp.older })
	if i < 0 || !rec.Staged && !s.Related(rec) {
		return nil
	}
	return &olderFileError{disk.SegmentName(rec, i), rec.Staged}
}
