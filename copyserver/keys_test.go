package copyserver

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

const (
	key1 = "0123456789abcdef-1"
	key2 = "0123456789abcdef-2"
)

func (w *world) countVolumes() int {
	w.Helper()
	var all []api.Volume
	w.do("GET", "/v1/volumes", nil, 200, &all)
	return len(all)
}

// again sends a keyed request twice and wants the same answer.
func (w *world) again(path string, body any, status int) {
	w.Helper()
	_, first := w.request("POST", path, body, api.KeyHeader, key1)
	resp, second := w.request("POST", path, body, api.KeyHeader, key1)
	if resp.StatusCode != status || string(first) != string(second) {
		w.Errorf("%s: %s\n%s then\n%s", path, resp.Status, first, second)
	}
}

func TestRepeatedRequestIsDoneOnce(t *testing.T) {
	dir := t.TempDir()
	w := start(t, dir)
	body := api.VolumeCreate{Size: 1 << 20, Count: 2}
	w.again("/v1/volumes", body, 201)
	w.end()
	w = start(t, dir)
	w.again("/v1/volumes", body, 201)
	if n := w.countVolumes(); n != 2 {
		t.Errorf("%d volumes, want 2", n)
	}
	another := "was used for another request"
	w.refused("POST", "/v1/volumes", api.VolumeCreate{Size: 1 << 21}, 400, fault.Usage, another,
		api.KeyHeader, key1)
	w.refused("POST", "/v1/relationships/withdraw", body, 400, fault.Usage, "", api.KeyHeader, key1)
	boss := w.addUser("boss", taskstore.RoleAdmin)
	boss.refused("POST", "/v1/volumes", body, 400, fault.Usage, another, api.KeyHeader, key1)
	for _, key := range []string{"short", strings.Repeat("k", 65), "0123456789abcde/"} {
		w.refused("POST", "/v1/volumes", body, 400, fault.Usage, "is no idempotency key",
			api.KeyHeader, key)
	}
}

func TestRepeatedFailureIsTheSameFailure(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	pairs := api.PairsRequest{Pairs: []api.TaskPair{{Source: v[0], Target: v[1]}}}
	w.again("/v1/relationships/withdraw", pairs, 404)
	w.do("POST", "/v1/relationships", pairs, 201, nil)
	w.again("/v1/relationships/withdraw", pairs, 404)
	w.refused("POST", "/v1/relationships/resync", pairs, 400, fault.Usage, "was used for another request",
		api.KeyHeader, key1)
	// What did not get as far as the array may be tried again.
	host := api.PairsRequest{Pairs: []api.TaskPair{{Source: "vm:d", Target: v[1]}}}
	w.refused("POST", "/v1/relationships", host, 404, fault.NotFound, "unknown host",
		api.KeyHeader, key2)
	w.do("PUT", "/v1/hosts/vm", api.Host{Name: "vm", Devices: []api.Device{
		{Name: "d", Serial: "00013698"},
	}}, 200, nil)
	w.copied()
	w.do("POST", "/v1/relationships", host, 201, nil, api.KeyHeader, key2)
}

// copied waits until no relationship is left.
func (w *world) copied() {
	w.Helper()
	for range 3000 {
		var rels []api.Relationship
		if w.do("GET", "/v1/relationships", nil, 200, &rels); len(rels) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatal("the copies do not end")
}

func TestRequestsAtOnceWithOneKey(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	w.task("t", taskstore.TaskEstablish, v[0], v[1])
	var mu sync.Mutex
	answers := map[string]int{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			_, body := w.request("POST", "/v1/volumes", api.VolumeCreate{Size: 1 << 20},
				api.KeyHeader, key1)
			var run api.Run
			w.do("POST", "/v1/tasks/t/runs", "{}", 201, &run, api.KeyHeader, key2)
			mu.Lock()
			defer mu.Unlock()
			answers[string(body)]++
			answers[fmt.Sprint(run.ID, run.State)]++
		})
	}
	wg.Wait()
	if len(answers) != 2 || w.countVolumes() != 3 {
		t.Errorf("answers %v, %d volumes", answers, w.countVolumes())
	}
}

func TestRepeatedRun(t *testing.T) {
	dir := t.TempDir()
	w := start(t, dir)
	v := w.volumes(2)
	w.task("t", taskstore.TaskEstablish, v[0], v[1])
	w.task("u", taskstore.TaskEstablish, v[0], v[1])
	var first, second api.Run
	w.do("POST", "/v1/tasks/t/runs", "{}", 201, &first, api.KeyHeader, key1)
	w.end()
	w = start(t, dir)
	w.do("POST", "/v1/tasks/t/runs", "{}", 201, &second, api.KeyHeader, key1)
	if first.ID != second.ID || second.State != taskstore.RunDone {
		t.Errorf("first %+v, second %+v", first, second)
	}
	another := "was used for another request"
	w.refused("POST", "/v1/tasks/u/runs", "{}", 400, fault.Usage, another, api.KeyHeader, key1)
	w.refused("POST", "/v1/tasks/t/runs", `{"wait":true}`, 400, fault.Usage, another,
		api.KeyHeader, key1)
	w.refused("POST", "/v1/volumes", `{"size":1048576}`, 400, fault.Usage, another,
		api.KeyHeader, key1)
	w.do("DELETE", "/v1/runs/"+first.ID, nil, 204, nil)
	w.refused("POST", "/v1/tasks/t/runs", "{}", 400, fault.Usage, "was deleted", api.KeyHeader, key1)
}

func TestExpiredKeys(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	w.task("t", taskstore.TaskEstablish, v[0], v[1])
	body := api.VolumeCreate{Size: 1 << 20}
	var run api.Run
	w.do("POST", "/v1/volumes", body, 201, nil, api.KeyHeader, key1)
	w.do("POST", "/v1/tasks/t/runs", "{}", 201, &run, api.KeyHeader, key2)

	req, err := w.core.Store.Requests().Get(key1)
	must(t, err)
	req.Started = req.Started.Add(-api.KeyLifetime)
	must(t, w.core.Store.Requests().Put(req))
	stored, err := w.core.Store.Runs().Get(run.ID)
	must(t, err)
	stored.Started = stored.Started.Add(-api.KeyLifetime)
	must(t, w.core.Store.Runs().Put(stored))
	w.refused("POST", "/v1/volumes", body, 400, fault.Usage, key1+" has expired", api.KeyHeader, key1)
	w.refused("POST", "/v1/tasks/t/runs", "{}", 400, fault.Usage, key2+" has expired",
		api.KeyHeader, key2)

	req.Started = req.Started.Add(-7 * api.KeyLifetime)
	must(t, w.core.Store.Requests().Put(req))
	must(t, w.api.ForgetRequests())
	if _, err := w.core.Store.Requests().Get(key1); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the record is still there: %v", err)
	}
}

// TestServerEndedInTheMiddle: nobody knows whether it was done, and that is
// what the answer says.
func TestServerEndedInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	w := start(t, dir)
	body := api.VolumeCreate{Size: 1 << 20}
	w.do("POST", "/v1/volumes", body, 201, nil, api.KeyHeader, key1)
	req, err := w.core.Store.Requests().Get(key1)
	must(t, err)
	req.Status, req.Answer = 0, ""
	must(t, w.core.Store.Requests().Put(req))
	w.end()
	w = start(t, dir)
	w.refused("POST", "/v1/volumes", body, 500, fault.Server, "ended in the middle",
		api.KeyHeader, key1)
	if n := w.countVolumes(); n != 1 {
		t.Errorf("%d volumes", n)
	}
}
