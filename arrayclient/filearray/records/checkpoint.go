package records

import (
	"errors"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/recovery"
)

// checkpoint is one that is being written.
type checkpoint struct {
	gen   uint64
	state *disk.State
	pages map[*bitmap.Bitmap][]bitmap.DirtyPage
	ended []bitmap.Pair // whose files can go when it is durable
	Done  chan struct{}
	Err   error // valid when done is closed
}

// makeRoom is called by the committer before it writes records. When the
// journal is half full it begins a checkpoint, which is written while the
// other journal file takes the records; when that one is half full too, it
// waits.
func (s *Store) makeRoom(records, bytes int) error {
	if err := s.writeFirst(); err != nil {
		return err
	}
	j := s.Journal
	if s.Current != nil && s.Current.Finished() && s.Current.Err == nil {
		if err := s.EndCheckpoint(); err != nil {
			return err
		}
	}
	fits := j.Room(records, bytes)
	if fits && (j.Off < j.Size()/2 || s.Current != nil && !s.Current.Finished() ||
		time.Now().Before(s.again)) {
		return nil
	}
	err := s.BeginCheckpoint()
	if err != nil && fits {
		s.log.Error("checkpoint failed", "error", err)
		s.again = time.Now().Add(checkpointAgainAfter)
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

// Finished reports whether Err is valid.
func (c *checkpoint) Finished() bool {
	select {
	case <-c.Done:
		return true
	default:
		return false
	}
}

// BeginCheckpoint begins one. It is called between two batches.
func (s *Store) BeginCheckpoint() error {
	if err := s.writeFirst(); err != nil {
		return err
	}
	if err := s.EndCheckpoint(); err != nil {
		return err
	}
	j := s.Journal
	j.Start(j.Gen+1, disk.HeaderSize)
	s.Current = s.newCheckpoint(j.Gen)
	go s.Current.write(s)
	return nil
}

// newCheckpoint takes down what checkpoint gen has to write.
func (s *Store) newCheckpoint(gen uint64) *checkpoint {
	s.Folder.Stamps.NoteAll()
	c := &checkpoint{gen: gen, state: s.snapshot(), ended: s.ended, Done: make(chan struct{})}
	c.pages = s.takeDirty(c.state)
	s.ended = nil
	return c
}

func (c *checkpoint) write(s *Store) {
	c.Err = s.writeCheckpoint(c)
	close(c.Done)
}

// EndCheckpoint waits for the checkpoint that is being written, if any, and
// tries once more to write one that could not be written.
func (s *Store) EndCheckpoint() error {
	c := s.Current
	if c == nil {
		return nil
	}
	<-c.Done
	if c.Err != nil {
		c.Err = s.writeCheckpoint(c)
	}
	if c.Err != nil {
		return fault.New(fault.Server, "the array's state cannot be written: %w", c.Err)
	}
	s.Current = nil
	if err := s.Journal.Note(disk.Record{Kind: disk.RecCheckpointed}); err != nil {
		s.log.Warn("the end of a checkpoint is not noted", "error", err)
	}
	return nil
}

func (s *Store) snapshot() *disk.State {
	s.stateMu.RLock()
	defer s.stateMu.RUnlock()
	return s.State.Clone()
}

// takeDirty returns the pages to write, and notes in state how many bits the
// files will have.
func (s *Store) takeDirty(state *disk.State) map[*bitmap.Bitmap][]bitmap.DirtyPage {
	pages := map[*bitmap.Bitmap][]bitmap.DirtyPage{}
	for uid, bits := range s.live() {
		rec := *state.Relationships[uid]
		rec.Copied = bits.Copied.Count.Load()
		if bits.Changed != nil {
			rec.Changed = bits.Changed.Count.Load()
		}
		state.Relationships[uid] = &rec
		for _, b := range bits.List() {
			if list := b.TakeDirty(); list != nil {
				pages[b] = list
			}
		}
	}
	return pages
}

// writeCheckpoint may be called again after an error: all that it writes, it then
// writes once more.
func (s *Store) writeCheckpoint(c *checkpoint) error {
	err := s.Spare.Spend(func() error {
		if err := s.writeBitmaps(c); err != nil {
			return err
		}
		return disk.WriteMeta(s.fsys, s.serial, c.gen, c.state)
	})
	if err != nil {
		return err
	}
	if err := disk.NoteDurable(s.fsys, s.serial, c.gen, c.state.Session); err != nil {
		s.log.Warn("the generation is not noted", "error", err)
	}
	s.removeBitmaps(c.ended)
	return nil
}

// removeBitmaps removes the files of relationships that are durably no more.
func (s *Store) removeBitmaps(list []bitmap.Pair) {
	for _, bits := range list {
		if err := bits.Each(func(b *bitmap.Bitmap) error { return b.Remove(s.fsys) }); err != nil {
			s.log.Warn("bitmap file not removed", "error", err)
		}
	}
}

// bitmapsAtOnce is how many bitmaps are written side by side, so that they
// share the cost of the file system's commits.
const bitmapsAtOnce = 16

// writeBitmaps makes the pages of a checkpoint durable, and that their files
// are there. A file that was made for it counts only when the meta file that
// follows speaks of its bits, so that none is half made then.
func (s *Store) writeBitmaps(c *checkpoint) error {
	var running sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	slots := make(chan struct{}, bitmapsAtOnce)
	for b, list := range c.pages {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if err := b.Store(s.fsys, s.serial, c.gen, list); err != nil {
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
	return s.listBitmaps(c)
}

// listBitmaps makes the folder's entries of new files durable.
func (s *Store) listBitmaps(c *checkpoint) error {
	var unlisted []*bitmap.Bitmap
	for b := range c.pages {
		if !b.Listed {
			unlisted = append(unlisted, b)
		}
	}
	if len(unlisted) == 0 {
		return nil
	}
	if err := s.fsys.SyncDir(bitmap.Dir); err != nil {
		return err
	}
	for _, b := range unlisted {
		b.Listed = true
	}
	return nil
}

// firstCheckpoint is the checkpoint of an opening.
type firstCheckpoint struct {
	*checkpoint
	from *recovery.Loaded
}

// Start writes checkpoint gen, that of the opening that l is from.
func (s *Store) Start(l *recovery.Loaded, gen uint64) error {
	s.State.Session = gen
	s.first = &firstCheckpoint{s.newCheckpoint(gen), l}
	return s.writeFirst()
}

// Started reports whether the checkpoint of the opening is written. Before that
// nothing can be committed.
func (s *Store) Started() bool { return s.first == nil }

// writeFirst writes the checkpoint of the opening unless that was done. On a full
// disk the array is opened without. What was replayed is made durable by syncing
// the journals then, and stays there alone.
func (s *Store) writeFirst() error {
	c := s.first
	if c == nil {
		return nil
	}
	err := s.Spare.Spend(func() error { return c.from.BeginSession(c.gen) })
	if err == nil {
		err = s.writeCheckpoint(c.checkpoint)
	}
	if err != nil {
		if disk.IsFull(err) {
			err = disk.FullError(err)
		}
		return err
	}
	s.removeBitmaps(c.from.Ended)
	j := s.Journal
	j.Start(c.gen, disk.HeaderSize)
	err = j.Note(disk.Record{Kind: disk.RecCheckpointed})
	if errors.Is(err, disk.ErrNoRoom) {
		err = nil
	}
	if err == nil {
		s.first = nil
	}
	return err
}

// End has the files of bitmaps removed, once it is durable that their relationship is no
// more. It is called where the record of that is applied.
func (s *Store) End(bits bitmap.Pair) { s.ended = append(s.ended, bits) }

// LastCheckpoint writes what the journals have, as an array does that ends well.
func (s *Store) LastCheckpoint() (err error) {
	committed := s.Commit(nil, nil, func() {
		if err = s.BeginCheckpoint(); err != nil {
			return
		}
		if err = s.EndCheckpoint(); err == nil {
			err = s.Journal.SyncWritten()
		}
	})
	return errors.Join(committed, err)
}
