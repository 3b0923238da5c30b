package nbd

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"copyservices/arrayclient/fault"
)

// Client is an attached export: the content of a volume that is elsewhere, an
// arrayclient.VolumeIO. Its methods may be called from many goroutines. Once the
// connection is lost, or the server was silent for too long, they fail with an error of
// kind Connection, for ever: what was written since the last Flush may be lost.
type Client struct {
	nc   net.Conn
	size int64
	opts DialOptions

	sending sync.Mutex // held over the sending of a request
	over    chan struct{}

	mu     sync.Mutex // guards what follows; no I/O under it
	cookie uint64
	due    map[uint64]*exchange // requests without an answer
	broken error                // why there will be no more answers
	heard  time.Time            // when something arrived
	probed bool                 // a probe is among due
}

// exchange is a request and its answer.
type exchange struct {
	off     int64
	data    []byte // what a read fills
	left    int64  // bytes of data that have not come yet
	extents []extent
	err     error
	done    chan struct{} // closed when the answer is complete
}

// extent is a part of an answer to BLOCK_STATUS.
type extent struct {
	length int64
	hole   bool
}

func newClient(nc net.Conn, size int64, opts DialOptions) *Client {
	c := &Client{
		nc: nc, size: size, opts: opts, due: map[uint64]*exchange{}, over: make(chan struct{}),
	}
	go func() {
		defer close(c.over)
		c.end(c.receive())
	}()
	return c
}

var errClosed = errors.New("the volume is closed")

// partingTime is how long a server gets to detach a client that has said goodbye.
const partingTime = 2 * time.Second

// Close detaches the export. When it returns, the server no longer counts it among
// those that have the volume attached, unless it was slow to answer. It is idempotent.
func (c *Client) Close() error {
	c.refuse(errClosed)
	c.sending.Lock()
	// What fails here has ended the connection, which does as well.
	_ = c.nc.SetDeadline(time.Now().Add(partingTime))
	_, _ = c.nc.Write(header(cmdDisconnect, 0, 0, 0, 0))
	c.sending.Unlock()
	<-c.over
	return nil
}

// Broken reports whether the connection is lost.
func (c *Client) Broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken != nil
}

// fail ends the connection with err, and with that receive, after which the requests
// end: until then it may be filling their data.
func (c *Client) fail(err error) {
	c.refuse(err)
	c.nc.Close()
}

// refuse lets no further requests in.
func (c *Client) refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = lostWith(c.opts.Address, err)
	}
}

// end fails all requests.
func (c *Client) end(err error) {
	c.fail(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for cookie, x := range c.due {
		x.err = c.broken
		close(x.done)
		delete(c.due, cookie)
	}
}

func header(kind, flags uint16, cookie uint64, off, n int64) []byte {
	p := make([]byte, 0, headerRequest)
	p = binary.BigEndian.AppendUint32(p, magicRequest)
	p = binary.BigEndian.AppendUint16(p, flags)
	p = binary.BigEndian.AppendUint16(p, kind)
	p = binary.BigEndian.AppendUint64(p, cookie)
	p = binary.BigEndian.AppendUint64(p, uint64(off))
	return binary.BigEndian.AppendUint32(p, uint32(n))
}

// begin sends a request. payload is that of a write; x takes the answer.
func (c *Client) begin(x *exchange, kind, flags uint16, n int64, payload []byte) error {
	x.done = make(chan struct{})
	x.left = int64(len(x.data))
	c.mu.Lock()
	if c.broken != nil {
		defer c.mu.Unlock()
		return c.broken
	}
	c.cookie++
	cookie := c.cookie
	if len(c.due) == 0 {
		c.heard = time.Now() // silence counts from the first request
	}
	c.due[cookie] = x
	c.mu.Unlock()

	parts := net.Buffers{header(kind, flags, cookie, x.off, n)}
	if payload != nil {
		parts = append(parts, payload)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.opts.Silence)); err != nil {
		c.fail(err)
		return nil
	}
	if _, err := parts.WriteTo(c.nc); err != nil {
		c.fail(err)
	}
	return nil
}

// do sends a request and waits for its answer.
func (c *Client) do(x *exchange, kind, flags uint16, n int64, payload []byte) error {
	if err := c.begin(x, kind, flags, n, payload); err != nil {
		return err
	}
	tick := time.NewTicker(max(c.opts.Silence/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-x.done:
			return x.err
		case <-tick.C:
			c.listen()
		}
	}
}

var errSilent = errors.New("no answer in time")

// listen gives the connection up when the server was silent for too long. Before that it
// asks for a byte, which a server that lives sends whatever else it holds back.
func (c *Client) listen() {
	c.mu.Lock()
	silent := time.Since(c.heard)
	probe := silent >= c.opts.Silence/4 && silent < c.opts.Silence && !c.probed
	if probe {
		c.probed = true
	}
	c.mu.Unlock()
	switch {
	case silent >= c.opts.Silence:
		c.fail(errSilent)
	case probe:
		x := &exchange{data: make([]byte, 1)}
		_ = c.begin(x, cmdRead, 0, 1, nil) // who waits learns of a failure
		go func() {
			<-x.done
			c.mu.Lock()
			defer c.mu.Unlock()
			c.probed = false
		}()
	}
}

