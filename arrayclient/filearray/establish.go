package filearray

import (
	"context"
	"maps"
	"slices"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/parallel"
)

// Establish starts relationships for all pairs or for none; see
// arrayclient.Array.
//
// The image is that of the moment at which the gates of all sources and
// targets are locked. What the sources wrote before that without a flush is
// made durable before Establish returns: a crash does not change the image.
func (a *Array) Establish(
	ctx context.Context, pairs []arrayclient.Pair, opts arrayclient.Options,
) error {
	opts.Persistent = opts.Persistent || opts.Record
	end, err := a.begin()
	if err != nil {
		return err
	}
	defer end()
	release, err := a.settleAhead(pairs, opts)
	if err != nil {
		return err
	}
	rels, err := a.establishPairs(ctx, pairs, opts)
	release()
	if err != nil {
		return err
	}
	if err := a.secureImages(rels); err != nil {
		return a.undoEstablish(rels, err)
	}
	for _, r := range rels {
		resume(r)
	}
	return nil
}

// establishPairs plans the relationships of pairs and establishes them.
func (a *Array) establishPairs(
	ctx context.Context, pairs []arrayclient.Pair, opts arrayclient.Options,
) ([]*relationship, error) {
	a.acts.Lock()
	defer a.acts.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	recs, err := a.plan(pairs, opts)
	if err != nil {
		return nil, err
	}
	rels := a.newRelationships(recs)
	destageAhead(rels)
	if opts.Freeze {
		freezeSources(rels)
	}
	reopen, err := closeLogs(volumesOf(rels))
	if err == nil {
		err = a.establish(rels, recs)
		reopen()
	}
	if err != nil {
		thawSources(rels)
		for _, r := range rels {
			r.cancel()
		}
		return nil, err
	}
	return rels, nil
}

// establish makes rels durable and visible at one instant.
func (a *Array) establish(rels []*relationship, recs []disk.RelationshipRecord) error {
	unlock := lockGates(rels)
	defer unlock()
	if err := checkEmptied(volumesOf(rels)); err != nil {
		return err
	}
	now := a.now().UTC()
	for i := range recs {
		recs[i].Established = now
	}
	return a.store.CommitRecord(disk.JSONRecord(disk.RecEstablished, recs), func() {
		for _, r := range rels {
			link(r)
		}
	})
}

// freezeSources holds the writes to all sources before the first image is
// taken.
func freezeSources(rels []*relationship) {
	for _, r := range rels {
		r.freeze = r.source.freezeWrites(r.array.freezeTimeout)
	}
}

func thawSources(rels []*relationship) {
	for _, r := range rels {
		r.source.thawIfUnneeded()
	}
}

// undoEstablish ends those of rels that nobody has ended meanwhile.
func (a *Array) undoEstablish(rels []*relationship, cause error) error {
	a.acts.Lock()
	defer a.acts.Unlock()
	rels = slices.DeleteFunc(rels, func(r *relationship) bool { return a.rels[r.uid] != r })
	unlock := lockGates(rels)
	defer unlock()
	if err := a.endRelationships(rels, a.now()); err != nil {
		return err
	}
	return fault.New(fault.Refused, "a source cannot be made durable, nothing was established: %w",
		cause)
}

// settleAhead makes the sources durable before anything is locked, so that
// little is left to do while it is. Their write logs stay almost empty until
// release is called.
func (a *Array) settleAhead(
	pairs []arrayclient.Pair, opts arrayclient.Options,
) (release func(), err error) {
	list, err := a.unsettledOf(pairs, opts)
	if err != nil {
		return nil, err
	}
	return settleAll(list), nil
}

// unsettledOf returns the volumes to settle before pairs are established.
func (a *Array) unsettledOf(
	pairs []arrayclient.Pair, opts arrayclient.Options,
) (list []*volume, err error) {
	a.acts.Lock()
	defer a.acts.Unlock()
	recs, err := a.plan(pairs, opts)
	if err != nil {
		return nil, err
	}
	for _, rec := range recs {
		list = append(list, a.volumes[rec.Source])
		if tgt := a.volumes[rec.Target]; tgt.log.Tracks() > 0 {
			list = append(list, tgt)
		}
	}
	slices.SortFunc(list, func(v, w *volume) int { return int(v.id) - int(w.id) })
	return slices.Compact(list), nil
}

// secureImages makes durable what new images read from their sources, and
// then notes that. No lock is held: it takes as long as the disk does.
func (a *Array) secureImages(rels []*relationship) error {
	if err := parallel.Each(sourcesOf(rels), (*volume).syncAll); err != nil {
		return err
	}
	a.noteImages(rels)
	return nil
}

