package filearray

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/parallel"
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

func (r *relationship) bits() bitmap.Pair {
	return bitmap.Pair{Copied: r.copied, Changed: r.changed}
}

func (r *relationship) bitmaps() []*bitmap.Bitmap { return r.bits().List() }

func (r *relationship) pair() arrayclient.Pair {
	return arrayclient.Pair{Source: r.source.serial, Target: r.target.serial}
}

// UID is that of the relationship.
func (r *relationship) UID() uint64 { return r.uid }

// SyncTarget makes durable what the target holds.
func (r *relationship) SyncTarget() error {
	if !disk.SyncsTargets {
		return nil
	}
	return r.target.syncFiles()
}

// TargetErr is why nothing is known about what is in the target, nil for a good one.
func (r *relationship) TargetErr() error { return r.target.data.Err() }

// Marked sets the bits of tracks of which it is durable that the target holds them, or
// that they were changed.
func (r *relationship) Marked(first, n int64, changed bool) {
	if changed {
		r.changed.SetRange(first, n)
		return
	}
	r.copied.SetRange(first, n)
	r.stored.Remove(first, n)
}

// Failed is called by the committer when the failure is durable.
func (r *relationship) Failed(reason string) {
	if r.failed.CompareAndSwap(nil, &reason) {
		r.array.log.Error("relationship failed", "pair", r.pair().String(), "reason", reason)
		r.cancel()
	}
	r.array.store.Apply(disk.JSONRecord(disk.RecFailed, disk.Failure{UID: r.uid, Reason: reason}))
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

// recorded reports whether changes of n tracks need not be recorded any more.
func (r *relationship) recorded(first, n int64) bool {
	return r.changed == nil || r.changed.AllSet(first, n)
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
	rec := a.store.RelationshipRecord(r.uid)
	if rec == nil || r.hasFailed() || !r.copied.Full() || !rec.Completed.IsZero() {
		return nil
	}
	now := a.now()
	if rec.Options.Persistent {
		done := disk.RelationshipChange{UID: r.uid, Completed: now}
		return a.store.CommitRecord(disk.JSONRecord(disk.RecChanged, []disk.RelationshipChange{done}), nil)
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
	if err := copyable(rels); err != nil {
		return err
	}
	changes := make([]disk.RelationshipChange, len(rels))
	for i, r := range rels {
		changes[i] = disk.RelationshipChange{UID: r.uid, Copy: true}
	}
	if err := a.store.CommitRecord(disk.JSONRecord(disk.RecChanged, changes), nil); err != nil {
		return err
	}
	for _, r := range rels {
		resume(r)
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
			rels, recs = append(rels, r), append(recs, a.store.RelationshipRecord(r.uid))
		}
	}
	return rels, recs, nil
}

// Rehearse holds pairs against the rules of an act; see arrayclient.Rehearser.
func (a *Array) Rehearse(
	_ context.Context, act arrayclient.Act, pairs []arrayclient.Pair, opts arrayclient.Options,
) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if err := a.errClosed(); err != nil {
		return err
	}
	if act == arrayclient.ActEstablish {
		_, err := a.plan(pairs, opts)
		return err
	}
	rels, err := a.lookupRelationships(pairs)
	if err != nil {
		return err
	}
	switch act {
	case arrayclient.ActWithdraw:
		return nil
	case arrayclient.ActResync:
		_, err = a.nextRecords(rels, refreshed)
	case arrayclient.ActReverse:
		_, err = a.nextRecords(rels, reversed)
	case arrayclient.ActBackgroundCopy:
		err = copyable(rels)
	case arrayclient.ActConsistencyCreated:
		err = consistent(rels)
	default:
		err = fault.New(fault.Usage, "%q is no act of an array", act)
	}
	return err
}
