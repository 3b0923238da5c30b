package copyserver

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/access"
	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

func TestBadBodies(t *testing.T) {
	w := start(t, t.TempDir())
	good := `{"name":"t","type":"withdraw","pairs":[{"source":"00013698","target":"00113698"}]}`
	for name, c := range map[string]struct{ body, text string }{
		"unknown key":   {strings.Replace(good, "type", "kind", 1), `unknown field "kind"`},
		"other case":    {strings.Replace(good, "type", "Type", 1), `unknown field "Type"`},
		"twice":         {strings.Replace(good, `{"name"`, `{"name":"a","name"`, 1), `the key "name" for the second time`},
		"twice, deep":   {strings.Replace(good, `{"source"`, `{"target":"00213698","source"`, 1), `the key "target" for the second time`},
		"unknown, deep": {strings.Replace(good, `{"source"`, `{"Source":"00213698","source"`, 1), `unknown field "Source"`},
		"Latin-1":       {strings.Replace(good, `"t"`, "\"t\xfc\"", 1), "it is not UTF-8"},
		"wrong type":    {strings.Replace(good, `"t"`, `1`, 1), `key "name" cannot be a number`},
		"two values":    {good + good, "more than one JSON value"},
		"no JSON":       {"name: t", "invalid character"},
		"empty":         {"", "EOF"},
		"cut":           {good[:20], "unexpected EOF"},
		"no such type":  {strings.Replace(good, "withdraw", "flash", 1), "is no type of task"},
		"bad serial":    {strings.Replace(good, "00013698", "0001369", 1), "neither a volume serial"},
		"leading dash":  {strings.Replace(good, `"t"`, `"-t"`, 1), "begin with '-'"},
		"no pairs":      {`{"name":"t","type":"withdraw","pairs":[]}`, "no pairs"},
		"ill-fitting":   {strings.Replace(good, `]}`, `],"options":{"nocopy":true}}`, 1), "options"},
		"slash in name": {strings.Replace(good, `"t"`, `"a/b"`, 1), "no name for a task"},
		"just null":     {"null", "needs a name"},
		"nesting":       {strings.Repeat("[", 100_000), "nesting"},
	} {
		_, body := w.request("POST", "/v1/tasks", c.body)
		var e api.ErrorBody
		must(t, json.Unmarshal(body, &e))
		if e.Error.Kind != fault.Usage || !strings.Contains(e.Error.Message+e.Error.Hint, c.text) &&
			name != "nesting" {
			t.Errorf("%s: %s", name, body)
		}
	}
	w.refused("POST", "/v1/tasks", good, 400, fault.Usage, "content type", "Content-Type", "text/plain")
	size := `{"size":1048576,"size":2097152}`
	w.refused("POST", "/v1/volumes", size, 400, fault.Usage, `the key "size" for the second time`)
	if n := w.countVolumes(); n != 0 {
		t.Errorf("%d volumes", n)
	}
	var all []api.Task
	w.do("GET", "/v1/tasks", nil, 200, &all)
	if len(all) != 0 {
		t.Errorf("tasks %+v", all)
	}
	w.do("POST", "/v1/tasks", good, 201, nil)
}

// A task that a request spells shorter than answers do must not be stored where
// it can be read and not be sent again.
func TestLargestTask(t *testing.T) {
	w := start(t, t.TempDir())
	const pair = `{"source":"00013698","target":"<<<<<<<<:Disk1"},`
	task := func(pairs int) string {
		return `{"name":"t","type":"withdraw","pairs":[` + strings.TrimSuffix(strings.Repeat(pair, pairs), ",") + `]}`
	}
	inAnswers := len(pair) + 8*len(`\u003c`) - 8
	most := api.MaxBody / inAnswers
	w.refused("POST", "/v1/tasks", task(most+1), 400, fault.Usage, "a task has at most 4194304")
	w.refused("PUT", "/v1/tasks/t", task(most+1), 400, fault.Usage, "a task has at most 4194304")
	w.do("POST", "/v1/tasks", task(most-10), 201, nil)
	var stored api.Task
	w.do("GET", "/v1/tasks/t", nil, 200, &stored)
	w.do("PUT", "/v1/tasks/t", stored, 200, nil)
	file, err := taskstore.FormatTask(stored.Stored())
	must(t, err)
	again, err := taskstore.ReadTask(bytes.NewReader(file))
	if err != nil || len(again.Pairs) != most-10 {
		t.Errorf("its file: %d pairs, %v", len(again.Pairs), err)
	}
}

