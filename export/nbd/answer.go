package nbd

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

const (
	// maxExtents is how many extents one reply to BLOCK_STATUS tells.
	maxExtents = 1024
	// pieceSize is how many bytes of a large read are sent at a time where there
	// is memory for it. Smaller pieces cost more wake-ups.
	pieceSize = 1 << 20
	// minPiece is the room that is worth a piece of data.
	minPiece = headerData + 4096
	// minHole is the shortest hole that is not sent as zeros.
	minHole = 4096
	// minAhead and maxAhead limit how far beyond a read the volume is asked
	// for extents, so that it is not asked for every read.
	minAhead = 16 << 20
	maxAhead = 64 << 30
)

// large reports whether r moves too much for a batch.
func (r *request) large() bool {
	return r.n > largeRequest && (r.kind == cmdRead || r.kind == cmdWrite)
}

// replySpace returns how many bytes answer may append.
func (r *request) replySpace() int {
	switch {
	case !r.hasData():
		return maxErrorReply
	case r.kind == cmdRead && !r.large():
		return max(headerData+int(r.n), maxErrorReply)
	case r.kind == cmdBlockStatus:
		return headerChunk + 4 + 8*maxExtents
	}
	return maxErrorReply
}

// hasData reports whether r is answered with more than replyBuffer holds.
func (r *request) hasData() bool {
	return r.err == errnoNone && (r.kind == cmdRead || r.kind == cmdBlockStatus)
}

// answer carries r out and appends its reply to dst, which must have the
// room. Large replies are sent, not appended, through r.mem. A part of a write
// that is not the last to end has no reply.
func (c *conn) answer(dst []byte, r *request) []byte {
	switch {
	case r.parts != nil:
		return c.answerPart(dst, r)
	case r.err != errnoNone:
		return c.appendError(dst, r, r.err, "")
	case r.kind == cmdBlockStatus:
		return c.appendStatus(dst, r)
	case r.kind == cmdRead && !r.large():
		return c.appendRead(dst, r)
	case r.kind == cmdRead && c.structured && r.flags&cmdFlagDF == 0:
		c.stream(r)
		return dst
	case r.kind == cmdRead:
		c.sendWhole(r)
		return dst
	}
	if err := c.change(r); err != nil {
		return c.appendFailure(dst, r, err)
	}
	return appendSimple(dst, r.cookie, errnoNone)
}

// errNotFast is why a FAST_ZERO is refused.
var errNotFast = errors.New("zeros that keep their space are not fast")

// change carries out a command that has no data to reply with.
func (c *conn) change(r *request) error {
	var err error
	switch r.kind {
	case cmdWrite:
		_, err = c.volume.WriteAt(r.mem.data, r.off)
	case cmdTrim:
		err = c.zero(r, true)
	case cmdWriteZeroes:
		err = c.writeZeroes(r)
	case cmdFlush:
		return c.volume.Flush()
	}
	if err == nil && r.flags&cmdFlagFUA != 0 {
		err = c.volume.Flush()
	}
	return err
}

// answerPart carries out a part of a write.
func (c *conn) answerPart(dst []byte, r *request) []byte {
	_, err := c.volume.WriteAt(r.mem.data, r.off)
	last, err := r.parts.end(err)
	if !last {
		return dst
	}
	if err == nil && r.flags&cmdFlagFUA != 0 {
		err = c.volume.Flush()
	}
	if err != nil {
		return c.appendFailure(dst, r, err)
	}
	return appendSimple(dst, r.cookie, errnoNone)
}

func (c *conn) writeZeroes(r *request) error {
	punch := r.flags&cmdFlagNoHole == 0
	if r.flags&cmdFlagFastZero != 0 && !punch {
		return errNotFast
	}
	return c.zero(r, punch)
}

func (c *conn) zero(r *request, punch bool) error {
	c.known.forget()
	return c.volume.Zero(r.off, r.n, punch)
}

// appendFailure replies that the volume failed.
func (c *conn) appendFailure(dst []byte, r *request, err error) []byte {
	if err == errNotFast {
		return c.appendError(dst, r, errnoNotSup, err.Error())
	}
	return c.appendError(dst, r, errnoOf(err), messageOf(err))
}

