package copyserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"copyservices/copyserver/api"
)

// absent are clients that the server would have to wait for, had it to. Each
// returns when the server has begun to wait.
var absent = map[string]func(*world){
	"silent": func(w *world) {
		w.dialREST()
		time.Sleep(50 * time.Millisecond) // it is accepted
	},
	"silent after the handshake": func(w *world) { w.dialTLS() },
	"half a header":              func(w *world) { w.half("GET /v1/tasks HTTP/1.1\r\nHost: x\r\n") },
	"half a body": func(w *world) {
		w.half(requestWithBody("POST /v1/tasks", "application/json") + `{"name":`)
	},
	"half a body that nobody reads": func(w *world) {
		w.half("POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	},
	"half an import": func(w *world) {
		w.half(requestWithBody("PUT /v1/volumes/00113698/content", api.SparseContentType) + "CSVS")
	},
	"half an image": func(w *world) {
		w.half(requestWithBody("PUT /v1/volumes/00113698/content", api.RawContentType) + "half")
	},
	"an export that nobody takes": func(w *world) { w.half(exportOf("00013698", api.SparseContentType)) },
	"an image that nobody takes":  func(w *world) { w.half(exportOf("00013698", "*/*")) },
	"silent NBD":                  func(w *world) { w.dialNBD() },
	"NBD without an option":       func(w *world) { w.attach("") },
	"logins that wait for their turn": func(w *world) {
		for range 12 {
			w.half("GET /v1/server HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\r\n")
		}
	},
	"half an NBD write": func(w *world) {
		w.nbdRequest(w.attach("00013698"), 1, 1<<20)
	},
	"an NBD read that nobody takes": func(w *world) {
		conn := w.attach("00013698")
		for range 8 {
			w.nbdRequest(conn, 0, 16<<20)
		}
	},
}

func requestWithBody(request, kind string) string {
	return fmt.Sprintf("%s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nContent-Type: %s\r\n"+
		"Content-Length: 100\r\n\r\n", request, basicAuth, kind)
}

func exportOf(serial, accept string) string {
	return fmt.Sprintf("GET /v1/volumes/%s/content HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n"+
		"Accept: %s\r\n\r\n", serial, basicAuth, accept)
}

// TestStopWaitsForNoClient: the server ends soon and cleanly, whatever a client
// has yet to send or to take.
func TestStopWaitsForNoClient(t *testing.T) {
	w := start(t, t.TempDir())
	w.fullVolume(16 << 20)
	for name, begin := range absent {
		t.Log(name)
		begin(w)
	}
	time.Sleep(100 * time.Millisecond)
	stopping := time.Now()
	if err := w.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(stopping); took > 4*time.Second {
		t.Errorf("stopping took %v", took)
	}
	wantInOrder(t, w.opts.State)
}

// fullVolume makes volume 00013698, which has no holes, and 00113698.
func (w *world) fullVolume(size int64) {
	w.Helper()
	w.do("POST", "/v1/volumes", api.VolumeCreate{Size: size, Count: 2, First: "000"}, 201, nil)
	v, err := w.core.Arrays.Open(w.Context(), "00013698")
	must(w.T, err)
	defer v.Close()
	_, err = v.WriteAt(bytes.Repeat([]byte("full"), int(size/4)), 0)
	must(w.T, err)
}

func (w *world) dial(address string) net.Conn {
	w.Helper()
	conn, err := net.Dial("tcp", address)
	must(w.T, err)
	w.Cleanup(func() { conn.Close() })
	must(w.T, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn
}

func (w *world) dialREST() net.Conn { return w.dial(w.Addr()) }
func (w *world) dialNBD() net.Conn  { return w.dial(w.NBDAddr()) }

func (w *world) dialTLS() net.Conn {
	w.Helper()
	conn := tls.Client(w.dialREST(), &tls.Config{InsecureSkipVerify: true})
	must(w.T, conn.Handshake())
	return conn
}

// half sends part of a request.
func (w *world) half(request string) net.Conn {
	w.Helper()
	conn := w.dialTLS()
	_, err := io.WriteString(conn, request)
	must(w.T, err)
	return conn
}

// attach goes through the old handshake of NBD, or up to its option if serial is
// empty.
func (w *world) attach(serial string) net.Conn {
	w.Helper()
	conn := w.dialNBD()
	_, err := io.CopyN(io.Discard, conn, 18)
	must(w.T, err)
	hello := []byte{0, 0, 0, 3}
	if serial != "" {
		hello = append(hello, "IHAVEOPT\x00\x00\x00\x01\x00\x00\x00\x08"+serial...)
	}
	_, err = conn.Write(hello)
	must(w.T, err)
	if serial != "" {
		_, err = io.CopyN(io.Discard, conn, 10)
		must(w.T, err)
	}
	return conn
}

// nbdRequest sends the header of a request at the beginning of the volume.
func (w *world) nbdRequest(conn net.Conn, kind uint16, n uint32) {
	w.Helper()
	p := binary.BigEndian.AppendUint32(nil, 0x25609513)
	p = binary.BigEndian.AppendUint32(p, uint32(kind))
	p = binary.BigEndian.AppendUint64(p, 7)
	p = binary.BigEndian.AppendUint64(p, 0)
	_, err := conn.Write(binary.BigEndian.AppendUint32(p, n))
	must(w.T, err)
}
