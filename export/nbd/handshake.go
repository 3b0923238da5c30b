package nbd

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/export/quota"
)

// Limits of the handshake. A client that lists the 4096 volumes of a full
// array and asks about each of them stays below them all.
const (
	maxOptions     = 3*arrayclient.MaxVolumes + 64
	maxBadOptions  = 32
	maxOptionData  = 16 << 10 // bytes that are looked at
	maxOptionWaste = 1 << 20  // bytes that are read only to skip them
)

var (
	// errAborted says that the client ended the handshake as it may.
	errAborted = errors.New("aborted by the client")
	errHaggle  = errors.New("too many options")
	errBadMark = errors.New("wrong magic number")
)

// session is what a handshake arrives at.
type session struct {
	name       string
	peer       Peer
	volume     arrayclient.VolumeIO
	size       int64
	readOnly   bool
	structured bool // replies to reads are structured
	meta       bool // base:allocation may be asked for
}

// handshake is the first phase of a connection.
type handshake struct {
	ctx     context.Context
	nc      net.Conn
	in      *input
	exports Exports
	tls     *tls.Config // nil where encryption is not offered
	place   *quota.Place
	lists   chan struct{} // has room for the lists that may be made at a time

	secure     bool // TLS is on
	peer       Peer
	noZeroes   bool
	structured bool
	metaName   string // export that base:allocation was selected for
	metaSet    bool
	options    int // received so far
	bad        int // of these, answered with an error
	out        bytes.Buffer
}

// option is one request of the handshake.
type option struct {
	code uint32
	data []byte
}

// run talks until the client has chosen an export. It closes the volume
// itself when it returns an error.
func (h *handshake) run() (*session, error) {
	if err := h.greet(); err != nil {
		return nil, err
	}
	for {
		opt, err := h.next()
		if err != nil {
			return nil, err
		}
		s, err := h.answer(opt)
		if err == nil {
			err = h.flush()
		}
		if err != nil {
			s.close()
			return nil, err
		}
		if s != nil {
			return s, nil
		}
	}
}

// close gives the volume back. A session that never was is fine.
func (s *session) close() {
	if s != nil {
		// What had to be durable was flushed; there is nobody to tell.
		_ = s.volume.Close()
	}
}

func (h *handshake) greet() error {
	hello := binary.BigEndian.AppendUint64(nil, magicServer)
	hello = binary.BigEndian.AppendUint64(hello, magicOption)
	hello = binary.BigEndian.AppendUint16(hello, flagFixedNewstyle|flagNoZeroes)
	if _, err := h.nc.Write(hello); err != nil {
		return err
	}
	var reply [4]byte
	if err := h.in.readFull(reply[:]); err != nil {
		return err
	}
	flags := binary.BigEndian.Uint32(reply[:])
	if flags&flagFixedNewstyle == 0 || flags&^(flagFixedNewstyle|flagNoZeroes) != 0 {
		return errors.New("client flags are not those of fixed newstyle")
	}
	h.noZeroes = flags&flagNoZeroes != 0
	return nil
}

// next reads the next option that is small enough to look at.
func (h *handshake) next() (option, error) {
	for {
		head, err := h.in.peek(16)
		if err != nil {
			return option{}, err
		}
		magic := binary.BigEndian.Uint64(head)
		opt := option{code: binary.BigEndian.Uint32(head[8:])}
		n := binary.BigEndian.Uint32(head[12:])
		h.in.skip(16)
		if h.options++; h.options > maxOptions {
			return option{}, errHaggle
		}
		switch {
		case magic != magicOption:
			return option{}, errBadMark
		case n <= maxOptionData:
			opt.data = make([]byte, n)
			return opt, h.in.readFull(opt.data)
		}
		if err := h.refuseBig(opt.code, n); err != nil {
			return option{}, err
		}
	}
}

// refuseBig skips the n bytes of an option and refuses it.
func (h *handshake) refuseBig(code, n uint32) error {
	if n > maxOptionWaste || code == optExportName {
		return errors.New("an option is too big")
	}
	if err := h.in.discard(int(n)); err != nil {
		return err
	}
	if err := h.refuse(code, repErrTooBig, "the option is too big"); err != nil {
		return err
	}
	return h.flush()
}

// answer carries an option out. It returns a session when the option ended
// the handshake.
func (h *handshake) answer(opt option) (*session, error) {
	switch {
	case opt.code == optAbort:
		h.reply(opt.code, repAck, nil)
		// The client may be gone already, as it may.
		_ = h.flush()
		return nil, errAborted
	case opt.code == optStartTLS:
		return nil, h.startTLS(opt)
	case h.tls != nil && !h.secure:
		if opt.code == optExportName {
			return nil, errors.New("an export was asked for without TLS")
		}
		return nil, h.refuse(opt.code, repErrTLSReqd, "TLS is required")
	}
	return h.answerPlain(opt)
}

