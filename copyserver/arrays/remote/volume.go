package remote

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/export/nbd"
)

// volume is an open volume. When its connection is lost, the calls at work fail, and the
// next one makes another.
type volume struct {
	on      *array
	serial  arrayclient.Serial
	size    int64
	written *written

	mu     sync.Mutex // held over the making of a connection
	conn   *nbd.Client
	closed bool
	failed time.Time // when the last try to connect failed
	why    error     // why it did
}

// written is what is known of the writes to a volume, by whatever opening of it: the
// other server may have forgotten those that it answered but was not told to keep.
type written struct {
	mu    sync.Mutex
	dirty bool // there are writes since the last flush
	lost  bool // a connection was lost with such
}

// OpenVolume attaches the volume over NBD. The other server sees this one as a host that
// has it attached.
func (f opener) OpenVolume(
	ctx context.Context, serial arrayclient.Serial,
) (arrayclient.VolumeIO, error) {
	a := f.on
	if err := a.owns(serial); err != nil {
		return nil, err
	}
	conn, err := a.attach(ctx, serial)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.written[serial] == nil {
		a.written[serial] = &written{}
	}
	return &volume{
		on: a, serial: serial, size: conn.Size(), written: a.written[serial], conn: conn,
	}, nil
}

func (a *array) attach(ctx context.Context, serial arrayclient.Serial) (*nbd.Client, error) {
	server, err := a.client.Server(ctx)
	if err != nil {
		return nil, a.told(err)
	}
	if server.NBD == "" {
		return nil, fault.New(fault.Refused, "server %s does not export volumes over NBD any more",
			a.client.Answered())
	}
	return nbd.Dial(ctx, nbd.DialOptions{
		Address: reachable(server.NBD, a.client.Answered()), Export: string(serial),
		TLS: a.config.NBDTLS, Timeout: a.config.DialTimeout, Silence: a.config.Silence,
	})
}

// reachable returns the address of a server's NBD: a server that listens on all its
// addresses tells none that others could reach, so it is that of its REST API.
func reachable(nbdAddress, rest string) string {
	at, err := netip.ParseAddrPort(nbdAddress)
	host, _, splitErr := net.SplitHostPort(rest)
	if err != nil || splitErr != nil || !at.Addr().IsUnspecified() {
		return nbdAddress
	}
	_, port, _ := net.SplitHostPort(nbdAddress)
	return net.JoinHostPort(host, port)
}

// reconnectPause is how long calls fail without another try after one that failed.
const reconnectPause = time.Second

// connected returns the connection, a new one where it was lost.
func (v *volume) connected() (*nbd.Client, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
		return nil, fault.New(fault.Failed, "volume %s is closed", v.serial)
	case !v.conn.Broken():
		return v.conn, nil
	case time.Since(v.failed) < reconnectPause:
		return nil, v.why
	}
	v.written.connectionLost()
	// The limits of Config hold.
	conn, err := v.on.attach(context.Background(), v.serial)
	if err == nil && conn.Size() != v.size {
		_ = conn.Close() // nothing was written
		err = fault.New(fault.Failed, "volume %s has another size by now: open it again", v.serial)
	}
	if err != nil {
		v.failed, v.why = time.Now(), err
		return nil, err
	}
	_ = v.conn.Close() // its end is known
	v.conn = conn
	return conn, nil
}

// Size returns the size in bytes.
func (v *volume) Size() int64 { return v.size }

// ReadAt fills p.
func (v *volume) ReadAt(p []byte, off int64) (int, error) {
	conn, err := v.connected()
	if err != nil {
		return 0, err
	}
	return conn.ReadAt(p, off)
}

// Extents tells what is stored.
func (v *volume) Extents(off, n int64, f func(length int64, hole bool) bool) error {
	conn, err := v.connected()
	if err != nil {
		return err
	}
	return conn.Extents(off, n, f)
}

// WriteAt writes p.
func (v *volume) WriteAt(p []byte, off int64) (n int, err error) {
	err = v.change(func(conn *nbd.Client) error {
		n, err = conn.WriteAt(p, off)
		return err
	})
	return n, err
}

// Zero writes zeros.
func (v *volume) Zero(off, n int64, punch bool) error {
	return v.change(func(conn *nbd.Client) error { return conn.Zero(off, n, punch) })
}

// change does what must be flushed. It is noted before, for a connection that is lost
// meanwhile, and afterwards, for a flush that did not cover it.
func (v *volume) change(do func(*nbd.Client) error) error {
	conn, err := v.connected()
	if err != nil {
		return err
	}
	v.written.note()
	defer v.written.note()
	return do(conn)
}

// Flush makes what was written before durable. It fails, once, when a connection was
// lost with writes that no flush had covered.
func (v *volume) Flush() error {
	conn, err := v.connected()
	if err != nil {
		return err
	}
	if v.written.takeLoss() {
		return fault.New(fault.Failed, "the connection to the server of volume %s was lost: what was "+
			"written and not flushed before may be lost too", v.serial)
	}
	v.written.clean()
	if err := conn.Flush(); err != nil {
		v.written.note()
		return err
	}
	return nil
}

// Close detaches the volume. It is idempotent.
func (v *volume) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil
	}
	v.closed = true
	if v.conn.Broken() {
		v.written.connectionLost()
	}
	return v.conn.Close()
}

func (w *written) note() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = true
}

func (w *written) clean() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = false
}

func (w *written) connectionLost() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost, w.dirty = w.lost || w.dirty, false
}

func (w *written) takeLoss() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	lost := w.lost
	w.lost = false
	return lost
}