func sourcesOf(rels []*relationship) []*volume {
	seen := map[*volume]bool{}
	for _, r := range rels {
		seen[r.source] = true
	}
	return slices.Collect(maps.Keys(seen))
}

// noteImages notes that the sources of rels were synced after their images were
// taken. The next process that finds no such note syncs them again.
//
// What the note says was true before it was written, and stays so: the tracks
// of the sources that it speaks of do not change as long as a target reads them.
// So a kill, which leaves the note, and then a loss of power do no harm: no
// part of the image was in the page cache alone. When the note itself is lost,
// the page cache was too, and to sync again costs nothing. So it needs no sync
// of its own.
func (a *Array) noteImages(rels []*relationship) {
	uids := make([]uint64, len(rels))
	for i, r := range rels {
		uids[i] = r.uid
	}
	a.store.Note(disk.JSONRecord(disk.RecImagesDurable, uids))
}

// newRelationships makes the relationships of planned records, to which it gives
// uids. They are not linked yet.
func (a *Array) newRelationships(recs []disk.RelationshipRecord) []*relationship {
	rels := make([]*relationship, len(recs))
	uid := a.takeUIDs(len(recs))
	for i := range recs {
		recs[i].UID = uid + uint64(i)
		bits := bitmap.NewPair(&recs[i], a.volumes[recs[i].Source].data.Size)
		rels[i] = a.newRelationship(&recs[i], bits)
	}
	return rels
}

// newRelationship makes the relationship of rec, not yet linked, with its bitmaps.
func (a *Array) newRelationship(rec *disk.RelationshipRecord, bits bitmap.Pair) *relationship {
	r := &relationship{
		array:   a,
		uid:     rec.UID,
		source:  a.volumes[rec.Source],
		target:  a.volumes[rec.Target],
		opts:    rec.Options,
		copied:  bits.Copied,
		changed: bits.Changed,
	}
	r.ctx, r.cancel = context.WithCancel(a.ctx)
	r.rate.set(rec.CopyRate)
	if rec.Failed != "" {
		r.failed.Store(&rec.Failed)
	}
	return r
}

// link makes r known to its volumes. Array.mu and the gates of both are locked.
func link(r *relationship) {
	r.array.rels[r.uid] = r
	r.source.sources = append(r.source.sources[:len(r.source.sources):len(r.source.sources)], r)
	r.target.target = r
}

// unlink undoes link. Array.mu and the gates of both volumes are locked.
func unlink(r *relationship) {
	r.cancel()
	delete(r.array.rels, r.uid)
	var rest []*relationship
	for _, other := range r.source.sources {
		if other != r {
			rest = append(rest, other)
		}
	}
	r.source.sources = rest
	r.target.target = nil
}

// endRelationships takes rels away. The gates of their volumes are locked.
func (a *Array) endRelationships(rels []*relationship, now time.Time) error {
	ends := make([]disk.End, len(rels))
	for i, r := range rels {
		ends[i] = disk.End{UID: r.uid, Time: now, Outcome: r.outcome()}
	}
	return a.store.CommitRecord(disk.JSONRecord(disk.RecEnded, ends), func() {
		for _, r := range rels {
			unlink(r)
			a.store.End(r.bits())
			r.source.thawIfUnneeded()
		}
	})
}

// begin begins an act, unless the array is closed; end ends it. Closing waits
// for that.
func (c *configuration) begin() (end func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.errClosed(); err != nil {
		return nil, err
	}
	c.underWay.Add(1)
	return c.underWay.Done, nil
}

// takeUIDs returns the first of n uids that nobody else gets.
func (c *configuration) takeUIDs(n int) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.nextUID
	c.nextUID += uint64(n)
	return first
}

// volumesOf returns the volumes of rels in the order of their ids.
func volumesOf(rels []*relationship) []*volume {
	var list []*volume
	for _, r := range rels {
		list = append(list, r.source, r.target)
	}
	slices.SortFunc(list, func(a, b *volume) int { return int(a.id) - int(b.id) })
	return slices.Compact(list)
}

// lockGates locks the gates of all volumes of rels, in order, and returns what
// unlocks them. The caller holds Array.acts.
func lockGates(rels []*relationship) (unlock func()) {
	list := volumesOf(rels)
	for _, v := range list {
		v.gate.Lock()
	}
	return func() {
		for _, v := range list {
			v.gate.Unlock()
		}
	}
}
