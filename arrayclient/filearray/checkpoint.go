package filearray

import (
	"sync"
	"time"

	"copyservices/arrayclient/filearray/bitmap"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient/fault"
)

// checkpoint is one that is being written.
type checkpoint struct {
	gen   uint64
	state *disk.State
	pages map[*bitmap.Bitmap][]bitmap.DirtyPage
	ended []*relationship // whose bitmap files can go when it is durable
	done  chan struct{}
	err   error // valid when done is closed
}

// makeRoom is called by the committer before it writes records. When the
// journal is half full it begins a checkpoint, which is written while the
// other journal file takes the records; when that one is half full too, it
// waits.
func (a *Array) makeRoom(records, bytes int) error {
	if err := a.writeFirst(); err != nil {
		return err
	}
	j := a.committer.journal
	if a.current != nil && a.current.finished() && a.current.err == nil {
		if err := a.endCheckpoint(); err != nil {
			return err
		}
	}
	fits := j.Room(records, bytes)
	if fits && (j.Off < j.Size()/2 || a.current != nil && !a.current.finished() ||
		time.Now().Before(a.again)) {
		return nil
	}
	err := a.beginCheckpoint()
	if err != nil && fits {
		a.log.Error("checkpoint failed", "error", err)
		a.again = time.Now().Add(checkpointAgainAfter)
		return nil
	}
	if err == nil && !j.Room(records, bytes) {
		err = fault.New(fault.Refused, "%d bytes are too much for one commit", bytes)
	}
	return err
}

// checkpointAgainAfter is how long a checkpoint that failed is left alone as long
// as the journal has room.
const checkpointAgainAfter = time.Second

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
	if err := a.writeFirst(); err != nil {
		return err
	}
	if err := a.endCheckpoint(); err != nil {
		return err
	}
	j := a.committer.journal
	j.Start(j.Gen+1, disk.HeaderSize)
	a.current = a.newCheckpoint(j.Gen)
	go a.current.write(a)
	return nil
}

// newCheckpoint takes down what checkpoint gen has to write.
func (a *Array) newCheckpoint(gen uint64) *checkpoint {
	a.folder.Stamps.NoteAll()
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
	if err := a.committer.journal.Note(disk.Record{Kind: disk.RecCheckpointed}); err != nil {
		a.log.Warn("the end of a checkpoint is not noted", "error", err)
	}
	return nil
}

func (a *Array) snapshot() *disk.State {
	a.stateMu.RLock()
	defer a.stateMu.RUnlock()
	return a.state.Clone()
}

// takeDirty returns the pages to write, and notes in s how many bits the
// files will have.
func (a *Array) takeDirty(s *disk.State) map[*bitmap.Bitmap][]bitmap.DirtyPage {
	pages := map[*bitmap.Bitmap][]bitmap.DirtyPage{}
	for uid, r := range a.rels {
		rec := *s.Relationships[uid]
		rec.Copied = r.copied.Count.Load()
		if r.changed != nil {
			rec.Changed = r.changed.Count.Load()
		}
		s.Relationships[uid] = &rec
		for _, b := range r.bitmaps() {
			if list := b.TakeDirty(); list != nil {
				pages[b] = list
			}
		}
	}
	return pages
}

// writeCheckpoint may be called again after an error: all that it writes, it then
// writes once more.
func (a *Array) writeCheckpoint(c *checkpoint) error {
	err := a.spare.Spend(func() error {
		if err := a.writeBitmaps(c); err != nil {
			return err
		}
		return disk.WriteMeta(a.fsys, a.serial, c.gen, c.state)
	})
	if err != nil {
		return err
	}
	if err := disk.NoteDurable(a.fsys, a.serial, c.gen, c.state.Session); err != nil {
		a.log.Warn("the generation is not noted", "error", err)
	}
	for _, r := range c.ended {
		for _, b := range r.bitmaps() {
			if err := b.Remove(a.fsys); err != nil {
				a.log.Warn("bitmap file not removed", "error", err)
			}
		}
	}
	return nil
}

// bitmapsAtOnce is how many bitmaps are written side by side, so that they
// share the cost of the file system's commits.
const bitmapsAtOnce = 16

// writeBitmaps makes the pages of a checkpoint durable, and that their files
// are there. A file that was made for it counts only when the meta file that
// follows speaks of its bits, so that none is half made then.
func (a *Array) writeBitmaps(c *checkpoint) error {
	var running sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	slots := make(chan struct{}, bitmapsAtOnce)
	for b, list := range c.pages {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if err := b.Store(a.fsys, a.serial, c.gen, list); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
		})
	}
	running.Wait()
	if len(failed) > 0 {
		return failed[0]
	}
	return a.listBitmaps(c)
}

// listBitmaps makes the folder's entries of new files durable.
func (a *Array) listBitmaps(c *checkpoint) error {
	var unlisted []*bitmap.Bitmap
	for b := range c.pages {
		if !b.Listed {
			unlisted = append(unlisted, b)
		}
	}
	if len(unlisted) == 0 {
		return nil
	}
	if err := a.fsys.SyncDir(bitmap.Dir); err != nil {
		return err
	}
	for _, b := range unlisted {
		b.Listed = true
	}
	return nil
}
