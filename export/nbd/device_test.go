package nbd

import (
	"context"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// memDevice is a volume in memory that knows which of its blocks are holes.
type memDevice struct {
	mu      sync.RWMutex
	data    []byte
	written []bool // by block of memBlock bytes
	durable []byte // data as of the last flush

	flushes atomic.Int32
	closes  atomic.Int32
	strays  atomic.Int32 // calls beyond the end
	// hook is called before every operation; its error is the operation's.
	hook func(op string, off, n int64) error
}

const memBlock = 4096

func newMemDevice(size int) *memDevice {
	return &memDevice{
		data: make([]byte, size), durable: make([]byte, size),
		written: make([]bool, (size+memBlock-1)/memBlock),
	}
}

func (d *memDevice) enter(op string, off, n int64) error {
	if off < 0 || n < 0 || off+n > int64(len(d.data)) {
		d.strays.Add(1)
		return io.ErrUnexpectedEOF
	}
	if d.hook != nil {
		return d.hook(op, off, n)
	}
	return nil
}

func (d *memDevice) ReadAt(p []byte, off int64) (int, error) {
	if err := d.enter("read", off, int64(len(p))); err != nil {
		return 0, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return copy(p, d.data[off:]), nil
}

func (d *memDevice) WriteAt(p []byte, off int64) (int, error) {
	if err := d.enter("write", off, int64(len(p))); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for b := off / memBlock; b*memBlock < off+int64(len(p)); b++ {
		d.written[b] = true
	}
	return copy(d.data[off:], p), nil
}

func (d *memDevice) Zero(off, n int64, punch bool) error {
	if err := d.enter("zero", off, n); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.data[off : off+n])
	for b := off / memBlock; b*memBlock < off+n; b++ {
		whole := b*memBlock >= off && (b+1)*memBlock <= off+n
		d.written[b] = d.written[b] && !(punch && whole) || !punch
	}
	return nil
}

func (d *memDevice) Flush() error {
	if err := d.enter("flush", 0, 0); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	copy(d.durable, d.data)
	d.flushes.Add(1)
	return nil
}

func (d *memDevice) Extents(off, n int64, f func(int64, bool) bool) error {
	if err := d.enter("extents", off, n); err != nil {
		return err
	}
	d.mu.RLock()
	written := slices.Clone(d.written)
	d.mu.RUnlock()
	for end := off + n; off < end; {
		l := min(end, (off/memBlock+1)*memBlock) - off
		if !f(l, !written[off/memBlock]) {
			return nil
		}
		off += l
	}
	return nil
}

func (d *memDevice) Size() int64 { return int64(len(d.data)) }

func (d *memDevice) Close() error {
	d.closes.Add(1)
	return nil
}

// at returns a copy of n bytes from off.
func (d *memDevice) at(off, n int) []byte {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.data[off : off+n])
}

// flushed returns a copy of what is durable.
func (d *memDevice) flushed() []byte {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.durable)
}

// fixed is a set of exports that does not change.
type fixed struct {
	volumes  map[string]arrayclient.VolumeIO
	readOnly map[string]bool
}

func (f fixed) List(context.Context, Peer) ([]ExportInfo, error) {
	var infos []ExportInfo
	for name, v := range f.volumes {
		infos = append(infos, ExportInfo{name, "volume " + name, v.Size()})
	}
	slices.SortFunc(infos, func(a, b ExportInfo) int {
		return slices.Compare([]byte(a.Name), []byte(b.Name))
	})
	return infos, nil
}

func (f fixed) Open(
	_ context.Context, _ Peer, name string,
) (arrayclient.VolumeIO, bool, error) {
	v, ok := f.volumes[name]
	if !ok {
		return nil, false, fault.New(fault.NotFound, "no volume %q", name)
	}
	return v, f.readOnly[name], nil
}

// fileDevice is a plain file, to compare with servers of plain files. Its
// Extents are those of Linux.
type fileDevice struct {
	*os.File
	size int64
}

func openFileDevice(path string) (*fileDevice, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &fileDevice{f, info.Size()}, nil
}

func (d *fileDevice) Size() int64  { return d.size }
func (d *fileDevice) Flush() error { return d.Sync() }
func (d *fileDevice) Close() error { return nil }

func (d *fileDevice) Zero(off, n int64, _ bool) error {
	_, err := d.WriteAt(make([]byte, n), off)
	return err
}

// Seek constants of Linux.
const (
	seekData = 3
	seekHole = 4
)

func (d *fileDevice) Extents(off, n int64, f func(int64, bool) bool) error {
	for end := off + n; off < end; {
		data, err := d.Seek(off, seekData)
		if err != nil {
			data = end
		}
		if data = min(data, end); data > off && !f(data-off, true) {
			return nil
		}
		if data == end {
			return nil
		}
		hole, err := d.Seek(data, seekHole)
		if err != nil {
			return err
		}
		hole = min(hole, end)
		if !f(hole-data, false) {
			return nil
		}
		off = hole
	}
	return nil
}
