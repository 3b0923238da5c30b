package segments

import (
	"slices"
	"sync"
	"sync/atomic"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
)

// XFS gives a file that is written to at a shared block a new one, in memory. On the
// disk the file still has the old block, which in memory is its partner's alone by
// then, so that the partner is written in place there. When the power goes before the
// first file is synced, that file has the old block again, with what the partner
// wrote.
//
// So of all files that may share a block, only one at a time may have changes
// there that are not synced. Then each of the others has on the disk the blocks
// that it has in memory, and what is written in place is nobody else's. Who
// changes tracks claims them first, and syncs the partners that have claims on
// them; a sync lets claims go. Everything that changes a segment passes here:
// what hosts write, copies, zeros, and sharing itself. What a process that was
// killed changed may not be synced either, so volumes that were opened count as
// having claims on all their tracks until they are first synced.
//
// Partners share at equal offsets, since tracks are only ever copied to their
// own place. Which volumes are partners is noted in the journal before the first
// block is shared (disk.VolumeRecord.Shares).

// sharing keeps the claims of an array's volumes apart.
type sharing struct {
	mu sync.Mutex
	// changed tells waiting claimants that claims were let go, that a change
	// ended, or that one of them is not waiting any more.
	changed sync.Cond
	claims  map[int64][]*claim // by track
	waiting []*claimant        // in the order in which they came
	unsure  map[*sharer]bool   // opened and not synced since
	all     map[uint64]*sharer // by uid
	// old is how many volumes may share blocks with each other for all that is
	// known: they were made before sharing was noted.
	old atomic.Int64
}

// sharer is a volume as one that may share blocks.
type sharer struct {
	hub  *sharing
	uid  uint64
	old  bool
	data *Data
	// sync is Data.Sync for others, who hold no gate of the volume.
	sync func() error
	// partners are the uids of the volumes that it may share blocks with beside
	// the old ones; nil for none.
	partners atomic.Pointer[[]uint64]
	sure     atomic.Bool // it is not in sharing.unsure

	// What follows is guarded by sharing.mu.
	tracks []int64 // that it has claims on
	syncs  uint64  // how many syncs were begun
	gone   bool    // it failed or was deleted: nobody has to wait for it
}

// claim is a volume's on one track. It is held from before a change until a
// sync that began after the change.
type claim struct {
	by       *sharer
	changing int    // changes under way
	changed  uint64 // by.syncs at the end of the newest change
}

// claimant waits for tracks.
type claimant struct {
	*sharer
	bitmap.Range
}

// NewData returns the data of a volume, without files, as one of those that may share
// blocks. Those with uids before since are taken to share with each other. sync syncs
// it for others, who hold no gate of it.
func (f *Folder) NewData(rec *disk.VolumeRecord, since uint64, sync func() error) *Data {
	d, h := &Data{}, f.sharing
	s := &sharer{hub: h, uid: rec.UID, old: rec.UID < since, data: d, sync: sync}
	d.share = s
	h.mu.Lock()
	h.all[s.uid], h.unsure[s] = s, true
	h.mu.Unlock()
	if s.old {
		h.old.Add(1)
	}
	s.setPartners(rec.Shares)
	return d
}

// NotePartners takes over whose blocks volumes may share from the state.
func (f *Folder) NotePartners(s *disk.State) {
	h := f.sharing
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, rec := range s.Volumes {
		if v := h.all[rec.UID]; v != nil {
			v.setPartners(rec.Shares)
		}
	}
}

func (s *sharer) setPartners(list []uint64) {
	if len(list) == 0 {
		s.partners.Store(nil)
		return
	}
	s.partners.Store(&list)
}

// Shares reports whether the volume may share blocks with another one.
func (d *Data) Shares() bool { return !d.share.alone() }

func newSharing() *sharing {
	h := &sharing{
		claims: map[int64][]*claim{}, all: map[uint64]*sharer{}, unsure: map[*sharer]bool{},
	}
	h.changed.L = &h.mu
	return h
}

// alone reports whether the volume shares blocks with none.
func (s *sharer) alone() bool {
	return s.partners.Load() == nil && !(s.old && s.hub.old.Load() > 1)
}

// partnerOf reports whether s and other may share blocks.
func (s *sharer) partnerOf(other *sharer) bool {
	if s == other || s.old && other.old {
		return s != other
	}
	p := s.partners.Load()
	if p == nil {
		return false
	}
	_, ok := slices.BinarySearch(*p, other.uid)
	return ok
}

// maxClaims is how many tracks a volume may have claims on before it is synced.
const maxClaims = 1 << 16

// claim waits until no partner has changes in [off, off+n) that are not synced,
// and returns what to release after the change. s may be nil. The caller's hold
// on the volume keeps its files from being replaced.
//
// Claimants are served in their order, and those who have claims wait for
// nobody, so that all are served.
func (s *sharer) claim(off, n int64) bitmap.Range {
	if s == nil || n == 0 || s.alone() {
		return bitmap.Range{}
	}
	c, h := s.claimantOf(off, n), s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(s.tracks) > maxClaims {
		h.without(s.data.Sync)
	}
	h.waiting = append(h.waiting, c)
	for {
		rival, busy := h.rival(c)
		if rival == nil {
			break
		}
		if busy {
			h.changed.Wait()
		} else {
			h.without(rival.sync)
		}
	}
	h.take(c)
	return c.Range
}

