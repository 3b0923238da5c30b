package copyserver

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/export"
	"copyservices/taskstore"
)

func (w *world) volume(serial string) api.Volume {
	w.Helper()
	var v api.Volume
	w.do("GET", "/v1/volumes/"+serial, nil, 200, &v)
	return v
}

// detached waits until nobody has the volume attached.
func (w *world) detached(serial string) {
	w.Helper()
	for range 1000 {
		if w.volume(serial).Attached == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatalf("volume %s is still attached: %+v", serial, w.volume(serial).Attached)
}

func TestAttachedVolumeTells(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	before := time.Now()
	one, two := w.disk(v[0]), w.disk(v[0])
	by := w.volume(v[0]).Attached
	if len(by) != 1 || by[0].Address != "127.0.0.1" || by[0].Connections != 2 || by[0].ReadOnly ||
		by[0].Since.Before(before.Add(-time.Second)) || by[0].Since.After(time.Now()) {
		t.Errorf("attached %+v", by)
	}
	if by := w.volume(v[1]).Attached; by != nil {
		t.Errorf("nobody has attached it: %+v", by)
	}
	w.refused("DELETE", "/v1/volumes/"+v[0], nil, 422, fault.Refused, "127.0.0.1, read-write since ")
	one.Close()
	two.Close()
	w.detached(v[0])
	w.do("DELETE", "/v1/volumes/"+v[0], nil, 204, nil)
}

func TestAttachedByCredential(t *testing.T) {
	w := startTLS(t, t.TempDir())
	v := w.volumes(1)
	w.assign(v[0], api.HostAccess{Host: "vm1", ReadOnly: true})
	c := w.credential("vm1")
	if last, _ := w.hostAs(c).attach(v[0]); last != nbdAck {
		t.Fatalf("attached with %#x", last)
	}
	by := w.volume(v[0]).Attached
	if len(by) != 1 || by[0].Host != "vm1" || by[0].Credential != c.Serial || !by[0].ReadOnly {
		t.Errorf("attached %+v", by)
	}
}

// TestImportUnderAHost: what a host has attached keeps its content, unless the import
// is forced; while an import runs no host comes into it.
func TestImportUnderAHost(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	content := w.content(v[1])
	kind := []string{"Content-Type", api.SparseContentType}
	path := "/v1/volumes/" + v[0] + "/content"
	host := w.disk(v[0])
	host.writeBlock()
	host.read(16)
	w.refused("PUT", path, bytes.NewReader(content), 422, fault.Refused, "127.0.0.1, read-write since ",
		kind...)
	if bytes.Equal(w.content(v[0]), content) {
		t.Error("the content was replaced")
	}
	w.do("PUT", path+"?force=true", bytes.NewReader(content), 200, nil, kind...)
	if !bytes.Equal(w.content(v[0]), content) {
		t.Error("the content was not replaced by force")
	}
	host.Close()
	w.detached(v[0])
	release, err := w.core.Attached.Claim("00013698")
	must(t, err)
	_, err = w.core.Attached.Attach("00013698", export.Attachment{})
	if fault.KindOf(err) != fault.Refused {
		t.Errorf("attached during an import: %v", err)
	}
	release()
	w.do("PUT", path, bytes.NewReader(content), 200, nil, kind...)
}

// TestImportToATarget: it would end the relationship without a word.
func TestImportToATarget(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	content := w.content(v[1])
	req := api.EstablishRequest{Pairs: []api.TaskPair{{Source: v[0], Target: v[1]}}}
	req.Options.NoCopy = true
	w.do("POST", "/v1/relationships", req, 201, nil)
	for _, query := range []string{"", "?force=true"} {
		w.refused("PUT", "/v1/volumes/"+v[1]+"/content"+query, bytes.NewReader(content), 422,
			fault.Refused, "is the target of "+v[0], "Content-Type", api.SparseContentType)
	}
	var rels []api.Relationship
	w.do("GET", "/v1/relationships", nil, 200, &rels)
	if len(rels) != 1 {
		t.Errorf("relationships %+v", rels)
	}
}

// TestCopyUnderAHost is the daily case: the target's host stays attached. It is done,
// and told.
func TestCopyUnderAHost(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(3)
	w.disk(v[1])
	warned := func(what string, warnings []string, want string) {
		t.Helper()
		text := strings.Join(warnings, "\n")
		if (want == "") != (text == "") || !strings.Contains(text, want) {
			t.Errorf("%s: warnings %q, want %q", what, warnings, want)
		}
	}
	const text = " is attached to 127.0.0.1, read-write since "
	pair := []api.TaskPair{{Source: v[0], Target: v[1]}}
	var result api.PairsResult
	w.do("POST", "/v1/relationships", api.EstablishRequest{Pairs: pair}, 201, &result)
	warned("establish", result.Warnings, "volume "+v[1]+", which gets other content,"+text)
	w.do("POST", "/v1/relationships", api.EstablishRequest{
		Pairs: []api.TaskPair{{Source: v[0], Target: v[2]}}}, 201, &result)
	w.ended(v[1])

	w.task("again", taskstore.TaskEstablish, v[0], v[1])
	var run api.Run
	w.do("POST", "/v1/tasks/again/runs", api.RunRequest{Wait: true}, 201, &run)
	w.do("GET", "/v1/runs/"+run.ID+"?wait=30", nil, 200, &run)
	warned("task", run.Warnings, "volume "+v[1]+", which gets other content,"+text)
}

// TestRefreshUnderAHost: resync writes to the target of a relationship, reverse to its
// source. Who has that one attached is told of, who has the other is not.
func TestRefreshUnderAHost(t *testing.T) {
	w := start(t, t.TempDir())
	v := w.volumes(2)
	req := api.EstablishRequest{Pairs: []api.TaskPair{{Source: v[0], Target: v[1]}}}
	req.Options.Record = true
	w.do("POST", "/v1/relationships", req, 201, nil)
	w.task("resync", taskstore.TaskResync, v[0], v[1])
	w.task("reverse", taskstore.TaskReverse, v[0], v[1])
	w.task("back", taskstore.TaskReverse, v[1], v[0])
	for _, c := range []struct{ task, attached, want string }{
		{"resync", v[1], v[1]},
		{"resync", v[0], ""},
		{"reverse", v[1], ""},
		{"back", v[1], v[1]},
		{"reverse", v[0], v[0]},
	} {
		host := w.disk(c.attached)
		var run api.Run
		w.do("POST", "/v1/tasks/"+c.task+"/runs", api.RunRequest{Wait: true}, 201, &run)
		w.do("GET", "/v1/runs/"+run.ID+"?wait=30", nil, 200, &run)
		want := ""
		if c.want != "" {
			want = "volume " + c.want + ", which gets other content, is attached to 127.0.0.1, read-write since "
		}
		text := strings.Join(run.Warnings, "\n")
		if run.State != taskstore.RunDone || (want == "") != (text == "") || !strings.HasPrefix(text, want) {
			t.Errorf("%s with %s attached: %s, warnings %q, want %q", c.task, c.attached, run.State, text, want)
		}
		host.Close()
		w.detached(c.attached)
	}
}

// ended waits until the copy to the volume is there.
func (w *world) ended(target string) {
	w.Helper()
	for range 1000 {
		var rels []api.Relationship
		w.do("GET", "/v1/relationships?volume="+target, nil, 200, &rels)
		if len(rels) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatalf("the copy to %s goes on", target)
}
