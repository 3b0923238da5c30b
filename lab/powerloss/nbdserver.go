package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// export serves a device over NBD at a Unix socket until it is closed.
type export struct {
	device   *device
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	running  sync.WaitGroup
}

func serveDevice(d *device, socket string) (*export, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	e := &export{device: d, listener: l}
	e.running.Go(e.accept)
	return e, nil
}

func (e *export) accept() {
	for {
		c, err := e.listener.Accept()
		if err != nil {
			return
		}
		e.mu.Lock()
		e.conns = append(e.conns, c)
		e.mu.Unlock()
		e.running.Go(func() {
			defer c.Close()
			peer := peer{device: e.device, r: bufio.NewReaderSize(c, 1<<20), w: c}
			// The end of a connection is no event: whoever used the disk sees it.
			_ = peer.serve()
		})
	}
}

// close ends all connections and waits for their ends.
func (e *export) close() {
	e.listener.Close()
	e.mu.Lock()
	for _, c := range e.conns {
		c.Close()
	}
	e.mu.Unlock()
	e.running.Wait()
}

// peer is one connection of a client.
type peer struct {
	device *device
	r      *bufio.Reader
	w      io.Writer
}

func (p *peer) serve() error {
	if err := p.handshake(); err != nil {
		return err
	}
	for {
		if err := p.request(); err != nil {
			return err
		}
	}
}

func (p *peer) handshake() error {
	hello := binary.BigEndian.AppendUint64(nil, magicServer)
	hello = binary.BigEndian.AppendUint64(hello, magicOption)
	hello = binary.BigEndian.AppendUint16(hello, flagsHandshake)
	if _, err := p.w.Write(hello); err != nil {
		return err
	}
	if _, err := p.r.Discard(4); err != nil { // the client's flags
		return err
	}
	for {
		if begun, err := p.option(); begun || err != nil {
			return err
		}
	}
}

// option answers one option and reports whether requests follow.
func (p *peer) option() (begun bool, err error) {
	var head [optionLength]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return false, err
	}
	code, n := binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
	if n > maxOption {
		return false, errors.New("an option is too long")
	}
	if _, err := p.r.Discard(int(n)); err != nil {
		return false, err
	}
	size := binary.BigEndian.AppendUint64(nil, uint64(p.device.size))
	size = binary.BigEndian.AppendUint16(size, hasFlags|sendFlush|sendFUA|sendTrim|sendZeroes)
	switch code {
	case optInfo, optGo:
		info := append(binary.BigEndian.AppendUint16(nil, infoExport), size...)
		err := errors.Join(p.reply(code, repInfo, info), p.reply(code, repAck, nil))
		return code == optGo, err
	case optExportName:
		_, err := p.w.Write(size)
		return true, err
	case optAbort:
		return false, errors.Join(p.reply(code, repAck, nil), io.EOF)
	}
	return false, p.reply(code, repUnsupported, nil)
}

func (p *peer) reply(option, kind uint32, data []byte) error {
	b := binary.BigEndian.AppendUint64(nil, magicReplies)
	b = binary.BigEndian.AppendUint32(b, option)
	b = binary.BigEndian.AppendUint32(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	_, err := p.w.Write(append(b, data...))
	return err
}

// request does one request and answers it.
func (p *peer) request() error {
	var head [requestLength]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(head[:]) != magicRequest {
		return errors.New("no request")
	}
	flags := binary.BigEndian.Uint16(head[4:])
	kind := operation(binary.BigEndian.Uint16(head[6:]))
	off, n := int64(binary.BigEndian.Uint64(head[16:])), int64(binary.BigEndian.Uint32(head[24:]))
	if kind == cmdDisconnect {
		return io.EOF
	}
	var data []byte
	if kind == cmdRead || kind == cmdWrite {
		if n > maxRequest {
			return errors.New("a request is too long")
		}
		data = make([]byte, n)
	}
	if kind == cmdWrite {
		if _, err := io.ReadFull(p.r, data); err != nil {
			return err
		}
	}
	out := binary.BigEndian.AppendUint32(nil, magicSimple)
	out = binary.BigEndian.AppendUint32(out, p.do(kind, flags, off, n, data))
	out = append(out, head[8:16]...)
	if kind == cmdRead {
		out = append(out, data...)
	}
	_, err := p.w.Write(out)
	return err
}

// do returns the error number of the answer, 0 for success.
func (p *peer) do(kind operation, flags uint16, off, n int64, data []byte) uint32 {
	if off < 0 || off > p.device.size-n {
		return errInvalid
	}
	fua := flags&flagFUA != 0
	var err error
	switch kind {
	case cmdRead:
		err = p.device.read(data, off)
	case cmdWrite:
		err = p.device.write(data, off, fua)
	case cmdFlush:
		err = p.device.flush()
	case cmdTrim:
		err = p.device.erase(entryTrim, off, n, fua)
	case cmdZero:
		err = p.device.erase(entryZero, off, n, fua)
	default:
		return errInvalid
	}
	if err != nil {
		return errInput
	}
	return 0
}
