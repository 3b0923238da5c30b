package filearray

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/parallel"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// relationship is an established pair at work. Which relationships a volume
// has changes only while the gates of both volumes are locked, so whoever
// holds the gate of either may use it.
type relationship struct {
	array  *Array
	uid    uint64
	source *volume
	target *volume
	// opts but for NoCopy, which may be turned off while the pair exists.
	opts   arrayclient.Options
	copied *bitmap.Bitmap
	// stored are the tracks that the target's files hold although their mark is
	// not set yet. Nobody may copy them again: once the mark is set, hosts write
	// to the target, and to the source, without asking who is still copying.
	stored bitmap.RangeSet
	// changed are the tracks that hosts changed on either side since the
	// image was taken; nil without change recording.
	changed *bitmap.Bitmap
	// mayShare says that it is noted that the target may share the source's
	// blocks.
	mayShare atomic.Bool
	failed   atomic.Pointer[string]
	freeze   *freeze     // of the establish, nil without; set before it is linked
	copying  atomic.Bool // somebody copies it in the background, or did

	ctx    context.Context // ends with the relationship and with the array
	cancel context.CancelFunc
	rate   rate // of the background copy
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

func (r *relationship) bitmaps() []*bitmap.Bitmap {
	return bitmap.Pair{Copied: r.copied, Changed: r.changed}.List()
}

// link makes r known to its volumes. Array.mu and the gates of both are locked.
func (r *relationship) link() {
	r.array.rels[r.uid] = r
	r.source.sources = append(r.source.sources[:len(r.source.sources):len(r.source.sources)], r)
	r.target.target = r
}

// unlink undoes link. Array.mu and the gates of both volumes are locked.
func (r *relationship) unlink() {
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

func (r *relationship) pair() arrayclient.Pair {
	return arrayclient.Pair{Source: r.source.serial, Target: r.target.serial}
}

// fail is called by the committer when the failure is durable.
func (r *relationship) fail(reason string) {
	if r.failed.CompareAndSwap(nil, &reason) {
		r.array.log.Error("relationship failed", "pair", r.pair().String(), "reason", reason)
		r.cancel()
	}
	r.array.applyState(disk.JSONRecord(disk.RecFailed, disk.Failure{UID: r.uid, Reason: reason}))
}

// hasFailed reports whether the target is given up. Its content is undefined
// from then on.
func (r *relationship) hasFailed() bool { return r.failed.Load() != nil }

// err is what host I/O to the target of a failed relationship gets.
func (r *relationship) err() error {
	if p := r.failed.Load(); p != nil {
		return fault.New(fault.Failed,
			"volume %s: its relationship with %s failed (%s): the content is undefined",
			r.target.serial, r.source.serial, *p).
			WithHint("withdraw the relationship, see to what made it fail, and establish it anew")
	}
	return nil
}

// lost returns why the image cannot be read although the relationship has not
// failed: the files of one of its volumes have. When they are there again, so is
// the image.
func (r *relationship) lost() error {
	if err := r.target.data.Err(); err != nil || r.copied.Full() {
		return err
	}
	return r.source.data.Err()
}

// describe returns r as the interface shows it.
func (r *relationship) describe(rec *disk.RelationshipRecord) arrayclient.Relationship {
	d := arrayclient.Relationship{
		Pair:        r.pair(),
		Options:     rec.Options,
		Tracks:      r.copied.Tracks,
		OutOfSync:   r.copied.Tracks - r.copied.Count.Load(),
		CopyRate:    rec.CopyRate,
		Established: rec.Established,
		Completed:   rec.Completed,
		State:       arrayclient.StateCopying,
	}
	if r.changed != nil {
		d.Changed = r.changed.Count.Load() + r.source.log.Beyond(r.changed)
	}
	if by := r.freeze.releasedEarly(); by != "" {
		d.Reason = "the freeze was released by " + by
	}
	lost := r.lost()
	switch {
	case rec.Failed != "":
		d.State, d.Reason = arrayclient.StateFailed, rec.Failed
	case lost != nil:
		d.State, d.Reason = arrayclient.StateFailed, lost.Error()
	case r.freeze.active():
		d.State = arrayclient.StateFrozen
	case !rec.Completed.IsZero():
		d.State = arrayclient.StateComplete
	case rec.Options.NoCopy:
		d.State = arrayclient.StateNoCopy
	}
	return d
}

// finish ends r, or marks it complete if it is persistent, after its last
// track was copied, and others that wait for the same: many copies may be
// complete at once, and what else waits for acts shall not wait for each.
func (a *Array) finish(r *relationship) error {
	a.finishing.add(r)
	a.acts.Lock()
	defer a.acts.Unlock()
	list := a.finishing.take(parallel.Most - 1)
	if !slices.Contains(list, r) {
		list = append(list, r) // or it is finished, or was tried in vain
	}
	var err error
	parallel.Each(list, func(other *relationship) error {
		failed := a.finishOne(other)
		if other == r {
			err = failed
		}
		return nil
	})
	return err
}

// finishOne is finish for one relationship. Array.acts is held. Others are
// finished at the same time; they lock gates in the same order.
func (a *Array) finishOne(r *relationship) error {
	rec := a.RelationshipRecord(r.uid)
	if rec == nil || r.hasFailed() || !r.copied.Full() || !rec.Completed.IsZero() {
		return nil
	}
	now := a.now()
	if rec.Options.Persistent {
		done := disk.RelationshipChange{UID: r.uid, Completed: now}
		return a.commitRecord(disk.JSONRecord(disk.RecChanged, []disk.RelationshipChange{done}), nil)
	}
	unlock := lockGates([]*relationship{r})
	defer unlock()
	return a.endRelationships([]*relationship{r}, now)
}

// relQueue are relationships that wait.
type relQueue struct {
	mu   sync.Mutex
	list []*relationship
}

func (q *relQueue) add(r *relationship) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, r)
}

