package filearray

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sort"
	"sync"
	"syscall"

	"copyservices/arrayclient/filearray/disk"
)

// crashFS is a file system in memory that knows what was synced. It can be
// made to fail from a given change on, as if the power went, and tells what a
// disk may hold after that: of every block any version since the last sync,
// of every unsynced creation or removal either outcome.
//
// Files can share blocks. As on XFS, a write to a shared block takes a new
// block, and until the file is synced it may, after a crash, be found at the old
// one again: with whatever the block's remaining owner has written there since.
type crashFS struct {
	mu      sync.Mutex
	live    map[string]*inode // as processes see it
	stored  map[string]*inode // folder entries that are durable
	changes int
	crashAt int // number of the change that fails, 0 for none
	noClone bool
	// limit is how many blocks there are, 0 for no limit; copies is
	// CopiesOnWrite.
	limit  int64
	copies bool
	room   int64 // blocks that are free at least
	// fault, when not nil, is asked before every call.
	fault func(op, name string) error
}

const blockSize = 4096

var errPower = errors.New("the power is gone")

type inode struct {
	size, storedSize int64
	// blocks are the places on the disk where a block of the file may be, nil
	// for a hole: the newest last, [0] is stored.
	blocks   map[int64][]*diskBlock
	unsynced map[int64]struct{} // blocks that the last sync did not see
}

// diskBlock is a place on the disk.
type diskBlock struct {
	versions [][]byte // of what is there, oldest first
	owners   int      // files whose newest place it is
}

func (d *diskBlock) newest() []byte { return d.versions[len(d.versions)-1] }

func newInode() *inode {
	return &inode{blocks: map[int64][]*diskBlock{}, unsynced: map[int64]struct{}{}}
}

func newCrashFS() *crashFS {
	return &crashFS{live: map[string]*inode{}, stored: map[string]*inode{}}
}

// change counts one change of the disk and says whether the power is on.
func (c *crashFS) change(op, name string) error {
	if c.fault != nil {
		if err := c.fault(op, name); err != nil {
			return err
		}
	}
	c.changes++
	if c.crashAt > 0 && c.changes >= c.crashAt {
		return errPower
	}
	return nil
}

// afterCrash returns what is on the disk when the machine is up again.
func (c *crashFS) afterCrash(rng *rand.Rand) *crashFS {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := newCrashFS()
	next.noClone, next.limit, next.copies = c.noClone, c.limit, c.copies
	kept := map[*diskBlock]*diskBlock{}
	for _, name := range sortedNames(c.stored, c.live) {
		ino := c.stored[name]
		if rng.IntN(2) == 0 {
			ino = c.live[name]
		}
		if ino != nil {
			n := ino.afterCrash(rng, kept)
			next.live[name], next.stored[name] = n, n
		}
	}
	return next
}

// afterKill returns what is there when only the process died.
func (c *crashFS) afterKill() *crashFS {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crashAt, c.fault = 0, nil
	return c
}

