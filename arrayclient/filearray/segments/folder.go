package segments

import (
	"errors"
	"io/fs"
	"slices"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/disk"
)

// Folder is the segments of all volumes of an array: it makes, opens and removes
// them, knows the stamps that they got, and keeps apart those that share blocks.
type Folder struct {
	fsys   disk.FS
	serial string
	// Stamps are those that files got and that are not taken down yet.
	Stamps  Stamps
	sharing *sharing
}

// NewFolder returns the segments in fsys of an array with a serial. Stamps are given
// to note when their record is durable; it may be nil where nothing is written.
func NewFolder(fsys disk.FS, serial string, note func(disk.Record)) *Folder {
	return &Folder{
		fsys: fsys, serial: serial, sharing: newSharing(),
		Stamps: Stamps{After: stampAfter, note: note},
	}
}

// Create makes the files of v and makes them durable, their entries in the folder
// excepted. What it made before an error it removes.
func (f *Folder) Create(v *disk.VolumeRecord) (err error) {
	for i := range disk.Segments(v.Size) {
		err = f.createSegment(v, i)
		if err != nil {
			f.Remove(v)
			return err
		}
	}
	return nil
}

func (f *Folder) createSegment(v *disk.VolumeRecord, i int) error {
	file, err := f.fsys.Create(disk.SegmentName(v, i))
	if err != nil {
		return err
	}
	length := disk.DataLength(v.Size, i)
	tail := disk.SegmentTail(f.serial, v, i, disk.NextStamp(0))
	_, err = file.WriteAt(tail, disk.HeaderOffset(length))
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// Remove removes what files of v there are.
func (f *Folder) Remove(v *disk.VolumeRecord) error {
	var errs []error
	for i := range disk.Segments(v.Size) {
		if err := f.fsys.Remove(disk.SegmentName(v, i)); !disk.IsNotExist(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Open opens the files of a volume unless they are older than what counts on them
// in s.
func (f *Folder) Open(v *disk.VolumeRecord, s *disk.State) ([]*File, error) {
	files, err := f.openSegments(v)
	if err == nil {
		err = checkStamps(s, v, files)
	}
	if err != nil {
		CloseFiles(files)
		return nil, err
	}
	return files, nil
}

func (f *Folder) openSegments(v *disk.VolumeRecord) ([]*File, error) {
	var list []*File
	for i := range disk.Segments(v.Size) {
		s, err := f.openSegment(v, i)
		if err != nil {
			CloseFiles(list)
			return nil, err
		}
		// A process that was killed may have left what it wrote unsynced, so
		// the first sync is not one to be spared.
		s.expose()
		list = append(list, s)
	}
	return list, nil
}

func (f *Folder) openSegment(v *disk.VolumeRecord, i int) (*File, error) {
	name := disk.SegmentName(v, i)
	file, err := f.fsys.Open(name)
	if disk.IsNotExist(err) {
		return nil, disk.Corrupt(name, "it is missing")
	}
	if err != nil {
		return nil, err
	}
	want := disk.SegmentHeader(f.serial, v, i)
	at := disk.HeaderOffset(int64(want.Length))
	got, err := disk.ReadHeader(file, name, at, disk.MagicVolume, f.serial)
	if err == nil && got != want {
		err = disk.Corrupt(name, "it is another volume's file")
	}
	s := &File{File: file}
	if err == nil {
		s.stamp = f.newStamp(v.ID, v.UID, i, at)
		err = s.stamp.open(file, name, notedStamp(v, i))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

// NewLogFile returns the stage file of a volume, whose stamp is at its beginning.
// Its first sync is not spared.
func (f *Folder) NewLogFile(file disk.File, volume uint16, uid uint64) *File {
	s := &File{File: file, stamp: f.newStamp(volume, uid, disk.OfStage, 0)}
	s.dirty.Store(true)
	return s
}

// Grow makes the files of the grown volume and opens them. Those that d has get no
// new stamps from then on.
func (f *Folder) Grow(d *Data, grown *disk.VolumeRecord) ([]*File, error) {
	d.HoldStamps(true)
	for i := len(d.files) - 1; i < disk.Segments(grown.Size); i++ {
		if err := f.growSegment(d, grown, i); err != nil {
			return nil, err
		}
	}
	if err := f.fsys.SyncDir(disk.VolumeDir); err != nil {
		return nil, err
	}
	return f.openSegments(grown)
}

// growSegment writes the header of segment i as it is in the grown volume.
func (f *Folder) growSegment(d *Data, grown *disk.VolumeRecord, i int) error {
	if i >= len(d.files) {
		err := f.createSegment(grown, i)
		if errors.Is(err, fs.ErrExist) { // of an expansion that was cut off
			if err = f.fsys.Remove(disk.SegmentName(grown, i)); err == nil {
				err = f.createSegment(grown, i)
			}
		}
		return err
	}
	if i == len(d.files)-1 && disk.DataLength(grown.Size, i) == disk.DataLength(d.Size, i) {
		return nil
	}
	s := d.files[i]
	at := disk.HeaderOffset(disk.DataLength(grown.Size, i))
	if at == disk.HeaderOffset(disk.DataLength(d.Size, i)) {
		return fault.New(fault.Refused, "volume %s can grow by 4 KiB at least, not by %d bytes",
			arrayclient.MakeSerial(grown.ID, f.serial), grown.Size-d.Size)
	}
	// What an expansion that was cut off left behind the header goes.
	end := disk.HeaderOffset(disk.DataLength(d.Size, i)) + disk.SegmentTailSize
	if err := s.Truncate(end); err != nil {
		return err
	}
	if err := s.Write(disk.SegmentTail(f.serial, grown, i, s.stamp.Length), at); err != nil {
		return err
	}
	return d.Sync()
}

// SetFiles gives d the files of its size, and closes those that it had and has no
// more. The caller keeps others from using d meanwhile.
func (d *Data) SetFiles(size int64, files []*File) {
	for _, s := range d.files {
		if !slices.Contains(files, s) {
			s.Close()
		}
	}
	for i, s := range files {
		s.share, s.base = d.share, int64(i)*disk.SegmentSize
	}
	d.Size, d.files = size, files
}

// Files returns the files of d, none of a volume whose files could not be opened.
func (d *Data) Files() []*File { return d.files }
