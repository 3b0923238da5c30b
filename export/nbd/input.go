package nbd

import "io"

const (
	// idleInput is all the input memory of an idle connection: a request
	// with 4 KiB of payload fits.
	idleInput = 8 << 10
	busyInput = 64 << 10
)

// input reads a connection. It reads ahead, into a large pooled buffer while
// much arrives and into a small own one otherwise.
type input struct {
	src io.Reader
	// beforeRead is called when a read may have to wait for the client, so
	// that no reply is held back meanwhile. nil for none.
	beforeRead func()
	// more returns a buffer for reading ahead, or nil. nil for no such buffers.
	more func() *buffer

	small [idleInput]byte
	large *buffer
	buf   []byte // small or large.data; buf[r:w] is read ahead
	r, w  int
	much  bool // the last read brought as much as small holds
}

func (in *input) buffered() int { return in.w - in.r }

// peek returns the next n bytes, at most idleInput. They stay valid until the
// next call. io.EOF means the client ended before the first of them.
func (in *input) peek(n int) ([]byte, error) {
	if in.buffered() < n {
		if err := in.fill(n); err != nil {
			return nil, err
		}
	}
	return in.buf[in.r : in.r+n], nil
}

func (in *input) skip(n int) { in.r += n }

func (in *input) fill(n int) error {
	in.makeRoom()
	for in.buffered() < n {
		if err := in.readMore(); err != nil {
			return in.cutShort(err)
		}
	}
	return nil
}

// makeRoom moves what is left to the front of the buffer that suits the
// amount arriving.
func (in *input) makeRoom() {
	old := in.large
	switch {
	case in.much && in.large == nil && in.more != nil:
		in.large = in.more()
	case !in.much && in.buffered() < idleInput:
		in.large = nil
	}
	buf := in.small[:]
	if in.large != nil {
		buf = in.large.data
	}
	in.w = copy(buf, in.buf[in.r:in.w])
	in.r, in.buf = 0, buf
	if old != in.large {
		old.release()
	}
}

func (in *input) readMore() error {
	n, err := in.read(in.buf[in.w:])
	in.w += n
	in.much = n >= idleInput
	if n > 0 {
		return nil
	}
	return err
}

func (in *input) read(p []byte) (int, error) {
	if in.beforeRead != nil {
		in.beforeRead()
	}
	n, err := in.src.Read(p)
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	return n, err
}

// cutShort tells an end in the middle of something from one in between.
func (in *input) cutShort(err error) error {
	if err == io.EOF && in.buffered() > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readFull fills p: what was read ahead first, then straight from the
// connection while much is missing, and a small rest by reading ahead again.
func (in *input) readFull(p []byte) error {
	n := in.take(p)
	for n < len(p) {
		var m int
		var err error
		if len(p)-n >= busyInput {
			m, err = in.read(p[n:])
		} else if err = in.fill(1); err == nil {
			m = in.take(p[n:])
		}
		n += m
		if err != nil && n < len(p) {
			return unexpected(err)
		}
	}
	return nil
}

// take moves what was read ahead to p.
func (in *input) take(p []byte) int {
	n := copy(p, in.buf[in.r:in.w])
	in.skip(n)
	return n
}

// discard throws n bytes away.
func (in *input) discard(n int) error {
	for n > 0 {
		if in.buffered() == 0 {
			if err := in.fill(1); err != nil {
				return unexpected(err)
			}
		}
		m := min(n, in.buffered())
		in.skip(m)
		n -= m
	}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// release gives pooled memory back; in cannot be used any more.
func (in *input) release() {
	in.large.release()
	in.large, in.buf, in.r, in.w = nil, nil, 0, 0
}
