// Package bitmap has what remembers tracks: a Bitmap for each relationship, in
// memory and in a file, and the small sets and locks of ranges beside it. Tracks
// are counted from the begin of a volume.
package bitmap

import (
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"sync/atomic"

	"copyservices/arrayclient/filearray/disk"
)

// The layout of a bitmap's file: after a header in the first 4 KiB, each page has two
// slots of 4 KiB that are written in turn, so that a torn write leaves the other:
//
//	0   4  CRC-32C of the rest of the slot
//	4   4  page number
//	8   8  generation of the checkpoint that wrote it
//	16  8  uid of the relationship
//	24  8  zeros
//	32     508 words of 64 bits, little endian, track 0 in bit 0
const (
	pageWords  = 508
	pageTracks = pageWords * 64
	pageSlot   = 4096
	pageHeader = 32
)

// Start is where in the file the pages begin.
const Start = 4096

type bitPage [pageWords]uint64

// fullPage stands for every page with all bits set. It is never written to.
var fullPage = func() *bitPage {
	var p bitPage
	for i := range p {
		p[i] = ^uint64(0)
	}
	return &p
}()

// Bitmap says something of each track of a relationship: whether the target
// has it, or whether it was changed. Bits are only ever set, never cleared:
// that is what lets a crash in the middle of writing one down do no harm, and
// readers go without a lock.
type Bitmap struct {
	Name   string                    // of its file
	UID    uint64                    // of its relationship
	Tracks int64                     // how many bits there are
	Count  atomic.Int64              // how many are set
	pages  []atomic.Pointer[bitPage] // nil: no bit set

	// What follows belongs to the committer.
	pageCount []int32 // bits set in each page
	dirty     []bool  // changed since the last checkpoint
	slot      []uint8 // slot that is written next

	// What follows belongs to the checkpoint. file is nil before it first
	// writes; Listed says that the folder's entry of the file is durable.
	file   disk.File
	Listed bool
}

// New returns a bitmap without a bit set. Its file is made when it is first stored.
func New(name string, uid uint64, tracks int64) *Bitmap {
	n := int((tracks + pageTracks - 1) / pageTracks)
	return &Bitmap{
		Name:      name,
		UID:       uid,
		Tracks:    tracks,
		pages:     make([]atomic.Pointer[bitPage], n),
		pageCount: make([]int32, n),
		dirty:     make([]bool, n),
		slot:      make([]uint8, n),
	}
}

// IsSet reports whether the bit of a track is set.
func (b *Bitmap) IsSet(track int64) bool {
	p := b.pages[track/pageTracks].Load()
	if p == nil {
		return false
	}
	bit := track % pageTracks
	return atomic.LoadUint64(&p[bit/64])>>(bit%64)&1 == 1
}

// Full reports whether every bit is set.
func (b *Bitmap) Full() bool { return b.Count.Load() == b.Tracks }

// Run returns whether track from is set and how many tracks from there on,
// at most limit, are alike.
func (b *Bitmap) Run(from, limit int64) (set bool, n int64) {
	set = b.IsSet(from)
	limit = min(limit, b.Tracks-from)
	for n < limit {
		at := from + n
		bit := at % pageTracks
		var word uint64
		if p := b.pages[at/pageTracks].Load(); p != nil {
			word = atomic.LoadUint64(&p[bit/64])
		}
		if set {
			word = ^word
		}
		same := int64(bits.TrailingZeros64(word >> (bit % 64)))
		same = min(same, 64-bit%64)
		n += same
		if bit%64+same < 64 {
			break
		}
	}
	return set, min(n, limit)
}

// AllSet reports whether all n tracks from are set.
func (b *Bitmap) AllSet(from, n int64) bool {
	if n == 1 {
		return b.IsSet(from)
	}
	set, same := b.Run(from, n)
	return set && same == n
}

// SetRange sets n bits. Only the committer, or whoever opens the array,
// may call it.
func (b *Bitmap) SetRange(from, n int64) {
	for end := min(from+n, b.Tracks); from < end; {
		page := from / pageTracks
		stop := min(end, (page+1)*pageTracks)
		b.setInPage(int(page), from%pageTracks, stop-page*pageTracks)
		from = stop
	}
}

