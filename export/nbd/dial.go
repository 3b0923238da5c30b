package nbd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"copyservices/arrayclient/fault"
)

// DialOptions say which export of which server to attach, and how.
type DialOptions struct {
	Address string      // HOST:PORT
	Export  string      // its name
	TLS     *tls.Config // nil: without encryption
	// Timeout is how long it may take until the export is attached.
	Timeout time.Duration
	// Silence is how long the server may send nothing at all while an answer is due:
	// then the connection is given up. A write that the server holds back on purpose
	// may wait for longer, as the server answers other requests meanwhile.
	Silence time.Duration
}

// Dial attaches an export. The errors are of the kinds Connection when the server does
// not answer, is no NBD server of ours, or shows a certificate that is not accepted;
// Denied when it does not take the client's; NotFound or Refused for an export that it
// does not give.
func Dial(ctx context.Context, o DialOptions) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, lostWith(o.Address, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	g := &greeting{ctx: ctx, nc: nc, opts: o}
	err = g.run()
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, lostWith(o.Address, err)
	}
	return newClient(g.nc, g.size, o), nil
}

// lostWith is the error of a connection to a server, of kind Connection where err has
// no kind of its own.
func lostWith(address string, err error) error {
	var own *fault.Error
	if errors.As(err, &own) {
		return own
	}
	if errors.Is(err, context.Canceled) {
		return fault.New(fault.Interrupted, "interrupted while attaching a volume of %s", address)
	}
	text := err.Error()
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		text = op.Err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		text = "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		text = "the connection was closed"
	}
	return fault.New(fault.Connection, "NBD server %s: %s", address, text).
		WithHint("is the server running there, and does it export volumes over NBD?")
}

// greeting is the handshake as the client sees it.
type greeting struct {
	ctx  context.Context
	nc   net.Conn
	opts DialOptions
	size int64
}

// run talks until the export is attached.
func (g *greeting) run() error {
	var hello [18]byte
	if _, err := io.ReadFull(g.nc, hello[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint64(hello[:]) != magicServer ||
		binary.BigEndian.Uint64(hello[8:]) != magicOption ||
		binary.BigEndian.Uint16(hello[16:])&flagFixedNewstyle == 0 {
		return g.foreign("it is not an NBD server of the fixed newstyle")
	}
	flags := binary.BigEndian.AppendUint32(nil, flagFixedNewstyle|flagNoZeroes)
	if _, err := g.nc.Write(flags); err != nil {
		return err
	}
	if g.opts.TLS != nil {
		if err := g.startTLS(); err != nil {
			return err
		}
	}
	return g.attach()
}

func (g *greeting) foreign(why string) error {
	return fault.New(fault.Connection, "NBD server %s: %s", g.opts.Address, why)
}

func (g *greeting) startTLS() error {
	if err := g.option(optStartTLS, nil, nil); err != nil {
		return err
	}
	config := g.opts.TLS.Clone()
	if host, _, err := net.SplitHostPort(g.opts.Address); err == nil && config.ServerName == "" {
		config.ServerName = host
	}
	conn := tls.Client(g.nc, config)
	if err := conn.HandshakeContext(g.ctx); err != nil {
		return g.tlsError(err)
	}
	g.nc = conn
	return nil
}

// tlsError tells whose certificate is wrong. That of the client is refused only after
// the handshake as it sees it.
func (g *greeting) tlsError(err error) error {
	var op *net.OpError
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &op) && op.Op == "remote error":
		return fault.New(fault.Denied, "NBD server %s refuses the credential: %w", g.opts.Address, op.Err).
			WithHint("issue one there: esscli create credential HOST")
	case errors.As(err, &verify), errors.As(err, &unknown):
		return fault.New(fault.Connection, "the certificate of NBD server %s is not accepted: %w",
			g.opts.Address, err)
	}
	return err
}

// attach asks for what the client needs, then for the export.
func (g *greeting) attach() error {
	if err := g.option(optStructuredReply, nil, nil); err != nil {
		return g.tlsError(err)
	}
	name := appendText(nil, g.opts.Export)
	meta := binary.BigEndian.AppendUint32(name, 1)
	if err := g.option(optSetMeta, appendText(meta, contextAllocation), nil); err != nil {
		return err
	}
	g.size = -1
	err := g.option(optGo, binary.BigEndian.AppendUint16(name, 0), func(kind uint32, data []byte) {
		if kind == repInfo && len(data) >= 10 && binary.BigEndian.Uint16(data) == infoExport {
			g.size = int64(binary.BigEndian.Uint64(data[2:]))
		}
	})
	if err == nil && g.size < 0 {
		err = g.foreign("it does not tell the size of " + g.opts.Export)
	}
	return err
}

func appendText(p []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(p, uint32(len(s))), s...)
}

// option sends an option and reads the replies, giving each but the last to each, which
// may be nil.
func (g *greeting) option(code uint32, data []byte, each func(kind uint32, data []byte)) error {
	p := binary.BigEndian.AppendUint64(nil, magicOption)
	p = binary.BigEndian.AppendUint32(p, code)
	p = binary.BigEndian.AppendUint32(p, uint32(len(data)))
	if _, err := g.nc.Write(append(p, data...)); err != nil {
		return err
	}
	for {
		var head [20]byte
		if _, err := io.ReadFull(g.nc, head[:]); err != nil {
			return err
		}
		kind, n := binary.BigEndian.Uint32(head[12:]), binary.BigEndian.Uint32(head[16:])
		if binary.BigEndian.Uint64(head[:]) != magicOptReply ||
			binary.BigEndian.Uint32(head[8:]) != code || n > maxReplyData {
			return g.foreign("its reply cannot be understood")
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(g.nc, body); err != nil {
			return err
		}
		switch {
		case kind == repAck:
			return nil
		case kind >= repError:
			return g.refusal(kind, string(body))
		case each != nil:
			each(kind, body)
		}
	}
}

// maxReplyData is the longest reply to an option that is read, in bytes.
const maxReplyData = 64 << 10

// refusal is the error that a reply to an option carries.
func (g *greeting) refusal(kind uint32, text string) error {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		text = "it refuses " + g.opts.Export
	}
	switch {
	case kind == repErrUnknown:
		return fault.New(fault.NotFound, "%s", text)
	case kind == repErrPolicy:
		return fault.New(fault.Refused, "%s", text)
	case kind == repErrTLSReqd:
		return fault.New(fault.Denied, "NBD server %s wants TLS and a credential", g.opts.Address).
			WithHint("issue one there: esscli create credential HOST")
	}
	return g.foreign(text)
}
