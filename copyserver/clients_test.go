package copyserver

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/copyserver/rest"
	"copyservices/export/quota"
	"copyservices/taskstore"
)

// TestStrangersMakeWay: connections without a request of somebody known displace
// each other and nobody else.
func TestStrangersMakeWay(t *testing.T) {
	seams, a := slowSeams()
	seams.memory, seams.places = rest.NewMemory(1<<20), quota.NewPlaces(6, 4)
	w := startWith(t, t.TempDir(), seams)
	v := w.volumes(2)
	w.task("t", taskstore.TaskEstablish, v[0], v[1])
	var run api.Run
	w.do("POST", "/v1/tasks/t/runs", api.RunRequest{Wait: true}, 201, &run)
	busy := w.half("GET /v1/runs/" + run.ID + "?wait=30 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " +
		basicAuth + "\r\n\r\n")
	for seams.places.Serving() == 0 {
		time.Sleep(time.Millisecond)
	}
	var silent []net.Conn
	for range 10 {
		silent = append(silent, w.dialREST())
	}
	for range 3 {
		silent = append(silent, w.half("GET /v1/tasks HTTP/1.1\r\nHost: x\r\n"))
		w.client.CloseIdleConnections()
		w.do("GET", "/v1/server", nil, 200, nil)
	}
	must(t, silent[0].SetReadDeadline(time.Now().Add(10*time.Second)))
	if _, err := silent[0].Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the oldest stranger is there: %v", err)
	}
	a.finish()
	resp, err := http.ReadResponse(bufio.NewReader(busy), nil)
	must(t, err)
	if resp.StatusCode != 200 {
		t.Errorf("the request that waited is answered with %s", resp.Status)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// TestRequestsShareMemory: one that gets none is refused as a whole, in words, and
// the next is served when others have ended.
func TestRequestsShareMemory(t *testing.T) {
	seams := testSeams
	seams.memory = rest.NewMemory(256 << 10)
	w := startWith(t, t.TempDir(), seams)
	other := seams.memory.Open("another")
	if !other.Take(80 << 10) {
		t.Fatal("no memory at all")
	}
	task := `{"name":"t","type":"withdraw","pairs":[{"source":"00013698","target":"00113698"}]` +
		strings.Repeat(" ", 60<<10) + "}"
	w.refused("POST", "/v1/tasks", task, 503, fault.Server, "no memory left")
	w.refused("GET", "/v1/tasks/t", nil, 404, fault.NotFound, "t")
	w.refused("GET", "/v1/volumes/00013698/content", nil, 503, fault.Server, "no memory left")
	other.Give(80 << 10)
	w.do("POST", "/v1/tasks", task, 201, nil)
	var all []api.Task
	w.do("GET", "/v1/tasks", nil, 200, &all)
	if len(all) != 1 || all[0].Type != taskstore.TaskWithdraw {
		t.Errorf("tasks %+v", all)
	}
	if used := seams.memory.Used(); used != 0 {
		t.Errorf("%d bytes are not given back", used)
	}
}

// TestLongAnswersTakeMemory: a client cannot have the server keep many of them.
func TestLongAnswersTakeMemory(t *testing.T) {
	seams := testSeams
	seams.memory = rest.NewMemory(100 << 10)
	w := startWith(t, t.TempDir(), seams)
	w.volumes(1)
	for range 6 {
		w.do("POST", "/v1/volumes", api.VolumeCreate{Size: 1 << 20, Count: 64,
			Label: strings.Repeat("x", 60)}, 201, nil)
	}
	w.refused("GET", "/v1/volumes", nil, 503, fault.Server, "no memory left")
	w.do("GET", "/v1/volumes?serial=00013698", nil, 200, nil)
}
