package nbd

// Memory for requests. A connection has one buffer of ownBuffer bytes for itself:
// with that alone it gets on with everything, a part at a time, whatever others
// hold. More, for larger parts and for many requests at a time, comes from the
// account it has with the server; when that gives nothing, its own has to do.
// Nothing here waits for another connection.
const (
	ownBuffer = 64 << 10
	// ownMemory is what a connection may take without asking, in bytes: its
	// buffer, and one for replies without data.
	ownMemory = headroom + ownBuffer + tailroom + headroom + replyBuffer + tailroom + idleInput
	// connPart: a connection holds at most one in so many bytes of what is left.
	connPart = 4
	// replyBuffer is the size of buffers for replies without data.
	replyBuffer = 4 << 10
)

// space returns a buffer for n bytes, or for the part of them that there is
// memory for. It is for the reader, which holds no buffer of its own then, and may
// wait until another request of the connection is done with that.
func (c *conn) space(n int64) *buffer {
	if n <= ownBuffer && c.takeOwn(false) {
		return c.get(int(n), 0)
	}
	size := int(min(n, maxBuffer))
	if cost := costOf(size); c.account.Take(cost) {
		return c.get(size, cost)
	}
	c.takeOwn(true)
	return c.get(min(size, ownBuffer), 0)
}

func (c *conn) get(n int, cost int64) *buffer {
	b := getBuffer(n)
	b.by, b.cost = c, cost
	return b
}

// takeOwn takes the connection's own buffer. It reports false when that is in use
// and must not be waited for.
func (c *conn) takeOwn(wait bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.ownTaken {
		if !wait {
			return false
		}
		c.ended.Wait()
	}
	c.ownTaken = true
	return true
}

// reclaim takes back what a buffer of the connection cost.
func (c *conn) reclaim(cost int64) {
	if cost > 0 {
		c.account.Give(cost)
		return
	}
	c.mu.Lock()
	c.ownTaken = false
	c.mu.Unlock()
	c.ended.Broadcast()
}

// inputSpace returns a large buffer for input, or nil when there is no memory
// for it.
func (c *conn) inputSpace() *buffer {
	cost := costOf(busyInput)
	if !c.account.Take(cost) {
		return nil
	}
	return c.get(busyInput, cost)
}