func (c *conn) appendError(dst []byte, r *request, e errno, text string) []byte {
	if c.structured {
		return appendErrorChunk(dst, r.cookie, e, text)
	}
	return appendSimple(dst, r.cookie, e)
}

// appendReadHeader appends what stands before the data of a read that is
// replied to as a whole.
func (c *conn) appendReadHeader(dst []byte, r *request) []byte {
	if c.structured {
		return appendDataHeader(dst, r.cookie, chunkDone, r.off, int(r.n))
	}
	return appendSimple(dst, r.cookie, errnoNone)
}

// appendRead reads straight into the reply.
func (c *conn) appendRead(dst []byte, r *request) []byte {
	out := c.appendReadHeader(dst, r)
	head := len(out)
	out = out[:head+int(r.n)]
	if err := c.read(out[head:], r.off); err != nil {
		return c.appendFailure(dst, r, err)
	}
	return out
}

// read fills p. It takes io.EOF at the end of the volume for what it is.
func (c *conn) read(p []byte, off int64) error {
	n, err := c.volume.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil:
		return io.ErrUnexpectedEOF
	}
	return err
}

// sendWhole replies to a large read that must not be cut in pieces. Where r.mem
// does not hold all of it, it is read twice: once the header is out there is no
// way to tell of an error but to end the connection.
func (c *conn) sendWhole(r *request) {
	err := c.tryRead(r)
	if err != nil {
		c.send(c.appendFailure(r.mem.all[:0], r, err))
		return
	}
	var space [headerData]byte
	head := c.appendReadHeader(space[:0], r)
	start := headroom - len(head)
	copy(r.mem.all[start:], head)
	n := min(int64(len(r.mem.data)), r.n)
	c.sending.Lock()
	defer c.sending.Unlock()
	for off, end := r.off, r.off+r.n; off < end && !c.dead.Load(); off, start = off+n, headroom {
		n = min(n, end-off)
		if n < r.n {
			err = c.read(r.mem.data[:n], off)
		}
		if err != nil {
			c.cut(err)
			return
		}
		c.sendLocked(r.mem.all[start : headroom+n])
	}
}

// tryRead reads all of r into r.mem, or over and over where that is smaller.
func (c *conn) tryRead(r *request) error {
	size := int64(len(r.mem.data))
	for off, end := r.off, r.off+r.n; off < end && !c.dead.Load(); off += size {
		if err := c.read(r.mem.data[:min(size, end-off)], off); err != nil {
			return err
		}
	}
	return nil
}

// stream replies to a large read in pieces, holes as such.
func (c *conn) stream(r *request) {
	mem := r.mem
	empty := mem.all[headroom-headerData : headroom-headerData : headroom+len(mem.data)]
	out := empty
	for off, end := r.off, r.off+r.n; off < end && !c.dead.Load(); {
		if cap(out)-len(out) < minPiece {
			c.send(out)
			out = empty
		}
		n, hole := c.extent(off, end-off)
		var err error
		if hole {
			out = appendHole(out, r.cookie, doneAt(off+n, end), off, uint32(n))
		} else {
			n = pieceOf(n, cap(out)-len(out)-headerData)
			out, err = c.appendData(out, r, off, n)
		}
		if err != nil {
			out = c.appendFailure(out, r, err)
			break
		}
		off += n
	}
	c.send(out)
}

// pieceOf returns how much of n bytes goes into a piece with room for fewer.
func pieceOf(n int64, room int) int64 {
	if n <= int64(room) {
		return n
	}
	return int64(room) &^ 511
}

func doneAt(off, end int64) uint16 {
	if off == end {
		return chunkDone
	}
	return 0
}

// appendData appends a chunk with n bytes from off, or nothing with an error.
func (c *conn) appendData(dst []byte, r *request, off, n int64) ([]byte, error) {
	out := appendDataHeader(dst, r.cookie, doneAt(off+n, r.off+r.n), off, int(n))
	head := len(out)
	out = out[:head+int(n)]
	if err := c.read(out[head:], off); err != nil {
		return dst, err
	}
	return out, nil
}

