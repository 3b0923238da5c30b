package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// patience is how long a request to a server may take before the harness calls
// the server hung.
const patience = 2 * time.Minute

// attachment is a host's connection to a volume. Requests go one at a time.
type attachment struct {
	conn   net.Conn
	size   int64
	cookie uint64
}

// attach connects to the export of that name.
func attach(addr, name string) (*attachment, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	a := &attachment{conn: c}
	if err := a.open(name); err != nil {
		c.Close()
		return nil, fmt.Errorf("attach %s: %w", name, err)
	}
	return a, nil
}

// open asks for the export in the old way, which a server without such an
// export answers by closing the connection.
func (a *attachment) open(name string) error {
	a.conn.SetDeadline(time.Now().Add(patience))
	var hello [18]byte
	if _, err := io.ReadFull(a.conn, hello[:]); err != nil {
		return err
	}
	b := binary.BigEndian.AppendUint32(nil, flagsHandshake)
	b = binary.BigEndian.AppendUint64(b, magicOption)
	b = binary.BigEndian.AppendUint32(b, optExportName)
	b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
	if _, err := a.conn.Write(append(b, name...)); err != nil {
		return err
	}
	var answer [10]byte
	if _, err := io.ReadFull(a.conn, answer[:]); err != nil {
		return err
	}
	a.size = int64(binary.BigEndian.Uint64(answer[:]))
	return nil
}

// close detaches the volume.
func (a *attachment) close() {
	a.conn.SetDeadline(time.Now().Add(time.Second))
	// The other side may be gone.
	_, _ = a.conn.Write(a.header(cmdDisconnect, 0, 0, 0))
	a.conn.Close()
}

func (a *attachment) header(kind operation, flags uint16, off, n int64) []byte {
	a.cookie++
	b := binary.BigEndian.AppendUint32(nil, magicRequest)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(kind))
	b = binary.BigEndian.AppendUint64(b, a.cookie)
	b = binary.BigEndian.AppendUint64(b, uint64(off))
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// request sends a request and waits for its answer. data is what a write writes.
// A nbdError leaves the connection usable.
func (a *attachment) request(kind operation, flags uint16, off, n int64, data []byte) error {
	a.conn.SetDeadline(time.Now().Add(patience))
	if _, err := a.conn.Write(append(a.header(kind, flags, off, n), data...)); err != nil {
		return err
	}
	var head [replyLength]byte
	if _, err := io.ReadFull(a.conn, head[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint64(head[8:]) != a.cookie {
		return errors.New("the answer is to another request")
	}
	if e := binary.BigEndian.Uint32(head[4:]); e != 0 {
		return nbdError(e)
	}
	return nil
}

// read fills p.
func (a *attachment) read(p []byte, off int64) error {
	if err := a.request(cmdRead, 0, off, int64(len(p)), nil); err != nil {
		return err
	}
	_, err := io.ReadFull(a.conn, p)
	return err
}

// readPages calls f for every page in turn.
func (a *attachment) readPages(f func(block int, page []byte)) error {
	p := make([]byte, 1<<20)
	for off := int64(0); off < a.size; off += int64(len(p)) {
		p = p[:min(int64(len(p)), a.size-off)]
		if err := a.read(p, off); err != nil {
			return err
		}
		for i := int64(0); i < int64(len(p)); i += pageSize {
			f(int((off+i)/pageSize), p[i:i+pageSize])
		}
	}
	return nil
}