// take takes the first ones, at most n.
func (q *relQueue) take(n int) []*relationship {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.list))
	taken := slices.Clone(q.list[:n])
	q.list = slices.Delete(q.list, 0, n)
	return taken
}

// endRelationships takes rels away. The gates of their volumes are locked.
func (a *Array) endRelationships(rels []*relationship, now time.Time) error {
	ends := make([]disk.End, len(rels))
	for i, r := range rels {
		ends[i] = disk.End{UID: r.uid, Time: now, Outcome: r.outcome()}
	}
	return a.commitRecord(disk.JSONRecord(disk.RecEnded, ends), func() {
		for _, r := range rels {
			r.unlink()
			a.ended = append(a.ended, r)
			r.source.thawIfUnneeded()
		}
	})
}

func (r *relationship) outcome() arrayclient.Outcome {
	if r.copied.Full() && !r.hasFailed() {
		return arrayclient.OutcomeComplete
	}
	return arrayclient.OutcomeUndefined
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

// Relationships returns the established pairs; see arrayclient.Array.
func (a *Array) Relationships(
	_ context.Context, serials ...arrayclient.Serial,
) ([]arrayclient.Relationship, error) {
	rels, recs, err := a.relationshipsOf(serials)
	if err != nil {
		return nil, err
	}
	list := make([]arrayclient.Relationship, len(rels))
	for i, r := range rels {
		list[i] = r.describe(recs[i])
	}
	slices.SortFunc(list, func(x, y arrayclient.Relationship) int {
		return strings.Compare(x.Pair.String(), y.Pair.String())
	})
	return list, nil
}

// relationshipsOf returns the relationships in which one of serials takes part, all of
// them when there are none, and their records as of the same moment.
func (a *Array) relationshipsOf(
	serials []arrayclient.Serial,
) (rels []*relationship, recs []*disk.RelationshipRecord, err error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	wanted := map[*volume]bool{}
	for _, s := range serials {
		v, err := a.lookup(s)
		if err != nil {
			return nil, nil, err
		}
		wanted[v] = true
	}
	for _, r := range a.rels {
		if len(serials) == 0 || wanted[r.source] || wanted[r.target] {
			rels, recs = append(rels, r), append(recs, a.RelationshipRecord(r.uid))
		}
	}
	return rels, recs, nil
}
