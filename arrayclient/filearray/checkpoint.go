package filearray

import (
	"errors"
	"fmt"

	"copyservices/arrayclient/fault"
)

const bitmapDir = "bitmaps"

func bitmapName(uid uint64) string { return fmt.Sprintf("%s/%08d.copied", bitmapDir, uid) }

// checkpoint is one that is being written.
type checkpoint struct {
	gen   uint64
	state *state
	pages map[*relationship][]dirtyPage
	ended []*relationship // whose bitmap files can go when it is durable
	done  chan struct{}
	err   error // valid when done is closed
}

// makeRoom is called by the committer before it writes records. When the
// journal is half full it begins a checkpoint, which is written while the
// other journal file takes the records; when that one is half full too, it
// waits.
func (a *Array) makeRoom(records, bytes int) error {
	j := a.committer.journal
	if a.current != nil && a.current.finished() && a.current.err == nil {
		if err := a.endCheckpoint(); err != nil {
			return err
		}
	}
	fits := j.room(records, bytes)
	if fits && (j.off < journalSize/2 || a.current != nil && !a.current.finished()) {
		return nil
	}
	err := a.beginCheckpoint()
	if err != nil && fits {
		a.log.Error("checkpoint failed", "error", err)
		return nil
	}
	if err == nil && !j.room(records, bytes) {
		err = fault.New(fault.Refused, "%d bytes are too much for one commit", bytes)
	}
	return err
}

func (c *checkpoint) finished() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// beginCheckpoint is called between two batches.
func (a *Array) beginCheckpoint() error {
	if err := a.endCheckpoint(); err != nil {
		return err
	}
	j := a.committer.journal
	j.start(j.gen+1, headerSize)
	a.current = a.newCheckpoint(j.gen)
	go a.current.write(a)
	return nil
}

// newCheckpoint takes down what checkpoint gen has to write.
func (a *Array) newCheckpoint(gen uint64) *checkpoint {
	c := &checkpoint{gen: gen, state: a.snapshot(), ended: a.ended, done: make(chan struct{})}
	c.pages = a.takeDirty(c.state)
	a.ended = nil
	return c
}

func (c *checkpoint) write(a *Array) {
	c.err = a.writeCheckpoint(c)
	close(c.done)
}

// endCheckpoint waits for the checkpoint that is being written, if any, and
// tries once more to write one that could not be written.
func (a *Array) endCheckpoint() error {
	c := a.current
	if c == nil {
		return nil
	}
	<-c.done
	if c.err != nil {
		c.err = a.writeCheckpoint(c)
	}
	if c.err != nil {
		return fault.New(fault.Server, "the array's state cannot be written: %w", c.err)
	}
	a.current = nil
	return a.committer.journal.note(record{kind: recCheckpointed})
}

func (a *Array) snapshot() *state {
	a.stateMu.RLock()
	defer a.stateMu.RUnlock()
	return a.state.clone()
}

// takeDirty returns the pages to write, and notes in s how many bits the
// files will have.
func (a *Array) takeDirty(s *state) map[*relationship][]dirtyPage {
	pages := map[*relationship][]dirtyPage{}
	for uid, r := range a.rels {
		rec := *s.Relationships[uid]
		rec.Copied = r.copied.count.Load()
		s.Relationships[uid] = &rec
		if list := r.copied.takeDirty(); list != nil {
			pages[r] = list
		}
	}
	return pages
}

func (a *Array) writeCheckpoint(c *checkpoint) error {
	for r, list := range c.pages {
		if err := a.writeBitmap(r, c.gen, list); err != nil {
			return err
		}
	}
	if err := writeMeta(a.fsys, a.serial, c.gen, c.state); err != nil {
		return err
	}
	for _, r := range c.ended {
		if err := a.removeBitmap(r); err != nil {
			a.log.Warn("bitmap file not removed", "error", err)
		}
	}
	return nil
}

// writeBitmap writes pages of r's bitmap. The bitmap of a relationship that
// ended meanwhile is of no use to anyone, but harmless.
func (a *Array) writeBitmap(r *relationship, gen uint64, list []dirtyPage) error {
	if r.file == nil {
		f, err := openBitmap(a.fsys, bitmapName(r.uid), a.serial, r.uid)
		if err != nil {
			return err
		}
		r.file = f
	}
	if err := r.copied.writePages(r.file, r.uid, gen, list); err != nil {
		return err
	}
	return r.file.Sync()
}

func (a *Array) removeBitmap(r *relationship) error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	if rm := a.fsys.Remove(bitmapName(r.uid)); !isNotExist(rm) {
		err = errors.Join(err, rm)
	}
	return err
}