// receive reads answers until the connection ends.
func (c *Client) receive() error {
	var head [headerChunk]byte
	for {
		if _, err := io.ReadFull(c.nc, head[:headerSimple]); err != nil {
			return err
		}
		switch binary.BigEndian.Uint32(head[:]) {
		case magicSimple:
			if err := c.simple(head[:headerSimple]); err != nil {
				return err
			}
		case magicStructured:
			if _, err := io.ReadFull(c.nc, head[headerSimple:]); err != nil {
				return err
			}
			if err := c.chunk(head[:]); err != nil {
				return err
			}
		default:
			return errNotAnAnswer
		}
	}
}

// simple takes a simple reply. One with data never comes: reads are answered in chunks.
func (c *Client) simple(head []byte) error {
	cookie := binary.BigEndian.Uint64(head[8:])
	x, err := c.answering(cookie)
	if err != nil {
		return err
	}
	if e := errno(binary.BigEndian.Uint32(head[4:])); e != errnoNone {
		x.err = refused(e, "")
	}
	return c.complete(cookie, x)
}

var errNotAnAnswer = errors.New("its answer cannot be understood")

// answering returns the exchange of a cookie, and notes that the server lives.
func (c *Client) answering(cookie uint64) (*exchange, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
	if x := c.due[cookie]; x != nil {
		return x, nil
	}
	return nil, errNotAnAnswer
}

var errTooFew = errors.New("it sent too few bytes")

// complete ends an exchange, whose data must all have come.
func (c *Client) complete(cookie uint64, x *exchange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.err == nil && x.left > 0 {
		return errTooFew
	}
	delete(c.due, cookie)
	close(x.done)
	return nil
}

// chunk takes a chunk of a structured reply.
func (c *Client) chunk(head []byte) error {
	flags, kind := binary.BigEndian.Uint16(head[4:]), binary.BigEndian.Uint16(head[6:])
	cookie, n := binary.BigEndian.Uint64(head[8:]), binary.BigEndian.Uint32(head[16:])
	x, err := c.answering(cookie)
	if err != nil {
		return err
	}
	if kind == chunkData {
		err = x.takeData(c.nc, int64(n))
	} else {
		err = x.take(c.nc, kind, n)
	}
	if err == nil && flags&chunkDone != 0 {
		return c.complete(cookie, x)
	}
	return err
}

// takeData reads a chunk of n bytes with data into its place.
func (x *exchange) takeData(in io.Reader, n int64) error {
	var at [8]byte
	if _, err := io.ReadFull(in, at[:]); err != nil {
		return err
	}
	place, err := x.place(at[:], n-int64(len(at)))
	if err == nil {
		_, err = io.ReadFull(in, place)
	}
	return err
}

// place returns where n bytes go whose offset is in at.
func (x *exchange) place(at []byte, n int64) ([]byte, error) {
	start := int64(binary.BigEndian.Uint64(at)) - x.off
	if n <= 0 || start < 0 || start > int64(len(x.data)) || n > int64(len(x.data))-start || n > x.left {
		return nil, errNotAnAnswer
	}
	x.left -= n
	return x.data[start : start+n], nil
}

// maxChunk is the longest chunk without data that is read, in bytes.
const maxChunk = 1 << 20

// take reads a chunk that has no data.
func (x *exchange) take(in io.Reader, kind uint16, n uint32) error {
	if n > maxChunk {
		return errNotAnAnswer
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(in, p); err != nil {
		return err
	}
	switch {
	case kind == chunkNone:
	case kind == chunkHole && n == 12:
		place, err := x.place(p, int64(binary.BigEndian.Uint32(p[8:])))
		clear(place)
		return err
	case kind == chunkBlockStatus && n >= 4:
		for d := p[4:]; len(d) >= 8; d = d[8:] {
			state := binary.BigEndian.Uint32(d[4:])
			x.extents = append(x.extents, extent{int64(binary.BigEndian.Uint32(d)), state&stateZero != 0})
		}
	case kind >= 1<<15 && n >= 6:
		text := p[6:]
		text = text[:min(len(text), int(binary.BigEndian.Uint16(p[4:])))]
		x.err = refused(errno(binary.BigEndian.Uint32(p)), string(text))
	default:
		return errNotAnAnswer
	}
	return nil
}

// refused is the error of a request that the server failed.
func refused(e errno, text string) error {
	kind, fallback := fault.Failed, "the volume failed"
	switch e {
	case errnoPerm:
		kind, fallback = fault.Refused, "the volume may not be written"
	case errnoNoSpace:
		fallback = "no space left"
	case errnoInvalid:
		fallback = "the volume does not take the request"
	}
	if text == "" {
		text = fallback
	}
	return fault.New(kind, "%s", text)
}
