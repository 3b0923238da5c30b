package records

import (
	"log/slog"
	"sync"
	"time"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/lockorder"
	"copyservices/arrayclient/filearray/recovery"
	"copyservices/arrayclient/filearray/segments"
)

// Store is what an array knows beside the bytes of its volumes: its state, as records make
// it, and how records and the bits of relationships become durable.
type Store struct {
	committer
	fsys   disk.FS
	serial string
	log    *slog.Logger
	// Spare is room on the disk for what the array writes down itself.
	Spare disk.Reserve
	// Folder is the files of the volumes.
	Folder *segments.Folder
	// live are the bitmaps of all relationships. It is called between two batches.
	live func() map[uint64]bitmap.Pair
	// visible is locked while records change what others see.
	visible sync.Locker

	// Current is the checkpoint that is being written, nil for none. It belongs to who
	// commits.
	Current *checkpoint
	ended   []bitmap.Pair // whose files the next checkpoint removes
	// first is the checkpoint of the opening as long as it could not be written
	// because the disk was full: nothing can be committed before it.
	first *firstCheckpoint
	// again is when a checkpoint that failed is next tried, if nothing depends on it.
	again time.Time

	// stateMu guards State, which the committer changes, often without visible. An
	// opening reads it without.
	stateMu lockorder.RWMutex[lockorder.State]
	State   *disk.State
}

// New returns the store of an array of which l was loaded. A record changes what
// others see while visible is locked; live are the bitmaps of all relationships.
func New(
	fsys disk.FS, l *recovery.Loaded, log *slog.Logger, visible sync.Locker,
	live func() map[uint64]bitmap.Pair,
) *Store {
	s := &Store{
		fsys: fsys, serial: l.Serial, log: log, visible: visible, live: live, State: l.State,
	}
	s.Folder = segments.NewFolder(fsys, l.Serial, s.Apply)
	s.committer = committer{
		Journal: l.Journal, between: s.makeRoom, release: s.Spare.Release, stamps: &s.Folder.Stamps,
	}
	return s
}

// Apply applies a record that this program made, and that is durable or about to be, to
// the state.
func (s *Store) Apply(r disk.Record) {
	s.stateMu.Lock()
	defer s.stateMu.Unlock()
	if err := s.State.Apply(r); err != nil {
		panic("filearray: " + err.Error()) // it was made by this program
	}
	switch r.Kind {
	case disk.RecSharing, disk.RecEnded, disk.RecVolumeDeleted:
		s.Folder.NotePartners(s.State)
	}
}

// Note applies r to the state and writes it to the journal, if it has room, without
// syncing it: r may be lost. An error means that nothing is committed any more.
func (s *Store) Note(r disk.Record) {
	s.Commit(nil, nil, func() {
		s.Apply(r)
		if !s.Journal.Room(1, len(r.Payload)) {
			return // the next checkpoint writes it down
		}
		if err := s.Journal.Note(r); err != nil {
			s.log.Warn("it is not noted that images are durable", "error", err)
		}
	})
}

// CopyRate bounds all background copying, in bytes a second; 0 is no bound.
func (s *Store) CopyRate() int64 {
	s.stateMu.RLock()
	defer s.stateMu.RUnlock()
	return s.State.CopyRate
}

// SharingNoted reports whether it is noted that the target of a relationship may share
// the source's blocks; known is false when there is no such relationship.
func (s *Store) SharingNoted(uid uint64) (noted, known bool) {
	s.stateMu.RLock()
	defer s.stateMu.RUnlock()
	rec := s.State.Relationships[uid]
	return rec != nil && s.State.Shares(rec), rec != nil
}

// RelationshipRecord returns the record of a relationship, nil when there is none. It
// is replaced, not changed, so the caller may keep it.
func (s *Store) RelationshipRecord(uid uint64) *disk.RelationshipRecord {
	s.stateMu.RLock()
	defer s.stateMu.RUnlock()
	return s.State.Relationships[uid]
}

// VolumeRecord is RelationshipRecord for a volume.
func (s *Store) VolumeRecord(id uint16) *disk.VolumeRecord {
	s.stateMu.RLock()
	defer s.stateMu.RUnlock()
	return s.State.Volumes[id]
}