func TestBadPaths(t *testing.T) {
	w := start(t, t.TempDir())
	host := api.Host{Name: "other"}
	w.refused("PUT", "/v1/hosts/vm", host, 400, fault.Usage, `names "other"`)
	w.refused("PUT", "/v1/tasks/t", api.Task{Name: "u"}, 400, fault.Usage, `names "u"`)
	bad := api.Host{Name: "vm", Devices: []api.Device{{Name: "d", Serial: "zz"}}}
	w.refused("PUT", "/v1/hosts/vm", bad, 400, fault.Usage, "not a volume serial")
	w.refused("GET", "/v2/server", nil, 404, fault.NotFound, "no such path")
	w.refused("DELETE", "/v1/server", nil, 405, fault.Usage, "no method")
	w.refused("GET", "/v1/runs?limit=0", nil, 400, fault.Usage, "limit")
	w.refused("GET", "/v1/runs?limit=0x10", nil, 400, fault.Usage, "limit")
	w.refused("GET", "/v1/runs?limit=", nil, 400, fault.Usage, "limit")
	w.refused("GET", "/v1/runs/x?wait=61", nil, 400, fault.Usage, "wait")
	w.refused("GET", "/v1/runs/x?wait=-1", nil, 400, fault.Usage, "wait")
	w.refused("GET", "/v1/runs/x", nil, 404, fault.NotFound, "x")
	w.refused("GET", "/v1/volumes?serial=00013698&serial=x", nil, 400, fault.Usage, "serial")
	w.refused("GET", "/v1/volumes?serial=00013698", nil, 404, fault.NotFound, "00013698")
	w.refused("GET", "/v1/relationships?volume=00013698", nil, 404, fault.NotFound, "00013698")
	w.refused("GET", "/v1/volumes/00099999", nil, 404, fault.NotFound, "no array of this server")
	w.refused("GET", "/v1/arrays/2105.99999", nil, 404, fault.NotFound, "no array 2105.99999")
	w.refused("GET", "/v1/arrays/x", nil, 400, fault.Usage, "not an array")
}

func TestRequestOfAnotherOrigin(t *testing.T) {
	w := start(t, t.TempDir())
	body := api.VolumeCreate{Size: 1 << 20}
	w.refused("POST", "/v1/volumes", body, 403, fault.Denied, "another origin",
		"Sec-Fetch-Site", "cross-site")
	w.refused("POST", "/v1/volumes", body, 403, fault.Denied, "another origin",
		"Origin", "https://evil.example")
	if n := w.countVolumes(); n != 0 {
		t.Errorf("%d volumes", n)
	}
}

// TestHugeRequest of 100 MB, announced and not.
func TestHugeRequest(t *testing.T) {
	w := start(t, t.TempDir())
	const size = 100 << 20
	for _, announced := range []bool{true, false} {
		conn, err := tls.Dial("tcp", w.Addr(), &tls.Config{InsecureSkipVerify: true})
		must(t, err)
		must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		sent := make(chan int)
		go func() { sent <- sendBlanks(conn, size, announced) }()
		answer, _ := io.ReadAll(conn) // may end in a reset
		conn.Close()
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 413 ")) ||
			!bytes.Contains(answer, []byte(`"kind":"usage"`)) {
			t.Errorf("announced %v: %s", announced, answer)
		}
		if n := <-sent; n > size/2 {
			t.Errorf("announced %v: %d bytes were taken", announced, n)
		}
	}
	w.do("GET", "/v1/tasks", nil, 200, nil)
}

// sendBlanks sends a request of size blanks and returns how far it got.
func sendBlanks(conn io.Writer, size int, announced bool) (sent int) {
	head := "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
		"Authorization: Basic " + basicAuth + "\r\n"
	chunk := bytes.Repeat([]byte{' '}, 64<<10)
	if announced {
		fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n", head, size)
	} else {
		fmt.Fprintf(conn, "%sTransfer-Encoding: chunked\r\n\r\n", head)
		chunk = fmt.Appendf(nil, "%x\r\n%s\r\n", len(chunk), chunk)
	}
	for sent < size {
		n, err := conn.Write(chunk)
		if sent += n; err != nil {
			break
		}
	}
	return sent
}

