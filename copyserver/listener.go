package copyserver

import (
	"errors"
	"log/slog"
	"net"
	"time"
)

// acceptAgainAfter is how long a listener waits after an error.
const acceptAgainAfter = 50 * time.Millisecond

// listener goes on after every error: being short of descriptors or memory passes,
// and net/http would end the server over some of them.
type listener struct {
	net.Listener
	log *slog.Logger
}

// Accept returns no error before the listener is closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		l.log.Warn("accept failed", "address", l.Addr().String(), "error", err)
		time.Sleep(acceptAgainAfter)
	}
}