// Blocked reports whether a partner has to be synced before [off, off+n) may change.
func (d *Data) Blocked(off, n int64) bool {
	s := d.share
	if n == 0 || s.alone() {
		return false
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	rival, busy := s.hub.rival(s.claimantOf(off, n))
	return rival != nil && !busy
}

// MakeWay syncs the partners that have to be before [off, off+n) may change, so that
// the change, which is made with a gate held, need not. Any of them may have changed
// again at the end, and then is synced by the change all the same. No gate is held.
func (d *Data) MakeWay(off, n int64) {
	s := d.share
	if n == 0 || s.alone() {
		return
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	c, synced := s.claimantOf(off, n), map[*sharer]bool{}
	for {
		rival, busy := s.hub.rival(c)
		if rival == nil || busy || synced[rival] {
			return
		}
		synced[rival] = true
		s.hub.without(rival.sync)
	}
}

func (s *sharer) claimantOf(off, n int64) *claimant {
	return &claimant{s, bitmap.RangeAt(off, n)}
}

// without calls sync while mu is not held. An error stays in the volume, which
// has no claims then.
func (h *sharing) without(sync func() error) {
	h.mu.Unlock()
	defer h.mu.Lock()
	sync()
}

// rival returns a partner that is in the way of c, nil when there is none. busy
// means that c has to wait until something changes; otherwise a sync helps.
func (h *sharing) rival(c *claimant) (rival *sharer, busy bool) {
	for _, before := range h.waiting {
		if before == c {
			break
		}
		if before.Overlaps(c.Range) && before.partnerOf(c.sharer) {
			return before.sharer, true
		}
	}
	for s := range h.unsure {
		if s.partnerOf(c.sharer) {
			return s, false
		}
	}
	for t := c.First; t < c.First+c.N; t++ {
		for _, held := range h.claims[t] {
			if !held.by.partnerOf(c.sharer) {
				continue
			}
			if held.changing > 0 {
				return held.by, true
			}
			rival = held.by
		}
	}
	return rival, false
}

// take gives c its tracks.
func (h *sharing) take(c *claimant) {
	h.waiting = slices.DeleteFunc(h.waiting, func(w *claimant) bool { return w == c })
	for t := c.First; t < c.First+c.N && !c.gone; t++ {
		held := h.of(c.sharer, t)
		if held == nil {
			held = &claim{by: c.sharer}
			h.claims[t] = append(h.claims[t], held)
			c.tracks = append(c.tracks, t)
		}
		held.changing++
	}
	h.changed.Broadcast()
}

// of returns the claim of s on a track, or nil.
func (h *sharing) of(s *sharer, track int64) *claim {
	for _, held := range h.claims[track] {
		if held.by == s {
			return held
		}
	}
	return nil
}

// release notes that a change has ended that r was claimed for.
func (s *sharer) release(r bitmap.Range) {
	if r.N == 0 {
		return
	}
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	for t := r.First; t < r.First+r.N; t++ {
		if held := h.of(s, t); held != nil {
			held.changing--
			held.changed = s.syncs
		}
	}
	if len(h.waiting) > 0 {
		h.changed.Broadcast()
	}
}

// beginSync is called when the file with the tracks of r is about to be synced,
// and returns what is to be called when that is done. kept means that claims
// are left that only another sync lets go. s may be nil.
func (s *sharer) beginSync(r bitmap.Range) (end func() (kept bool)) {
	if s == nil {
		return func() bool { return false }
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.syncs++
	begun := s.syncs
	return func() (kept bool) {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		s.letGo(func(t int64, c *claim) bool {
			if !r.Overlaps(bitmap.Range{First: t, N: 1}) {
				return false
			}
			synced := c.changing == 0 && c.changed < begun
			kept = kept || !synced
			return synced
		})
		return kept
	}
}

// synced notes that all files of the volume were synced since it was opened.
// s may be nil.
func (s *sharer) synced() {
	if s == nil || s.sure.Swap(true) {
		return
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.unsure, s)
	s.hub.changed.Broadcast()
}

// leave lets all claims go, for good: the volume is deleted, or failed, and
// there is nothing in it any more that others must spare.
func (s *sharer) leave() {
	if s == nil {
		return
	}
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.gone = true
	delete(s.hub.all, s.uid)
	delete(s.hub.unsure, s)
	s.letGo(func(int64, *claim) bool { return true })
}

// letGo lets those claims go that f picks. sharing.mu is held.
func (s *sharer) letGo(f func(track int64, c *claim) bool) {
	if len(s.tracks) == 0 {
		return
	}
	h := s.hub
	s.tracks = slices.DeleteFunc(s.tracks, func(t int64) bool {
		if !f(t, h.of(s, t)) {
			return false
		}
		rest := slices.DeleteFunc(h.claims[t], func(c *claim) bool { return c.by == s })
		if len(rest) == 0 {
			delete(h.claims, t)
		} else {
			h.claims[t] = rest
		}
		return true
	})
	h.changed.Broadcast()
}