// TestBodyThatNeverComes must not hold a connection for ever, wherever the
// request is refused.
func TestBodyThatNeverComes(t *testing.T) {
	seams := testSeams
	seams.bodyTimeout = 200 * time.Millisecond
	w := startWith(t, t.TempDir(), seams)
	authorized := "Authorization: Basic " + basicAuth + "\r\n"
	for request, want := range map[string]string{
		"POST /v1/tasks HTTP/1.1\r\n" + authorized:                   "the request broke off",
		"POST /v1/tasks HTTP/1.1\r\n":                                "no user and password",
		"PUT /v1/nosuch HTTP/1.1\r\n":                                "no such path",
		"POST /v1/tasks HTTP/1.1\r\nOrigin: https://elsewhere\r\n":   "another origin",
		"GET /v1/tasks HTTP/1.1\r\n" + authorized:                    "[]",
		"DELETE /v1/tasks/none HTTP/1.1\r\n" + authorized:            "no task named",
		"POST /v1/relationships HTTP/1.1\r\nX-Y: z\r\n" + authorized: "the request broke off",
	} {
		conn, err := tls.Dial("tcp", w.Addr(), &tls.Config{InsecureSkipVerify: true})
		must(t, err)
		must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = io.WriteString(conn, request+
			"Host: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"na")
		must(t, err)
		answer, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || !bytes.Contains(answer, []byte(want)) {
			t.Errorf("%s: %v: %s", request, err, answer)
		}
	}
}

var basicAuth = base64.StdEncoding.EncodeToString(
	[]byte(access.DefaultUser + ":" + access.DefaultPassword))

func TestBadRuns(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(3)
	w.do("PUT", "/v1/hosts/vm", api.Host{Name: "vm", Devices: []api.Device{
		{Name: "Disk1", Serial: "00013698"},
	}}, 200, nil)
	est := taskstore.TaskEstablish
	w.task("device", est, "vm:Disk1", "vm:Disk2")
	w.task("host", est, "none:Disk1", v[1])
	never := map[string][]api.TaskPair{ // older versions stored such tasks
		"itself": {{Source: v[0], Target: v[0]}},
		"twice":  {{Source: v[0], Target: v[1]}, {Source: v[2], Target: v[1]}},
	}
	for name, pairs := range never {
		task := api.Task{Name: name, Type: est, Pairs: pairs}
		w.refused("PUT", "/v1/tasks/"+name, task, 400, fault.Usage, name)
		w.refused("POST", "/v1/tasks", task, 400, fault.Usage, name)
		must(t, w.core.Store.Tasks().Put(task.Stored()))
	}
	w.task("gone", est, v[0], "0FF13698")
	w.task("resync", taskstore.TaskResync, v[0], v[1])
	w.refused("POST", "/v1/tasks/none/runs", "{}", 404, fault.NotFound, `no task named "none"`)
	w.refused("POST", "/v1/tasks/device/runs", "{}", 404, fault.NotFound, `no device "Disk2"`)
	w.refused("POST", "/v1/tasks/host/runs", "{}", 404, fault.NotFound, `unknown host "none"`)
	for name, kind := range map[string]fault.Kind{
		"itself": fault.Refused, "twice": fault.Refused, "gone": fault.NotFound,
	} {
		var run api.Run
		w.do("POST", "/v1/tasks/"+name+"/runs", "{}", 201, &run)
		if run.State != taskstore.RunFailed || run.Error == nil || run.Error.Kind != kind {
			t.Errorf("%s: %+v, %+v", name, run, run.Error)
		}
	}
	var rels []api.Relationship
	w.do("GET", "/v1/relationships", nil, 200, &rels)
	if len(rels) != 0 {
		t.Errorf("relationships %+v", rels)
	}
}

func TestBusyTask(t *testing.T) {
	w, a := startSlow(t, t.TempDir())
	v := w.volumes(2)
	w.task("t", taskstore.TaskEstablish, v[0], v[1])
	var run api.Run
	w.do("POST", "/v1/tasks/t/runs", api.RunRequest{Wait: true}, 201, &run)
	w.refused("POST", "/v1/tasks/t/runs", "{}", 409, fault.Busy, "run "+run.ID)
	w.refused("DELETE", "/v1/runs/"+run.ID, nil, 409, fault.Busy, run.ID)
	a.finish()
	w.do("GET", "/v1/runs/"+run.ID+"?wait=30", nil, 200, &run)
	if run.State != taskstore.RunDone || run.Percent != 100 {
		t.Errorf("run %+v", run)
	}
}
