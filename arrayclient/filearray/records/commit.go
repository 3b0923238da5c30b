package records

import (
	"errors"
	"sync"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/lockorder"
	"copyservices/arrayclient/filearray/parallel"
	"copyservices/arrayclient/filearray/segments"
)

// Relationship is what the store has to know of one to commit its marks.
type Relationship interface {
	// UID is that of its record.
	UID() uint64
	// SyncTarget makes durable what the target holds. An error stays in the target.
	SyncTarget() error
	// TargetErr is why nothing is known about what is in the target, nil for a good one.
	TargetErr() error
	// Marked is called when the mark of n tracks is durable.
	Marked(first, n int64, changed bool)
	// Failed is called when it is durable that the relationship failed.
	Failed(reason string)
}

// Mark says that the target of Rel holds N tracks from First, or that they
// were changed.
type Mark struct {
	Rel      Relationship
	First, N int64
	Changed  bool
}

// Failures are those of relationships, to be committed. The zero value has none.
type Failures struct {
	records []disk.Record
	applies []func()
}

// Add notes that a relationship failed.
func (f *Failures) Add(rel Relationship, cause error) {
	reason := cause.Error()
	failure := disk.Failure{UID: rel.UID(), Reason: reason}
	f.records = append(f.records, disk.JSONRecord(disk.RecFailed, failure))
	f.applies = append(f.applies, func() { rel.Failed(reason) })
}

// committer makes changes durable and then visible. Requests that come while
// a batch is being written share the next one, and with it the cost of its
// syncs. Everything that the journal records is changed in memory by the
// committer alone, between the sync of the journal and the answer; so between
// two batches memory and journal agree, and a checkpoint can be taken.
type committer struct {
	// Journal belongs to who commits.
	Journal *disk.Journal
	// between is called before a batch of the given number of records and
	// bytes; it makes room in the journal.
	between func(records, bytes int) error
	// release gives back room that was kept for the journal on a full disk, and
	// reports whether there was any.
	release func() bool
	// stamps are taken down with what is committed.
	stamps *segments.Stamps

	mu      sync.Mutex
	running bool
	next    *batch
	broken  error // the journal cannot be written any more

	order lockorder.Ranges[lockorder.Committer] // of those who wait for a batch
}

// batch is what one round makes durable.
type batch struct {
	Failures
	done  chan struct{}
	err   error
	marks []Mark
}

// Commit makes marks and records durable, in this order, and calls apply
// (which may be nil) when they are. The caller has called SyncTargets for the
// marks: a mark on the disk without the data it speaks of would be a wrong
// image. A target whose data could not be made durable fails, and its marks
// with it; the caller's write goes on. So nil means no more than that each
// relationship either has its marks or has failed. An error means that
// nothing was committed: the journal is broken, or the disk is full.
//
// No data is synced here: everybody who commits waits for the batch before, so
// that a batch takes no longer than the journal.
func (c *committer) Commit(marks []Mark, records []disk.Record, apply func()) error {
	c.mu.Lock()
	b := c.next
	if b == nil {
		b = &batch{done: make(chan struct{})}
		c.next = b
	}
	b.marks = append(b.marks, marks...)
	b.records = append(b.records, records...)
	if apply != nil {
		b.applies = append(b.applies, apply)
	}
	lead := !c.running
	c.running = true
	c.mu.Unlock()
	c.await(b, lead)
	return b.err
}

// await waits for a batch, which who leads writes. What its applies lock must not be
// held.
func (c *committer) await(b *batch, lead bool) {
	if lead {
		c.round()
	}
	c.order.Take()
	defer c.order.Release()
	<-b.done
}

// round writes the batch that is open, and leaves later ones to a goroutine,
// so that the caller that leads waits for its own alone.
func (c *committer) round() {
	c.mu.Lock()
	b := c.next
	c.next = nil
	if b == nil {
		c.running = false
		c.mu.Unlock()
		return
	}
	err := c.broken
	c.mu.Unlock()
	if err == nil {
		err = c.write(b)
	}
	c.mu.Lock()
	more := c.next != nil
	c.running = more
	c.mu.Unlock()
	b.err = err
	close(b.done)
	if more {
		go c.round()
	}
}

