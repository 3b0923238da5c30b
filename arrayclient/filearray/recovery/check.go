package recovery

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
)

// Folders are the folders of an array.
var Folders = []string{disk.VolumeDir, bitmap.Dir, disk.StageDir}

// Problems returns what is wrong with the relationships, and which files belong to no
// volume.
func (l *Loaded) Problems() (problems []error) {
	for _, uid := range slices.Sorted(maps.Keys(l.State.Relationships)) {
		problems = append(problems, l.checkRelationship(l.State.Relationships[uid])...)
	}
	return append(problems, l.strays()...)
}

func (l *Loaded) checkRelationship(rec *disk.RelationshipRecord) (problems []error) {
	b := l.Relationships[rec.UID].Copied
	if b == nil || l.State.Volumes[rec.Target] == nil {
		return []error{fmt.Errorf("relationship %d has a volume that does not exist", rec.UID)}
	}
	if !rec.Completed.IsZero() && !b.Full() {
		problems = append(problems, fmt.Errorf("relationship %d is complete with %d of %d tracks copied",
			rec.UID, b.Count.Load(), b.Tracks))
	}
	if l.State.Volumes[rec.Source].Size > l.State.Volumes[rec.Target].Size {
		problems = append(problems, fmt.Errorf("relationship %d has a target smaller than its source",
			rec.UID))
	}
	return problems
}

// knownFiles returns the names of the files that the state speaks of: those of
// volumes, of volumes about to be removed, and of relationships.
func (l *Loaded) knownFiles() map[string]bool {
	known := map[string]bool{}
	for _, rec := range l.State.Volumes {
		known[disk.StageName(rec.ID, rec.UID)] = true
		for i := range disk.Segments(rec.Size) {
			known[disk.SegmentName(rec, i)] = true
		}
	}
	for _, rec := range l.State.Deleted {
		for i := range disk.Segments(rec.Size) {
			known[disk.SegmentName(rec, i)] = true
		}
	}
	for uid := range l.State.Relationships {
		for _, name := range bitmap.FileNames(uid) {
			known[name] = true
		}
	}
	return known
}

// strays finds volume files that belong to no volume, and are not about to be
// removed either.
func (l *Loaded) strays() (problems []error) {
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
func (l *Loaded) unfinished(name string) bool {
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

// Sweep removes the files of volumes that were not created in the end, and the
// bitmaps of relationships and stages of volumes that are no more: their
// removal may not have been durable.
func (l *Loaded) Sweep() error {
	known := l.knownFiles()
	for _, dir := range Folders {
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
