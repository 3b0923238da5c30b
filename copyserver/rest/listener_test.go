package rest

import (
	"errors"
	"log/slog"
	"net"
	"syscall"
	"testing"
)

// TestListenerGoesOn: no error of accept ends the server.
func TestListenerGoesOn(t *testing.T) {
	bound, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	short := &shortOf{Listener: bound, errs: []error{syscall.EMFILE, syscall.ENOBUFS, syscall.EPERM}}
	l := &listener{Listener: short, log: slog.New(slog.DiscardHandler)}
	client, err := net.Dial("tcp", bound.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil || len(short.errs) > 0 {
		t.Fatalf("accepted with %v, after %d errors too few", err, len(short.errs))
	}
	if err := errors.Join(conn.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("a closed listener: %v", err)
	}
}

// shortOf is a listener that fails some times.
type shortOf struct {
	net.Listener
	errs []error
}

func (s *shortOf) Accept() (net.Conn, error) {
	if len(s.errs) == 0 {
		return s.Listener.Accept()
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: err}
}