// breakDown notes that the journal cannot be written: what of it is on the
// disk is not known, so nothing may be committed any more.
func (c *committer) breakDown(cause error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = fault.New(fault.Server, "the array's journal cannot be written: %w", cause).
		WithHint("see that the disk under the state folder is sound, then start copyserver again")
	return c.broken
}

// Err returns why nothing can be committed any more, nil if it can.
func (c *committer) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// maxMarks is how many marks are written at a time: many more would not fit
// into the journal.
const maxMarks = 1 << 16

func (c *committer) write(b *batch) error {
	for len(b.marks) > maxMarks {
		if err := c.record(&batch{marks: b.marks[:maxMarks]}); err != nil {
			return err
		}
		b.marks = b.marks[maxMarks:]
	}
	return c.record(b)
}

// record makes b durable and visible.
func (c *committer) record(b *batch) error {
	records, good := b.marksRecord()
	records = append(records, b.records...)
	var stamped []disk.StampChange
	if len(records) > 0 {
		stamped = c.stamps.Some()
	}
	if len(stamped) > 0 {
		records = append(records, disk.JSONRecord(disk.RecStamped, stamped))
	}
	size := 0
	for _, r := range records {
		size += len(r.Payload)
	}
	if len(records) > 0 {
		if err := c.between(len(records), size); err != nil {
			return err
		}
		err := c.Journal.Commit(records)
		if errors.Is(err, disk.ErrNoRoom) && c.release() {
			err = c.Journal.Commit(records)
		}
		if errors.Is(err, disk.ErrNoRoom) {
			return disk.FullError(err)
		}
		if err != nil {
			return c.breakDown(err)
		}
		c.stamps.Noted(stamped)
	}
	for _, m := range good {
		m.Rel.Marked(m.First, m.N, m.Changed)
	}
	for _, apply := range b.applies {
		apply()
	}
	return nil
}

// SyncTargets makes the data behind marks durable, several targets at a time.
// It takes no gate. An error stays in the volume.
func SyncTargets(marks []Mark) {
	var list []Relationship
	seen := map[Relationship]bool{}
	for _, m := range marks {
		if !m.Changed && !seen[m.Rel] {
			seen[m.Rel] = true
			list = append(list, m.Rel)
		}
	}
	parallel.Each(list, Relationship.SyncTarget)
}

// marksRecord returns the marks as a record, together with the failures of
// relationships whose target cannot hold them.
func (b *batch) marksRecord() (records []disk.Record, good []Mark) {
	var copied, changed []byte
	failed := map[Relationship]bool{}
	for _, m := range b.marks {
		if m.Changed {
			changed = disk.AppendMark(changed, m.Rel.UID(), m.First, m.N)
		} else if err := m.Rel.TargetErr(); err != nil {
			if !failed[m.Rel] {
				b.Add(m.Rel, err)
			}
			failed[m.Rel] = true
			continue
		} else {
			copied = disk.AppendMark(copied, m.Rel.UID(), m.First, m.N)
		}
		good = append(good, m)
	}
	if copied != nil {
		records = append(records, disk.Record{Kind: disk.RecMarks, Payload: copied})
	}
	if changed != nil {
		records = append(records, disk.Record{Kind: disk.RecChangedMarks, Payload: changed})
	}
	return records, good
}

// CommitRecord makes r durable, applies it to the state and then calls apply,
// which may be nil, both with visible held: the caller does not hold it.
func (s *Store) CommitRecord(r disk.Record, apply func()) error {
	return s.Commit(nil, []disk.Record{r}, func() {
		s.visible.Lock()
		defer s.visible.Unlock()
		s.Apply(r)
		if apply != nil {
			apply()
		}
	})
}

// CommitFailures makes failures durable, if there are any.
func (s *Store) CommitFailures(f *Failures) error {
	if len(f.records) == 0 {
		return nil
	}
	return s.Commit(nil, f.records, func() {
		for _, apply := range f.applies {
			apply()
		}
	})
}
