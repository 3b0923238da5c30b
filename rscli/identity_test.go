package rscli

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"copyservices/copyserver/api"
)

// newFakeID starts a server with an id and a list of tasks.
func newFakeID(t *testing.T, id string, like ...*fakeServer) *fakeServer {
	f := newFake(t, like...)
	f.id = id
	f.reply("GET /v1/tasks", http.StatusOK, []api.Task{})
	return f
}

// TestServerBWithACAFile: while A is away, B is asked only if it has the id that A
// had, whatever certificates they show and whichever command met A.
func TestServerBWithACAFile(t *testing.T) {
	a, other := newFakeID(t, "id-1"), newFakeID(t, "id-2")
	same := newFakeID(t, "id-1")
	w := newBench(t)
	ca := w.write("ca.pem", 0o644, pemOf(a.cert)+pemOf(other.cert)+pemOf(same.cert))
	list := func(b *fakeServer, code int, want ...string) {
		t.Helper()
		w.expect(w.run(newESSCLI, "list", "task", "-s", a.addr(), "-b", b.addr(), "--cacert", ca), code, want...)
	}
	list(other, 0)
	copied := newFakeID(t, "id-2", a) // with A's key
	a.Close()
	for _, b := range []*fakeServer{other, copied} {
		list(b, 3, b.addr()+" was not asked: it is another server than "+a.addr(),
			"hint: server B is a copyserver that takes over the state folder of server A")
		if seen, _ := b.requests(); slices.Contains(seen, "GET /v1/tasks") {
			t.Errorf("another server was asked %q", seen)
		}
	}
	list(same, 0, "warning: "+same.addr()+" answers in place of "+a.addr())
	if len(w.pins()) > 0 {
		t.Errorf("pinned with a CA file: %v", w.pins())
	}
}

// TestOlderServerBWithACAFile: one that tells no id is known by its certificate.
func TestOlderServerBWithACAFile(t *testing.T) {
	a, b := newFakeID(t, "id-1"), newFakeID(t, "")
	w := newBench(t)
	args := []string{"list", "task", "-s", a.addr(), "-b", b.addr(),
		"--cacert", w.write("ca.pem", 0o644, pemOf(a.cert)+pemOf(b.cert))}
	w.expect(w.run(newESSCLI, args...), 0)
	a.Close()
	w.expect(w.run(newESSCLI, args...), 0, "answers in place of")
}

func TestIdentitiesAreRemembered(t *testing.T) {
	a, b := newFakeID(t, "id-1"), newFakeID(t, "id-1")
	w := newBench(t)
	ca := w.write("ca.pem", 0o644, pemOf(a.cert)+pemOf(b.cert))
	file := w.write(".config/rscli/server_ids", 0o600, "# ids\nother:1 id-9\n")
	run := func() int {
		return w.run(newESSCLI, "list", "task", "-s", a.addr(), "-b", b.addr(), "--cacert", ca)
	}
	for _, a.id = range []string{"id-1", "id-1", "id-3"} { // it was set up anew
		w.expect(run(), 0)
		text, err := os.ReadFile(file)
		if want := "# ids\nother:1 id-9\n" + a.addr() + " " + a.id + "\n"; string(text) != want || err != nil {
			t.Errorf("remembered %q, %v, want %q", text, err, want)
		}
	}
	for _, line := range []string{"a", "a b c", "a/b id-1"} {
		w.write(".config/rscli/server_ids", 0o600, "# ids\n"+line+"\n")
		w.expect(run(), 2, "server_ids: line 2 is not a server and its id")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	w.expect(w.run(newESSCLI, "list", "task", "-s", a.addr(), "--cacert", ca), 0)
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) > 0 {
		t.Errorf("without a server B it left %v, %v", left, err)
	}
}
