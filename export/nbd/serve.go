package nbd

import (
	"sync"
	"time"
)

const (
	// batchFull is how many bytes of replies are sent even when further
	// requests are at hand, so that the client has something to do.
	batchFull = 32 << 10
	// largeRequest is how many bytes of payload, in either direction, are too
	// many for a batch.
	largeRequest = 64 << 10
)

// batch collects replies for one write.
type batch struct {
	mem *buffer // nil when there are none
	n   int     // bytes of mem.data that are replies
	// pace is that of the request the reader is at.
	pace int
}

// serve carries a request out or has it carried out. It reports whether the
// caller still has the reader's role.
func (c *conn) serve(r *request) bool {
	if (!r.large() && !c.pace[r.pace()].slow()) || c.alone() {
		return c.serveInline(r)
	}
	c.sendBatch()
	if r.hasData() {
		r.mem = c.space(r.dataSize())
	}
	c.enlist()
	c.srv.workers.submit(newJob(c, r))
	return true
}

// dataSize is how much memory r is best answered through.
func (r *request) dataSize() int64 {
	if r.large() {
		return min(r.n, pieceSize)
	}
	return int64(r.replySpace()) - headerData
}

// serveInline carries r out on the reader's goroutine.
func (c *conn) serveInline(r *request) bool {
	space := r.replySpace()
	c.makeRoom(r, space)
	batch := &c.batch
	mem, n := batch.mem, batch.n
	batch.pace = r.pace()
	ticket := c.turn.begin()
	out := c.answerTimed(mem.data[n:n:n+space], r)
	r.drop()
	if c.turn.end(ticket) {
		c.batch.n += len(out)
		if c.batch.n >= batchFull || r.large() {
			c.sendBatch()
		}
		return true
	}
	// The new reader sends what was in the batch before. Either may finish with
	// the memory first.
	c.send(out)
	mem.leave()
	c.discharge()
	return false
}

// makeRoom gives the batch room for a reply of space bytes. A large request
// has its batch to itself, a small one that is cheap to lose.
func (c *conn) makeRoom(r *request, space int) {
	if c.batch.mem != nil && (c.batch.n+space > cap(c.batch.mem.data) || r.large()) {
		c.sendBatch()
	}
	switch {
	case c.batch.mem != nil:
	case r.hasData() && !r.large():
		c.batch.mem = c.space(ownBuffer)
	default:
		c.batch.mem = getBuffer(replyBuffer)
	}
	if r.hasData() && r.large() {
		r.mem = c.space(r.dataSize())
	}
}

// takeOver runs on a goroutine of its own when the reader was too long at a
// request. It leaves that request to the old reader and goes on in its place,
// as soon as not too many are at work.
func (c *conn) takeOver() {
	c.pace[c.batch.pace].note(stallPeriod)
	done := c.batch
	c.batch = batch{}
	c.send(done.mem.data[:done.n])
	done.mem.leave()
	c.enlist()
	c.lead()
}

// answerTimed is answer, with the time noted that a small request took. A
// large one says more about the client than about the volume.
func (c *conn) answerTimed(dst []byte, r *request) []byte {
	start := time.Now()
	out := c.answer(dst, r)
	if !r.large() {
		c.pace[r.pace()].note(time.Since(start))
	}
	return out
}

func (c *conn) sendBatch() {
	if c.batch.mem == nil {
		return
	}
	c.send(c.batch.mem.data[:c.batch.n])
	c.batch.mem.release()
	c.batch = batch{}
}

// job is a request on its way to a worker.
type job struct {
	c     *conn
	r     request
	reply [maxErrorReply]byte // for one without data
}

var jobs = sync.Pool{New: func() any { return new(job) }}

func newJob(c *conn, r *request) *job {
	j := jobs.Get().(*job)
	j.c, j.r = c, *r
	return j
}

func (j *job) run() {
	c, r := j.c, &j.r
	dst := j.reply[:0]
	if r.hasData() && !r.large() {
		dst = r.mem.all[headroom-headerData : headroom-headerData]
	}
	c.send(c.answerTimed(dst, r))
	r.drop()
	j.c, j.r = nil, request{}
	jobs.Put(j)
	c.discharge()
}
