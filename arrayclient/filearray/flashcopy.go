package filearray

import (
	"context"
	"maps"
	"slices"
	"strings"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
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
		a.resume(r)
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
	if err := a.establish(rels, recs); err != nil {
		thawSources(rels)
		for _, r := range rels {
			r.cancel()
		}
		return nil, err
	}
	return rels, nil
}

// newRelationships makes the relationships of planned records, to which it gives
// uids. They are not linked yet.
func (a *Array) newRelationships(recs []disk.RelationshipRecord) []*relationship {
	rels := make([]*relationship, len(recs))
	uid := a.takeUIDs(len(recs))
	for i := range recs {
		recs[i].UID = uid + uint64(i)
		copied, changed := newBitmaps(&recs[i], a.volumes[recs[i].Source].size)
		rels[i] = a.newRelationship(&recs[i], copied, changed)
	}
	return rels
}

// establish makes rels durable and visible at one instant.
func (a *Array) establish(rels []*relationship, recs []disk.RelationshipRecord) error {
	unlock := lockGates(rels)
	defer unlock()
	if err := destageAll(rels); err != nil {
		return err
	}
	now := a.now().UTC()
	for i := range recs {
		recs[i].Established = now
	}
	return a.commitRecord(disk.JSONRecord(disk.RecEstablished, recs), func() {
		for _, r := range rels {
			r.link()
		}
	})
}

// freezeSources holds the writes to all sources before the first image is
// taken. A source that an earlier establish froze stays as it is.
func freezeSources(rels []*relationship) {
	for _, r := range rels {
		r.source.freezeWrites(r.array.freezeTimeout)
		r.freeze = r.source.frozen.Load()
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
// little is left to do while it is. Their stages stay almost empty until
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
		if tgt := a.volumes[rec.Target]; tgt.stage.pending.Load() > 0 {
			list = append(list, tgt)
		}
	}
	slices.SortFunc(list, func(v, w *volume) int { return int(v.id) - int(w.id) })
	return slices.Compact(list), nil
}

// secureImages makes durable what new images read from their sources, and
// then notes that. No lock is held: it takes as long as the disk does.
func (a *Array) secureImages(rels []*relationship) error {
	if err := sideBySide(sourcesOf(rels), (*volume).syncAll); err != nil {
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
	note := disk.JSONRecord(disk.RecImagesDurable, uids)
	// An error means that nothing is committed any more.
	a.committer.commit(nil, nil, func() {
		a.applyState(note)
		j := a.committer.journal
		if !j.Room(1, len(note.Payload)) {
			return // the next checkpoint writes it down
		}
		if err := j.Note(note); err != nil {
			a.log.Warn("it is not noted that images are durable", "error", err)
		}
	})
}

// plan checks pairs against each other and against what exists, and returns
// the records of their relationships, without uids. Array.acts or Array.mu is held.
func (a *Array) plan(
	pairs []arrayclient.Pair, opts arrayclient.Options,
) ([]disk.RelationshipRecord, error) {
	if len(pairs) == 0 {
		return nil, fault.New(fault.Usage, "no pair is given")
	}
	p := planner{
		record: opts.Record, sources: map[*volume]int{}, targets: map[*volume]*volume{},
	}
	recs := make([]disk.RelationshipRecord, 0, len(pairs))
	for _, pair := range pairs {
		src, tgt, err := a.lookupPair(pair)
		if err != nil {
			return nil, err
		}
		if err := p.add(src, tgt); err != nil {
			return nil, err
		}
		recs = append(recs, disk.RelationshipRecord{Source: src.id, Target: tgt.id, Options: opts})
	}
	return recs, nil
}

func (a *Array) lookupPair(p arrayclient.Pair) (src, tgt *volume, err error) {
	if src, err = a.lookup(p.Source); err != nil {
		return nil, nil, err
	}
	tgt, err = a.lookup(p.Target)
	return src, tgt, err
}

// planner holds the volumes of the pairs that were looked at before.
type planner struct {
	record  bool                // with change recording
	sources map[*volume]int     // how many targets
	targets map[*volume]*volume // of which source
}

// add holds one more pair against the rules of FlashCopy.
func (p *planner) add(src, tgt *volume) error {
	refuse := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Refused, format, args...)
	}
	if src == tgt {
		return refuse("volume %s cannot be copied onto itself", src.serial)
	}
	if of := p.targetOf(tgt); of != nil {
		return refuse("volume %s is already the target of %s", tgt.serial, of.serial).
			WithHint("%s", wayOut(tgt.target != nil))
	}
	if of := p.targetOf(src); of != nil {
		return refuse("volume %s cannot be a source: it is the target of %s", src.serial, of.serial).
			WithHint("%s", wayOut(src.target != nil))
	}
	if len(tgt.sources) > 0 || p.sources[tgt] > 0 {
		return refuse("volume %s cannot be a target: it is a source", tgt.serial).
			WithHint("%s", wayOut(len(tgt.sources) > 0))
	}
	if len(src.sources)+p.sources[src] >= arrayclient.MaxTargets {
		return refuse("volume %s has %d targets already, %s would be one too many",
			src.serial, arrayclient.MaxTargets, tgt.serial).
			WithHint("%s", wayOut(len(src.sources) > 0))
	}
	if p.record && (p.sources[src] > 0 || src.recording() != nil) {
		return refuse("volume %s can have one relationship with change recording, not another to %s",
			src.serial, tgt.serial)
	}
	if tgt.size < src.size {
		return refuse("target %s (%d bytes) is smaller than source %s (%d bytes)",
			tgt.serial, tgt.size, src.serial, src.size).
			WithHint("take a target that is at least as large as its source")
	}
	if err := src.usable(); err != nil {
		return refuse("source %s cannot be used: %w", src.serial, err)
	}
	if err := tgt.usable(); err != nil {
		return refuse("target %s cannot be used: %w", tgt.serial, err)
	}
	p.sources[src]++
	p.targets[tgt] = src
	return nil
}

