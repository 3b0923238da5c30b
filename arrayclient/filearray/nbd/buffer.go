package nbd

import (
	"math/bits"
	"sync"
)

// headroom stands in front of a buffer's data, for the header of a reply:
// a read then goes to a cache-aligned address and out in one write.
const headroom = 64

const (
	minBufferBits = 12
	maxBufferBits = 25 // maxPayload
)

// buffer is memory from a pool. data has the length asked for; all has
// headroom before it and tailroom after it.
type buffer struct {
	all  []byte
	data []byte
	pool *sync.Pool
}

// tailroom is what a buffer has beyond its data's class: room for the
// headers of a reply that ends in it.
const tailroom = 1024

// pools holds one pool for each power of two.
var pools [maxBufferBits - minBufferBits + 1]sync.Pool

// getBuffer returns a buffer with n bytes of data, whatever they hold.
// n is at most maxPayload.
func getBuffer(n int) *buffer {
	class := 0
	if n > 1<<minBufferBits {
		class = bits.Len(uint(n-1)) - minBufferBits
	}
	b, _ := pools[class].Get().(*buffer)
	if b == nil {
		size := headroom + 1<<(class+minBufferBits) + tailroom
		b = &buffer{all: make([]byte, size), pool: &pools[class]}
	}
	b.data = b.all[headroom : headroom+n]
	return b
}

// release gives b back. nil is fine.
func (b *buffer) release() {
	if b != nil {
		b.pool.Put(b)
	}
}
