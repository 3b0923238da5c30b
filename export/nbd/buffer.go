package nbd

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// headroom stands in front of a buffer's data, for the header of a reply:
// a read then goes to a cache-aligned address and out in one write.
const headroom = 64

// tailroom is what a buffer has beyond its data's class: room for the
// headers of a reply that ends in it.
const tailroom = 1024

const (
	minBufferBits = 12
	maxBufferBits = 20
	// maxBuffer is the largest there is. What a request moves beyond that goes
	// through in parts.
	maxBuffer = 1 << maxBufferBits
)

// buffer is memory from a pool. data has the length asked for; all has
// headroom before it and tailroom after it.
type buffer struct {
	all  []byte
	data []byte
	pool *sync.Pool

	// by is the connection whose memory it is, nil for none; cost is what it
	// took of its account, 0 where it is the connection's own.
	by   *conn
	cost int64
	// users that are done with it, of two.
	done atomic.Int32
}

// pools holds one pool for each power of two.
var pools [maxBufferBits - minBufferBits + 1]sync.Pool

func classOf(n int) int {
	if n > 1<<minBufferBits {
		return bits.Len(uint(n-1)) - minBufferBits
	}
	return 0
}

// costOf is the memory that a buffer for n bytes takes.
func costOf(n int) int64 { return headroom + 1<<(classOf(n)+minBufferBits) + tailroom }

// getBuffer returns a buffer with n bytes of data, whatever they hold.
// n is at most maxBuffer.
func getBuffer(n int) *buffer {
	class := classOf(n)
	b, _ := pools[class].Get().(*buffer)
	if b == nil {
		b = &buffer{all: make([]byte, costOf(n)), pool: &pools[class]}
	}
	b.data = b.all[headroom : headroom+n]
	return b
}

// release gives b back. nil is fine.
func (b *buffer) release() {
	if b == nil {
		return
	}
	by, cost := b.by, b.cost
	b.by, b.cost = nil, 0
	b.pool.Put(b)
	if by != nil {
		by.reclaim(cost)
	}
}

// leave is release by one of two users; the last of them releases it.
func (b *buffer) leave() {
	if b.done.Add(1) == 2 {
		b.done.Store(0)
		b.release()
	}
}