// wayOut is what to do about a pair that another one is in the way of, be it
// established or a pair of the same request.
func wayOut(established bool) string {
	if established {
		return "withdraw that relationship first, or wait until its copy is complete"
	}
	return "it collides with another pair of the same request: take one of them out"
}

// recording returns the relationship with change recording whose source v is,
// or nil.
func (v *volume) recording() *relationship {
	for _, r := range v.sources {
		if r.changed != nil {
			return r
		}
	}
	return nil
}

// targetOf returns the source whose target v is or is about to be, or nil.
func (p *planner) targetOf(v *volume) *volume {
	if v.target != nil {
		return v.target.source
	}
	return p.targets[v]
}

// Withdraw ends relationships; see arrayclient.Array.
func (a *Array) Withdraw(
	_ context.Context, pairs []arrayclient.Pair,
) (undefined []arrayclient.Pair, err error) {
	end, err := a.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	a.acts.Lock()
	defer a.acts.Unlock()
	rels, err := a.lookupRelationships(pairs)
	if err != nil {
		return nil, err
	}
	unlock := lockGates(rels)
	defer unlock()
	for _, r := range rels {
		if r.outcome() == arrayclient.OutcomeUndefined {
			undefined = append(undefined, r.pair())
		}
	}
	return undefined, a.endRelationships(rels, a.now())
}

// lookupRelationships finds the relationships of all pairs. Array.acts or
// Array.mu is held.
func (a *Array) lookupRelationships(pairs []arrayclient.Pair) ([]*relationship, error) {
	if len(pairs) == 0 {
		return nil, fault.New(fault.Usage, "no pair is given")
	}
	var rels []*relationship
	for _, p := range dedupe(pairs) {
		src, tgt, err := a.lookupPair(p)
		if err != nil {
			return nil, err
		}
		if tgt.target == nil || tgt.target.source != src {
			return nil, noRelationship(p, src, tgt)
		}
		rels = append(rels, tgt.target)
	}
	return rels, nil
}

// noRelationship also looks whether the pair was named the wrong way round.
func noRelationship(p arrayclient.Pair, src, tgt *volume) error {
	err := fault.New(fault.NotFound, "no relationship %s", p)
	if src.target != nil && src.target.source == tgt {
		return err.WithHint("there is %s:%s, the other way round", p.Target, p.Source)
	}
	return err.WithHint("esscli list relationship shows those that exist")
}

// BackgroundCopy starts the copying of nocopy relationships; see
// arrayclient.BackgroundCopier.
func (a *Array) BackgroundCopy(_ context.Context, pairs []arrayclient.Pair) error {
	end, err := a.begin()
	if err != nil {
		return err
	}
	defer end()
	a.acts.Lock()
	defer a.acts.Unlock()
	rels, err := a.lookupRelationships(pairs)
	if err != nil {
		return err
	}
	if err := a.copyable(rels); err != nil {
		return err
	}
	changes := make([]disk.RelationshipChange, len(rels))
	for i, r := range rels {
		changes[i] = disk.RelationshipChange{UID: r.uid, Copy: true}
	}
	if err := a.commitRecord(disk.JSONRecord(disk.RecChanged, changes), nil); err != nil {
		return err
	}
	for _, r := range rels {
		a.resume(r)
	}
	return nil
}

// copyable returns why the copying of rels cannot be started, or nil.
func (a *Array) copyable(rels []*relationship) error {
	for _, r := range rels {
		rec := a.RelationshipRecord(r.uid)
		if !rec.Options.NoCopy || rec.Failed != "" {
			return fault.New(fault.Refused, "relationship %s is not a nocopy relationship", r.pair())
		}
		if err := r.lost(); err != nil {
			return fault.New(fault.Refused, "relationship %s cannot be copied: %w", r.pair(), err)
		}
	}
	return nil
}

// Relationships returns the established pairs; see arrayclient.Array.
func (a *Array) Relationships(
	_ context.Context, serials ...arrayclient.Serial,
) ([]arrayclient.Relationship, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	wanted := map[*volume]bool{}
	for _, s := range serials {
		v, err := a.lookup(s)
		if err != nil {
			return nil, err
		}
		wanted[v] = true
	}
	list := []arrayclient.Relationship{}
	for _, r := range a.rels {
		if len(serials) == 0 || wanted[r.source] || wanted[r.target] {
			list = append(list, r.describe(a.RelationshipRecord(r.uid)))
		}
	}
	slices.SortFunc(list, func(x, y arrayclient.Relationship) int {
		return strings.Compare(x.Pair.String(), y.Pair.String())
	})
	return list, nil
}