func (h *handshake) answerPlain(opt option) (*session, error) {
	switch opt.code {
	case optExportName:
		return h.exportName(string(opt.data))
	case optInfo, optGo:
		return h.info(opt)
	case optList:
		return nil, h.list(opt)
	case optStructuredReply:
		return nil, h.structuredReply(opt)
	case optListMeta, optSetMeta:
		return nil, h.metaContext(opt)
	}
	return nil, h.refuse(opt.code, repErrUnsup, "the option is not known here")
}

func (h *handshake) startTLS(opt option) error {
	switch {
	case h.tls == nil:
		return h.refuse(opt.code, repErrUnsup, "TLS is not offered here")
	case h.secure, len(opt.data) > 0:
		return h.refuse(opt.code, repErrInvalid, "TLS cannot be started like this")
	}
	// What came in before the encryption could be an attacker's.
	if h.in.buffered() > 0 {
		return errors.New("the client did not wait for the reply to STARTTLS")
	}
	h.reply(opt.code, repAck, nil)
	if err := h.flush(); err != nil {
		return err
	}
	upgraded := tls.Server(h.nc, h.tls)
	if err := upgraded.HandshakeContext(h.ctx); err != nil {
		return err
	}
	h.nc, h.in.src, h.secure = upgraded, upgraded, true
	h.peer = peerOf(upgraded.ConnectionState())
	h.structured, h.metaSet = false, false
	return nil
}

func (h *handshake) structuredReply(opt option) error {
	if len(opt.data) > 0 {
		return h.refuse(opt.code, repErrInvalid, "the option takes no data")
	}
	h.structured = true
	h.reply(opt.code, repAck, nil)
	return nil
}

func (h *handshake) list(opt option) error {
	if len(opt.data) > 0 {
		return h.refuse(opt.code, repErrInvalid, "the option takes no data")
	}
	infos, err := h.exportList()
	if err != nil {
		return h.refuse(opt.code, repErrPolicy, messageOf(err))
	}
	for _, info := range infos {
		if h.out.Len() > maxOptionData {
			if err := h.flush(); err != nil {
				return err
			}
		}
		data := binary.BigEndian.AppendUint32(nil, uint32(len(info.Name)))
		data = append(data, info.Name...)
		h.reply(opt.code, repServer, append(data, info.Description...))
	}
	h.reply(opt.code, repAck, nil)
	return nil
}

// exportList asks for the list, a few clients at a time: it is the one answer of
// the handshake that takes long.
func (h *handshake) exportList() ([]ExportInfo, error) {
	select {
	case h.lists <- struct{}{}:
		defer func() { <-h.lists }()
		return h.exports.List(h.ctx, h.peer)
	case <-h.ctx.Done():
		return nil, h.ctx.Err()
	}
}

// owner is by whose name the client's connections and memory are counted.
func (h *handshake) owner() string {
	if h.peer.Serial != "" {
		return h.peer.Serial
	}
	return quota.AddressOf(h.nc.RemoteAddr())
}

// errCrowded refuses a client that has more connections than are left for others.
var errCrowded = fault.New(fault.Refused, "too many connections are in use")

// enter is open for the transmission phase, for which the connection needs a
// place among those that are served.
func (h *handshake) enter(name string) (*session, error) {
	s, err := h.open(name)
	if err == nil && !h.place.Serve(h.owner()) {
		s.close()
		return nil, errCrowded
	}
	return s, err
}

// open returns the export called name as a session.
func (h *handshake) open(name string) (*session, error) {
	if name == "" || len(name) > maxString {
		return nil, fault.New(fault.NotFound, "there is no default export").
			WithHint("the name of an export is the serial of its volume")
	}
	v, readOnly, err := h.exports.Open(h.ctx, h.peer, name)
	if err != nil {
		return nil, err
	}
	return &session{
		name: name, peer: h.peer, volume: v, size: v.Size(), readOnly: readOnly,
		structured: h.structured,
		meta:       h.structured && h.metaSet && h.metaName == name,
	}, nil
}

// reply appends a reply to an option to what flush sends.
func (h *handshake) reply(code, kind uint32, data []byte) {
	head := binary.BigEndian.AppendUint64(nil, magicOptReply)
	head = binary.BigEndian.AppendUint32(head, code)
	head = binary.BigEndian.AppendUint32(head, kind)
	head = binary.BigEndian.AppendUint32(head, uint32(len(data)))
	h.out.Write(head)
	h.out.Write(data)
}

// refuse replies with an error. It fails when the client had too many.
func (h *handshake) refuse(code, kind uint32, text string) error {
	if h.bad++; h.bad > maxBadOptions {
		return errHaggle
	}
	h.reply(code, kind, []byte(clip(text)))
	return nil
}

func (h *handshake) flush() error {
	_, err := h.out.WriteTo(h.nc)
	return err
}
