package copyserver

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"copyservices/copyserver/api"
)

// nbdDisk is a connection to an export, made with the oldest and simplest
// option, EXPORT_NAME.
type nbdDisk struct {
	*testing.T
	net.Conn
}

func (w *world) disk(serial string) *nbdDisk {
	w.Helper()
	conn, err := net.Dial("tcp", w.NBDAddr())
	must(w.T, err)
	w.Cleanup(func() { conn.Close() })
	must(w.T, conn.SetDeadline(time.Now().Add(time.Minute)))
	d := &nbdDisk{w.T, conn}
	d.read(18)
	p := binary.BigEndian.AppendUint32(nil, 3)
	p = append(p, "IHAVEOPT\x00\x00\x00\x01"...)
	p = binary.BigEndian.AppendUint32(p, uint32(len(serial)))
	d.write(append(p, serial...))
	d.read(10)
	return d
}

func (d *nbdDisk) read(n int) {
	d.Helper()
	_, err := io.ReadFull(d, make([]byte, n))
	must(d.T, err)
}

func (d *nbdDisk) write(p []byte) {
	d.Helper()
	_, err := d.Write(p)
	must(d.T, err)
}

// writeBlock sends a write of 512 bytes at 0 and does not wait for its reply,
// of 16 bytes.
func (d *nbdDisk) writeBlock() {
	d.Helper()
	p := []byte{0x25, 0x60, 0x95, 0x13, 0, 0, 0, 1}
	p = append(p, make([]byte, 16)...)
	p = binary.BigEndian.AppendUint32(p, 512)
	d.write(append(p, bytes.Repeat([]byte{7}, 512)...))
}

// TestStopReleasesFrozenWrites: writes that wait, over NBD and over HTTP,
// neither hold up the end of the server nor are they lost.
func TestStopReleasesFrozenWrites(t *testing.T) {
	dir := t.TempDir()
	w := start(t, dir)
	v := w.volumes(4)
	req := api.EstablishRequest{Pairs: []api.TaskPair{
		{Source: v[0], Target: v[1]}, {Source: v[2], Target: v[3]},
	}}
	req.Options.Freeze, req.Options.NoCopy = true, true
	w.do("POST", "/v1/relationships", req, 201, nil)
	d := w.disk(v[0])
	d.writeBlock()
	stream := w.content(v[0])
	var imports sync.WaitGroup
	imports.Go(func() {
		resp, _ := w.request("PUT", "/v1/volumes/"+v[2]+"/content", bytes.NewReader(stream),
			"Content-Type", api.SparseContentType)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("the import: %s", resp.Status)
		}
	})
	must(t, d.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	if _, err := d.Conn.Read(make([]byte, 1)); err == nil {
		t.Error("a write to a frozen volume was answered")
	}
	must(t, d.SetReadDeadline(time.Now().Add(time.Minute)))
	begin := time.Now()
	must(t, w.Stop(t.Context()))
	if took := time.Since(begin); took > drainTimeout/2 {
		t.Errorf("stopping took %v", took)
	}
	d.read(16)
	imports.Wait()
	wantInOrder(t, dir)

	w = start(t, dir)
	if now := w.content(v[0]); bytes.Equal(now, stream) || !bytes.Equal(w.content(v[1]), stream) {
		t.Error("the write that waited is lost, or in the image")
	}
}