func (b *Bitmap) setInPage(page int, from, to int64) {
	p := b.pages[page].Load()
	if p == fullPage {
		return
	}
	if p == nil {
		p = new(bitPage)
	}
	added := 0
	for w := from / 64; w*64 < to; w++ {
		mask := ^uint64(0) << max(0, from-w*64)
		if rest := to - w*64; rest < 64 {
			mask &= 1<<rest - 1
		}
		added += bits.OnesCount64(mask &^ p[w])
		atomic.StoreUint64(&p[w], p[w]|mask)
	}
	if added == 0 {
		return
	}
	b.pageCount[page] += int32(added)
	b.dirty[page] = true
	if b.pageCount[page] == pageTracks {
		p = fullPage
	}
	b.pages[page].Store(p)
	b.Count.Add(int64(added))
}

// TakeDirty returns the pages changed since it was last called, and which
// slot each goes to.
func (b *Bitmap) TakeDirty() []DirtyPage {
	var list []DirtyPage
	for i, d := range b.dirty {
		if d {
			list = append(list, DirtyPage{i, b.slot[i]})
			b.dirty[i] = false
			b.slot[i] ^= 1
		}
	}
	return list
}

// DirtyPage is a page to write, and the slot that it goes to.
type DirtyPage struct {
	page int
	slot uint8
}

func slotOffset(d DirtyPage) int64 {
	return Start + int64(d.page)*2*pageSlot + int64(d.slot)*pageSlot
}

// writePages writes pages to the file as part of checkpoint gen. Bits that are set
// meanwhile may or may not be among what is written.
func (b *Bitmap) writePages(gen uint64, pages []DirtyPage) error {
	buf := make([]byte, pageSlot)
	for _, d := range pages {
		binary.LittleEndian.PutUint32(buf[4:], uint32(d.page))
		binary.LittleEndian.PutUint64(buf[8:], gen)
		binary.LittleEndian.PutUint64(buf[16:], b.UID)
		p := b.pages[d.page].Load()
		for i := range p {
			binary.LittleEndian.PutUint64(buf[pageHeader+8*i:], atomic.LoadUint64(&p[i]))
		}
		binary.LittleEndian.PutUint32(buf, disk.Checksum(buf[4:]))
		if _, err := b.file.WriteAt(buf, slotOffset(d)); err != nil {
			return err
		}
	}
	return b.file.Sync()
}

// ReadPages sets the bits that the file holds. Of the two slots of a page the
// valid one with the higher generation counts; pages without one have no bits.
//
// A page of a later generation than gen, that of the meta file, is of a
// checkpoint that was cut off. If only the process died it may not be on the
// disk yet: it is written again, and in the same place, so that the other slot
// stays until it is.
func (b *Bitmap) ReadPages(gen uint64) error {
	buf := make([]byte, 2*pageSlot)
	for page := range b.pages {
		n, err := b.file.ReadAt(buf, slotOffset(DirtyPage{page, 0}))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		clear(buf[n:])
		if written := b.readPage(page, gen, buf); !disk.MayFollow(gen, written) {
			return disk.RestoredError(disk.MetaName(gen), b.Name)
		}
	}
	return nil
}

// readPage returns the generation of the page.
func (b *Bitmap) readPage(page int, metaGen uint64, buf []byte) uint64 {
	best, bestGen := -1, uint64(0)
	for s := range 2 {
		slot := buf[s*pageSlot : (s+1)*pageSlot]
		gen := binary.LittleEndian.Uint64(slot[8:])
		ok := gen > 0 && disk.Checksum(slot[4:]) == binary.LittleEndian.Uint32(slot) &&
			binary.LittleEndian.Uint32(slot[4:]) == uint32(page) &&
			binary.LittleEndian.Uint64(slot[16:]) == b.UID
		if ok && gen > bestGen {
			best, bestGen = s, gen
		}
	}
	if best < 0 {
		return 0
	}
	words := buf[best*pageSlot+pageHeader:]
	for w := range pageWords {
		b.setWord(page, w, binary.LittleEndian.Uint64(words[8*w:]))
	}
	unsure := bestGen > metaGen
	b.dirty[page], b.slot[page] = unsure, uint8(best)
	if !unsure {
		b.slot[page] ^= 1
	}
	return bestGen
}

