package filearray

import (
	"fmt"
	"path"

	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/segments"

	"copyservices/arrayclient"
)

// Check reads all that describes the array and returns what is wrong with it,
// nothing for a sound one. It changes nothing; the array must not be open. A
// meta file that a crash cut short is sound: the other one and the journals
// hold all that it would.
func Check(fsys disk.FS) []error {
	l, err := load(fsys)
	if err != nil {
		return []error{err}
	}
	defer l.close()
	var problems []error
	folder := segments.NewFolder(fsys, l.serial, nil)
	for _, id := range sortedKeys(l.state.Volumes) {
		rec := l.state.Volumes[id]
		files, err := folder.Open(rec, l.state)
		if err == nil {
			err = l.checkStage(rec, files)
			segments.CloseFiles(files)
		}
		if ofVolume(err) {
			err = lostVolume(arrayclient.MakeSerial(id, l.serial), err)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	for _, uid := range sortedKeys(l.state.Relationships) {
		problems = append(problems, l.checkRelationship(l.state.Relationships[uid])...)
	}
	return append(problems, l.strays()...)
}

func (l *loaded) checkRelationship(rec *disk.RelationshipRecord) (problems []error) {
	b := l.rels[rec.UID].copied
	if b == nil || l.state.Volumes[rec.Target] == nil {
		return []error{fmt.Errorf("relationship %d has a volume that does not exist", rec.UID)}
	}
	if !rec.Completed.IsZero() && !b.Full() {
		problems = append(problems, fmt.Errorf("relationship %d is complete with %d of %d tracks copied",
			rec.UID, b.Count.Load(), b.Tracks))
	}
	if l.state.Volumes[rec.Source].Size > l.state.Volumes[rec.Target].Size {
		problems = append(problems, fmt.Errorf("relationship %d has a target smaller than its source",
			rec.UID))
	}
	return problems
}

// knownFiles returns the names of the files that the state speaks of: those of
// volumes, of volumes about to be removed, and of relationships.
func (l *loaded) knownFiles() map[string]bool {
	known := map[string]bool{}
	for _, rec := range l.state.Volumes {
		known[stageName(rec.ID, rec.UID)] = true
		for i := range disk.Segments(rec.Size) {
			known[disk.SegmentName(rec, i)] = true
		}
	}
	for _, rec := range l.state.Deleted {
		for i := range disk.Segments(rec.Size) {
			known[disk.SegmentName(rec, i)] = true
		}
	}
	for uid := range l.state.Relationships {
		known[copiedName(uid)], known[changedName(uid)] = true, true
	}
	return known
}

// strays finds volume files that belong to no volume, and are not about to be
// removed either.
func (l *loaded) strays() (problems []error) {
	known := l.knownFiles()
	names, err := l.fsys.List(disk.VolumeDir)
	if err != nil {
		return []error{err}
	}
	for _, name := range names {
		if name = path.Join(disk.VolumeDir, name); !known[name] && !l.unfinished(name) {
			problems = append(problems, fmt.Errorf("%s belongs to no volume", name))
		}
	}
	return problems
}

// unfinished reports whether a file that no record knows was made for a volume
// that then was not created, or not expanded, because of a crash: it has no
// data.
func (l *loaded) unfinished(name string) bool {
	if _, _, ok := disk.ParseSegmentName(path.Base(name)); !ok {
		return false
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size < disk.HeaderAlignment {
		return err == nil
	}
	end := size &^ (disk.HeaderAlignment - 1)
	start, _, err := f.NextData(0, end)
	return err == nil && start >= end-disk.HeaderAlignment
}

// sweep removes the files of volumes that were not created in the end, and the
// bitmaps of relationships and stages of volumes that are no more: their
// removal may not have been durable.
func (l *loaded) sweep() error {
	known := l.knownFiles()
	for _, dir := range folders {
		names, err := l.fsys.List(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			name = path.Join(dir, name)
			if known[name] || dir == disk.VolumeDir && !l.unfinished(name) {
				continue
			}
			if err := l.fsys.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