// dataRange remembers where the volume was last seen to have data and no
// hole. It may be out of date: then zeros are sent for a new hole, which is
// no error. The same is never done with holes.
type dataRange struct {
	mu       sync.Mutex
	from, to int64
	ahead    int64 // how far to look the next time
	asking   bool
}

// left returns how many bytes from off are known to be data. Where that is 0
// the caller asks the volume and tells learn.
func (d *dataRange) left(off, n int64) (data, ahead int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case off >= d.from && off < d.to:
		return min(n, d.to-off), 0
	case d.asking:
		// Asking may cost more than the read: one at a time.
		return n, 0
	}
	d.asking = true
	return 0, max(n, d.ahead, minAhead)
}

// learn takes what the volume answered: data up to to, all that was asked for
// or up to a hole. Where there is no hole in sight the volume is asked less
// often.
func (d *dataRange) learn(from, to int64, dense bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from, d.to, d.asking = from, to, false
	if dense {
		d.ahead = min(4*max(d.ahead, minAhead), maxAhead)
	} else {
		d.ahead = 0
	}
}

// forget is for when holes were made.
func (d *dataRange) forget() {
	d.mu.Lock()
	d.from, d.to, d.ahead = 0, 0, 0
	d.mu.Unlock()
}

// extent tells how many of n bytes from off are all hole or all data.
func (c *conn) extent(off, n int64) (length int64, hole bool) {
	data, ahead := c.known.left(off, n)
	if data > 0 {
		return data, false
	}
	ahead = min(ahead, c.size-off)
	length, hole = c.askExtent(off, n, ahead)
	if hole {
		c.known.learn(0, 0, false)
	} else {
		c.known.learn(off, off+length, length == ahead)
	}
	return min(n, length), hole
}

// askExtent asks the volume about n bytes, and about most where they turn out
// to be data. A failure is left to the read that follows.
func (c *conn) askExtent(off, n, most int64) (length int64, hole bool) {
	err := c.volume.Extents(off, most, func(l int64, h bool) bool {
		h = h && l >= minHole
		if length > 0 && h != hole {
			return false
		}
		length, hole = length+l, h
		return !hole || length < n
	})
	if err != nil || length <= 0 {
		return n, false
	}
	return min(length, most), hole
}

// appendStatus answers BLOCK_STATUS.
func (c *conn) appendStatus(dst []byte, r *request) []byte {
	most := maxExtents
	if r.flags&cmdFlagReqOne != 0 {
		most = 1
	}
	out := appendChunk(dst, r.cookie, chunkDone, chunkBlockStatus, 0)
	out = binary.BigEndian.AppendUint32(out, contextAllocationID)
	list := extentList{out: out, most: most}
	if err := c.volume.Extents(r.off, r.n, list.add); err != nil {
		return c.appendFailure(dst, r, err)
	}
	if list.finish() == 0 {
		return c.appendError(dst, r, errnoIO, "the volume told no extents")
	}
	payload := len(list.out) - len(dst) - headerChunk
	binary.BigEndian.PutUint32(list.out[len(dst)+headerChunk-4:], uint32(payload))
	return list.out
}

// extentList collects the descriptors of a reply, neighbours of the same kind
// as one.
type extentList struct {
	out    []byte
	most   int // descriptors that fit
	count  int // of them in out
	length int64
	hole   bool
}

// add takes the next extent; it is a function for VolumeIO.Extents.
func (l *extentList) add(length int64, hole bool) bool {
	if l.length > 0 && hole != l.hole {
		l.push()
	}
	if l.count == l.most {
		return false
	}
	l.length, l.hole = l.length+length, hole
	return true
}

func (l *extentList) push() {
	state := uint32(0)
	if l.hole {
		state = stateHole | stateZero
	}
	l.out = binary.BigEndian.AppendUint32(l.out, uint32(l.length))
	l.out = binary.BigEndian.AppendUint32(l.out, state)
	l.count, l.length = l.count+1, 0
}

// finish returns how many descriptors there are.
func (l *extentList) finish() int {
	if l.length > 0 {
		l.push()
	}
	return l.count
}