func (b *Bitmap) setWord(page, w int, word uint64) {
	base := int64(page)*pageTracks + int64(w)*64
	if word == ^uint64(0) {
		b.SetRange(base, 64)
		return
	}
	for ; word != 0; word &= word - 1 {
		b.SetRange(base+int64(bits.TrailingZeros64(word)), 1)
	}
}

// Without returns a new bitmap of the tracks that are set in b and not in
// other, which has as many tracks. Nobody may change either meanwhile.
func (b *Bitmap) Without(other *Bitmap, name string, uid uint64) *Bitmap {
	d := New(name, uid, b.Tracks)
	for i := range b.pages {
		p, q := b.pages[i].Load(), other.pages[i].Load()
		if p == nil || q == nil {
			d.share(i, p, b.pageCount[i])
			continue
		}
		diff := new(bitPage)
		count := 0
		for w := range diff {
			diff[w] = p[w] &^ q[w]
			count += bits.OnesCount64(diff[w])
		}
		d.share(i, diff, int32(count))
	}
	return d
}

// share makes page p, with count bits set, page i of b. A page of another
// bitmap is copied, unless it is full and so never changes.
func (b *Bitmap) share(i int, p *bitPage, count int32) {
	if count == 0 {
		return
	}
	if p != fullPage {
		own := *p
		p = &own
	}
	b.pages[i].Store(p)
	b.pageCount[i], b.dirty[i] = count, true
	b.Count.Add(int64(count))
}

// Open opens the file of a bitmap that was written before.
func (b *Bitmap) Open(fsys disk.FS, serial string) error {
	f, err := fsys.Open(b.Name)
	if disk.IsNotExist(err) {
		return disk.Corrupt(b.Name, "it is missing")
	}
	if err != nil {
		return err
	}
	h, err := disk.ReadHeader(f, b.Name, 0, disk.MagicBitmap, serial)
	if err == nil && h.ID != b.UID {
		err = disk.Corrupt(b.Name, "it belongs to relationship %d, not %d", h.ID, b.UID)
	}
	if err != nil {
		f.Close()
		return err
	}
	b.file, b.Listed = f, true // or no meta file would count on it
	return nil
}

// Store is writePages, which makes the file if there is none. It does not make
// it durable that the file is there.
func (b *Bitmap) Store(fsys disk.FS, serial string, gen uint64, pages []DirtyPage) error {
	made := b.file == nil
	if made {
		if err := b.create(fsys, serial); err != nil {
			return err
		}
	}
	err := b.writePages(gen, pages)
	if err != nil && made { // it is made anew when the checkpoint is tried again
		err = errors.Join(err, b.Close())
	}
	return err
}

// create makes the file, of which nothing is durable before writePages. One that
// is there was not finished.
func (b *Bitmap) create(fsys disk.FS, serial string) error {
	f, err := disk.CreateAnew(fsys, b.Name)
	if err != nil {
		return err
	}
	h := disk.Header{Magic: disk.MagicBitmap, ID: b.UID, Serial: serial}
	if _, err = f.WriteAt(h.Encode(), 0); err != nil {
		return errors.Join(err, f.Close())
	}
	b.file = f
	return nil
}

// Close closes the file, if there is one.
func (b *Bitmap) Close() error {
	if b.file == nil {
		return nil
	}
	err := b.file.Close()
	b.file, b.Listed = nil, false
	return err
}

// Remove removes the file, if there is one.
func (b *Bitmap) Remove(fsys disk.FS) error {
	if b.file == nil {
		return nil
	}
	err := b.Close()
	if rm := fsys.Remove(b.Name); !disk.IsNotExist(rm) {
		err = errors.Join(err, rm)
	}
	return err
}