func sortedNames(maps ...map[string]*inode) []string {
	seen := map[string]bool{}
	var names []string
	for _, m := range maps {
		for name := range m {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	sort.Strings(names)
	return names
}

// afterCrash returns what is left of the file. kept has what is left of the
// places on the disk that were looked at before, of other files too.
func (ino *inode) afterCrash(rng *rand.Rand, kept map[*diskBlock]*diskBlock) *inode {
	n := newInode()
	n.size = ino.storedSize
	if rng.IntN(2) == 0 {
		n.size = ino.size
	}
	n.storedSize = n.size
	for _, b := range slices.Sorted(maps.Keys(ino.blocks)) {
		places := ino.blocks[b]
		d := places[rng.IntN(len(places))]
		if d == nil {
			continue
		}
		if kept[d] == nil {
			kept[d] = d.afterCrash(rng)
		}
		kept[d].owners++
		n.blocks[b] = []*diskBlock{kept[d]}
	}
	return n
}

func (d *diskBlock) afterCrash(rng *rand.Rand) *diskBlock {
	left := d.versions[rng.IntN(len(d.versions))]
	if rng.IntN(4) == 0 {
		left = torn(rng, left, d.versions[rng.IntN(len(d.versions))])
	}
	return &diskBlock{versions: [][]byte{left}}
}

// torn is a block of which the first sectors are of one version and the rest
// of another.
func torn(rng *rand.Rand, a, b []byte) []byte {
	at := 512 * rng.IntN(blockSize/512)
	return slices.Concat(a[:at], b[at:])
}

func (c *crashFS) Open(name string) (disk.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ino := c.live[name]
	if ino == nil {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	if c.fault != nil {
		if err := c.fault("open", name); err != nil {
			return nil, err
		}
	}
	return &crashFile{c, name, ino}, nil
}

func (c *crashFS) Create(name string) (disk.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[name] != nil {
		return nil, fmt.Errorf("create %s: %w", name, fs.ErrExist)
	}
	if err := c.change("create", name); err != nil {
		return nil, err
	}
	ino := newInode()
	c.live[name] = ino
	return &crashFile{c, name, ino}, nil
}

func (c *crashFS) Remove(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[name] == nil {
		return fmt.Errorf("remove %s: %w", name, fs.ErrNotExist)
	}
	if err := c.change("remove", name); err != nil {
		return err
	}
	for _, places := range c.live[name].blocks {
		if d := places[len(places)-1]; d != nil {
			d.owners--
		}
	}
	delete(c.live, name)
	return nil
}

func (c *crashFS) List(dir string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, name := range sortedNames(c.live) {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

func (c *crashFS) Mkdir(string) error { return nil }

func (c *crashFS) SyncDir(dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.change("syncdir", dir); err != nil {
		return err
	}
	for _, name := range sortedNames(c.live, c.stored) {
		if path.Dir(name) != dir {
			continue
		}
		delete(c.stored, name)
		if ino := c.live[name]; ino != nil {
			c.stored[name] = ino
		}
	}
	return nil
}

func (c *crashFS) CopiesOnWrite() bool { return c.copies }

func (c *crashFS) Space() (capacity, free int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit > 0 {
		return c.limit * blockSize, (c.limit - c.used()) * blockSize
	}
	return 1 << 50, 1 << 49
}

// used counts the blocks that are taken. Where nothing is written in place, a block
// that was written over takes two until it is synced.
func (c *crashFS) used() (n int64) {
	seen := map[*diskBlock]bool{nil: true}
	count := func(d *diskBlock) {
		if !seen[d] {
			seen[d] = true
			n++
		}
	}
	for _, ino := range c.live {
		for _, places := range ino.blocks {
			d := places[len(places)-1]
			count(d)
			if c.copies && len(places) == 1 && len(d.versions) > 1 {
				n++
			} else if c.copies {
				count(places[0])
			}
		}
	}
	return n
}

// hasRoom reports whether a block of ino can be written.
func (c *crashFS) hasRoom(ino *inode, block int64) bool {
	d := ino.place(block)
	taken := d != nil && d.owners < 2 &&
		(!c.copies || len(ino.blocks[block]) > 1 || len(d.versions) > 1)
	if c.limit == 0 || taken {
		return true
	}
	if c.room--; c.room < 0 {
		c.room = c.limit - c.used() - 1
	}
	return c.room >= 0
}

type crashFile struct {
	fs   *crashFS
	name string
	ino  *inode
}

func (f *crashFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.fault != nil {
		if err := f.fs.fault("read", f.name); err != nil {
			return 0, err
		}
	}
	n := int(max(0, min(int64(len(p)), f.ino.size-off)))
	for i := 0; i < n; {
		block, at := (off+int64(i))/blockSize, int((off+int64(i))%blockSize)
		part := min(n-i, blockSize-at)
		if b := f.ino.newest(block); b != nil {
			copy(p[i:i+part], b[at:])
		} else {
			clear(p[i : i+part])
		}
		i += part
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// place returns where a block of the file is, nil for a hole.
func (ino *inode) place(block int64) *diskBlock {
	if places := ino.blocks[block]; len(places) > 0 {
		return places[len(places)-1]
	}
	return nil
}

func (ino *inode) newest(block int64) []byte {
	if d := ino.place(block); d != nil {
		return d.newest()
	}
	return nil
}

// move makes d, nil for a hole, the newest place of a block of the file.
func (ino *inode) move(block int64, d *diskBlock) {
	if old := ino.place(block); old != nil {
		old.owners--
	}
	if d != nil {
		d.owners++
	}
	if len(ino.blocks[block]) == 0 {
		ino.blocks[block] = []*diskBlock{nil}
	}
	ino.blocks[block] = append(ino.blocks[block], d)
	ino.unsynced[block] = struct{}{}
}

// add makes b the newest version of a block: where it is, if that is the file's
// own, else in a new place.
func (ino *inode) add(block int64, b []byte) {
	d := ino.place(block)
	if d == nil || d.owners > 1 {
		before := make([]byte, blockSize)
		if d != nil {
			before = d.newest()
		}
		d = &diskBlock{versions: [][]byte{before}}
		ino.move(block, d)
	}
	d.versions = append(d.versions, b)
	ino.unsynced[block] = struct{}{}
}

func (f *crashFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change("write", f.name); err != nil {
		if f.fs.changes == f.fs.crashAt { // it may have got there all the same
			f.write(p, off)
		}
		return 0, err
	}
	return f.write(p, off)
}

// write writes as much as there is room for.
func (f *crashFile) write(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		block, at := (off+int64(n))/blockSize, int((off+int64(n))%blockSize)
		if !f.fs.hasRoom(f.ino, block) {
			return n, errNoSpace
		}
		b := make([]byte, blockSize)
		copy(b, f.ino.newest(block))
		n += copy(b[at:], p[n:])
		f.ino.add(block, b)
		f.ino.size = max(f.ino.size, off+int64(n))
	}
	return n, nil
}

// Allocate does nothing where there is no limit to tell the difference.
func (f *crashFile) Allocate(n int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change("allocate", f.name); err != nil {
		return err
	}
	if f.fs.limit == 0 {
		return nil
	}
	for at := int64(0); at < n; at += blockSize {
		if f.ino.newest(at/blockSize) == nil {
			if _, err := f.write(disk.Zeros[:blockSize], at); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *crashFile) Close() error { return nil }

func (f *crashFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.ino.size, nil
}

func (f *crashFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change("truncate", f.name); err != nil {
		return err
	}
	f.ino.size = size
	for block := range f.ino.blocks {
		if block*blockSize >= size {
			f.ino.move(block, nil)
		}
	}
	return nil
}

func (f *crashFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change("sync", f.name); err != nil {
		return err
	}
	f.ino.storedSize = f.ino.size
	for block := range f.ino.unsynced {
		delete(f.ino.unsynced, block)
		d := f.ino.place(block)
		if d == nil {
			delete(f.ino.blocks, block)
			continue
		}
		d.versions = [][]byte{d.newest()}
		f.ino.blocks[block] = []*diskBlock{d}
	}
	return nil
}

// WriteOut does nothing: a disk may hold any version of an unsynced block anyway.
func (f *crashFile) WriteOut(int64, int64) {}

func (f *crashFile) ReadAhead(int64, int64) {}

func (f *crashFile) Punch(off, n int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change("punch", f.name); err != nil {
		return err
	}
	for end := off + n; off < end; {
		block, at := off/blockSize, off%blockSize
		part := min(end-off, blockSize-at)
		if part == blockSize {
			if f.ino.place(block) != nil {
				f.ino.move(block, nil)
			}
		} else {
			if _, err := f.write(make([]byte, part), off); err != nil {
				return err
			}
		}
		off += part
	}
	return nil
}

func (f *crashFile) Clone(src disk.File, off, n int64) error {
	from := src.(*crashFile)
	if f.fs.noClone {
		return errors.ErrUnsupported
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change("clone", f.name); err != nil {
		return err
	}
	for block := off / blockSize; block < (off+n)/blockSize; block++ {
		if d := from.ino.place(block); d != f.ino.place(block) {
			f.ino.move(block, d)
		}
	}
	f.ino.size = max(f.ino.size, off+n)
	return nil
}

// skipHole returns an offset from off on, before which there is no data. In a
// file that is nearly all hole it looks at the blocks there are.
func (ino *inode) skipHole(off, end int64) int64 {
	if (end-off)/blockSize <= int64(len(ino.blocks)) {
		return off
	}
	first := end
	for b := range ino.blocks {
		if at := b * blockSize; at+blockSize > off && at < first && ino.newest(b) != nil {
			first = at
		}
	}
	return max(off, first)
}

func (f *crashFile) NextData(off, end int64) (start, stop int64, err error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	isData := func(at int64) bool { return f.ino.newest(at/blockSize) != nil }
	next := func(at int64) int64 { return min(end, (at/blockSize+1)*blockSize) }
	off = f.ino.skipHole(off, end)
	for start = off; start < end && !isData(start); start = next(start) {
	}
	for stop = start; stop < end && isData(stop); stop = next(stop) {
	}
	return start, stop, nil
}

func (f *crashFile) Allocated() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	var n int64
	for block := range f.ino.blocks {
		if f.ino.newest(block) != nil {
			n += blockSize
		}
	}
	return n, nil
}

var errNoSpace = fmt.Errorf("write: %w", syscall.ENOSPC)
