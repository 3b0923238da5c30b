//go:build unix

package nbd

import (
	"io"
	"net"
	"syscall"
)

// link reads a TCP connection. It calls idle only when the client has sent
// nothing, after having looked: requests that arrived meanwhile are taken
// first, so that their replies go out together.
type link struct {
	raw  syscall.RawConn
	idle func()
	try  func(fd uintptr) bool // l.attempt, made once

	p   []byte
	n   int
	err error
}

// newLink returns nil for a connection that cannot be read like this.
func newLink(nc net.Conn, idle func()) io.Reader {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	l := &link{raw: raw, idle: idle}
	l.try = l.attempt
	return l
}

// Read is that of io.Reader.
func (l *link) Read(p []byte) (int, error) {
	l.p, l.n, l.err = p, 0, nil
	err := l.raw.Read(l.try)
	l.p = nil
	switch {
	case err != nil:
		return 0, err
	case l.err != nil:
		return 0, l.err
	case l.n == 0:
		return 0, io.EOF
	}
	return l.n, nil
}

// attempt reports whether it has read anything or failed. Otherwise it is
// called again when there is something to read.
func (l *link) attempt(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), l.p)
		switch err {
		case nil:
			l.n = n
			return true
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			l.idle()
			return false
		}
		l.err = err
		return true
	}
}
