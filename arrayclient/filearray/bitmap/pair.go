package bitmap

import (
	"errors"
	"fmt"

	"copyservices/arrayclient/filearray/disk"
)

// Dir is the folder of the bitmaps' files.
const Dir = "bitmaps"

func copiedName(uid uint64) string { return fmt.Sprintf("%s/%08d.copied", Dir, uid) }

func changedName(uid uint64) string { return fmt.Sprintf("%s/%08d.changed", Dir, uid) }

// FileNames returns the names of the files that a relationship may have.
func FileNames(uid uint64) []string { return []string{copiedName(uid), changedName(uid)} }

// Pair is the bitmaps of one relationship.
type Pair struct {
	Copied  *Bitmap // the tracks that the target has
	Changed *Bitmap // those that hosts changed on either side; nil without change recording
}

// NewPair returns the bitmaps of a relationship as it begins.
func NewPair(rec *disk.RelationshipRecord, sourceSize int64) Pair {
	p := Pair{Copied: New(copiedName(rec.UID), rec.UID, Tracks(sourceSize))}
	if rec.Options.Record {
		p.Changed = New(changedName(rec.UID), rec.UID, Tracks(sourceSize))
	}
	return p
}

// Next returns the bitmaps of a relationship that takes the place of that of p, which
// has change recording.
func (p Pair) Next(rec *disk.RelationshipRecord) Pair {
	return Pair{
		Copied:  p.Copied.Without(p.Changed, copiedName(rec.UID), rec.UID),
		Changed: New(changedName(rec.UID), rec.UID, p.Copied.Tracks),
	}
}

// List returns the bitmaps that there are.
func (p Pair) List() []*Bitmap {
	if p.Changed == nil {
		return []*Bitmap{p.Copied}
	}
	return []*Bitmap{p.Copied, p.Changed}
}

// Each calls f for the bitmaps that there are.
func (p Pair) Each(f func(*Bitmap) error) error {
	var errs []error
	for _, b := range p.List() {
		errs = append(errs, f(b))
	}
	return errors.Join(errs...)
}
