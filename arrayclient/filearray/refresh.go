package filearray

import (
	"context"
	"copyservices/arrayclient/filearray/records"
	"errors"
	"slices"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/disk"
)

// Resync makes the targets images of their sources as they are now, by copying
// the tracks that were changed on either side; see arrayclient.Resyncer.
func (a *Array) Resync(ctx context.Context, pairs []arrayclient.Pair) error {
	return a.replacePairs(ctx, pairs, refreshed)
}

// nextRecord makes of the record of a relationship that of the one that takes its
// place, or says why none can.
type nextRecord func(*relationship, disk.RelationshipRecord) (disk.RelationshipRecord, error)

func refreshed(r *relationship, rec disk.RelationshipRecord) (disk.RelationshipRecord, error) {
	return rec, checkRecording(r, "refreshed")
}

func reversed(r *relationship, rec disk.RelationshipRecord) (disk.RelationshipRecord, error) {
	rec.Source, rec.Target = rec.Target, rec.Source
	return rec, checkReversible(r)
}

// Reverse makes the sources images of their targets as they are now, by copying
// the tracks that were changed on either side; see arrayclient.Reverser.
func (a *Array) Reverse(ctx context.Context, pairs []arrayclient.Pair) error {
	return a.replacePairs(ctx, pairs, reversed)
}

// checkRecording returns why a relationship cannot be refreshed or reversed, or nil.
func checkRecording(r *relationship, what string) error {
	if r.changed == nil {
		return fault.New(fault.Refused, "relationship %s cannot be %s: it has no change recording",
			r.pair(), what).WithHint("establish it with the option record")
	}
	if r.hasFailed() {
		return fault.New(fault.Refused, "relationship %s cannot be %s: it has failed", r.pair(), what).
			WithHint("withdraw it and establish it again")
	}
	for _, v := range []*volume{r.source, r.target} {
		if err := v.data.Err(); err != nil {
			return fault.New(fault.Refused, "relationship %s cannot be %s: %w", r.pair(), what, err)
		}
	}
	return nil
}

func checkReversible(r *relationship) error {
	if err := checkRecording(r, "reversed"); err != nil {
		return err
	}
	switch {
	case !r.copied.Full():
		return fault.New(fault.Refused, "relationship %s cannot be reversed: its copy is not complete",
			r.pair()).WithHint("wait until it is, for example with rsQueryComplete")
	case len(r.source.sources) > 1:
		return fault.New(fault.Refused, "relationship %s cannot be reversed: %s is the source of others",
			r.pair(), r.source.serial).WithHint("withdraw the others first")
	case r.source.data.Size < r.target.data.Size:
		return fault.New(fault.Refused, "relationship %s cannot be reversed: %s is smaller than %s",
			r.pair(), r.source.serial, r.target.serial)
	}
	return nil
}

// replacePairs lets a new relationship take the place of each of pairs, at one
// instant. Its record is what next makes of the old one.
func (a *Array) replacePairs(
	ctx context.Context, pairs []arrayclient.Pair, next nextRecord,
) error {
	end, err := a.begin()
	if err != nil {
		return err
	}
	defer end()
	volumes, err := a.volumesOfPairs(pairs)
	if err != nil {
		return err
	}
	release := settleAll(volumes)
	fresh, err := a.refresh(ctx, pairs, next)
	release()
	if err != nil {
		return err
	}
	var durable []*relationship
	for _, r := range fresh {
		if cause := r.source.syncAll(); cause != nil {
			err = fault.New(fault.Server, "source %s cannot be made durable: %w", r.source.serial, cause)
			var failed records.Failures // a crash may change the image
			failed.Add(r, err)
			err = errors.Join(err, a.store.CommitFailures(&failed))
		} else {
			durable = append(durable, r)
		}
	}
	a.noteImages(durable)
	for _, r := range fresh {
		resume(r)
	}
	return err
}

// volumesOfPairs returns the volumes of established pairs: the sources-to-be,
// which are made durable before anything is locked, and the targets-to-be: of
// a source that is one now, the tracks that were not changed count as copied.
func (a *Array) volumesOfPairs(pairs []arrayclient.Pair) ([]*volume, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	rels, err := a.lookupRelationships(pairs)
	return volumesOf(rels), err
}

// refresh plans the replacement and carries it out.
func (a *Array) refresh(
	ctx context.Context, pairs []arrayclient.Pair, next nextRecord,
) ([]*relationship, error) {
	a.acts.Lock()
	defer a.acts.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rels, err := a.lookupRelationships(pairs)
	if err != nil {
		return nil, err
	}
	replacements, err := a.planReplacement(rels, next)
	if err != nil {
		return nil, err
	}
	destageAhead(rels)
	reopen, err := closeLogs(volumesOf(rels))
	if err != nil {
		return nil, err
	}
	defer reopen()
	return a.replace(rels, replacements)
}

func (a *Array) planReplacement(rels []*relationship, next nextRecord) ([]disk.Replacement, error) {
	recs, err := a.nextRecords(rels, next)
	if err != nil {
		return nil, err
	}
	uid := a.takeUIDs(len(rels))
	list := make([]disk.Replacement, len(rels))
	for i, rec := range recs {
		fresh := disk.RelationshipRecord{
			UID: uid + uint64(i), Source: rec.Source, Target: rec.Target,
			Options: rec.Options, CopyRate: rec.CopyRate,
		}
		fresh.Options.Freeze = false
		list[i] = disk.Replacement{Old: rels[i].uid, New: &fresh}
	}
	return list, nil
}

// nextRecords returns what next makes of the records of rels. Array.acts or
// Array.mu is held.
func (a *Array) nextRecords(
	rels []*relationship, next nextRecord,
) ([]disk.RelationshipRecord, error) {
	recs := make([]disk.RelationshipRecord, len(rels))
	for i, r := range rels {
		rec, err := next(r, *a.store.RelationshipRecord(r.uid))
		if err != nil {
			return nil, err
		}
		recs[i] = rec
	}
	return recs, nil
}

// replace is the instant.
func (a *Array) replace(rels []*relationship, list []disk.Replacement) ([]*relationship, error) {
	unlock := lockGates(rels)
	defer unlock()
	if err := checkEmptied(volumesOf(rels)); err != nil {
		return nil, err
	}
	now := a.now().UTC()
	fresh := make([]*relationship, len(list))
	for i, r := range rels {
		if !r.copied.Full() && list[i].New.Source != r.source.id || r.hasFailed() {
			return nil, fault.New(fault.Refused, "relationship %s failed meanwhile", r.pair())
		}
	}
	// The marks of the committer's batches are all set: whoever waits for one
	// holds a gate. But for the background copy's; those come to nothing.
	for i, r := range rels {
		list[i].New.Established = now
		fresh[i] = a.newRelationship(list[i].New, r.bits().Next(list[i].New))
	}
	err := a.store.CommitRecord(disk.JSONRecord(disk.RecReplaced, list), func() {
		for i, r := range rels {
			unlink(r)
			a.store.End(r.bits())
			r.source.thawIfUnneeded()
			link(fresh[i])
		}
	})
	return slices.Clip(fresh), err
}
