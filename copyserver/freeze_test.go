package copyserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/filearray"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
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

// lateFreeze is an array whose establish begins when the server has thawed it, and
// ends when written was called.
type lateFreeze struct {
	*slow
	thawed  chan struct{}
	written func()
}

func (a *lateFreeze) Thaw() {
	a.slow.Thaw()
	close(a.thawed)
}

func (a *lateFreeze) Establish(
	ctx context.Context, pairs []arrayclient.Pair, opts arrayclient.Options,
) error {
	<-a.thawed
	err := a.slow.Establish(ctx, pairs, opts)
	a.written()
	return err
}

// TestStopMeetsFreeze: a task that freezes writes while the server already ends holds
// up neither its end nor the writes.
func TestStopMeetsFreeze(t *testing.T) {
	a := &lateFreeze{slow: &slow{}, thawed: make(chan struct{})}
	seams := testSeams
	seams.wrap = func(inner *filearray.Array) arrayclient.Array {
		a.Array = inner
		return a
	}
	w := startWith(t, t.TempDir(), seams)
	v := w.volumes(2)
	pairs := []api.TaskPair{{Source: v[0], Target: v[1]}}
	task := api.Task{Name: "t", Type: taskstore.TaskEstablish, Pairs: pairs}
	task.Options.Freeze, task.Options.NoCopy = true, true
	w.do("PUT", "/v1/tasks/t", task, 200, nil)
	d := w.disk(v[0])
	a.written = func() {
		d.writeBlock()
		if _, err := io.ReadFull(d.Conn, make([]byte, 16)); err != nil {
			t.Errorf("the write was not answered: %v", err)
		}
	}
	var run sync.WaitGroup
	run.Go(func() { w.do("POST", "/v1/tasks/t/runs", "{}", 201, nil) })
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if runs, err := w.core.Store.Runs().List(); err == nil && len(runs) == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the run does not begin")
		}
	}
	begin := time.Now()
	must(t, w.Stop(t.Context()))
	run.Wait()
	if took := time.Since(begin); took > drainTimeout/2 {
		t.Errorf("stopping took %v", took)
	}
}
