package connect_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"copyservices/copyserver/api"
	"copyservices/rscli/esscli"
	"copyservices/rscli/rsclitest"
)

// newFakeID starts a server with an id and a list of tasks.
func newFakeID(t *testing.T, id string, like ...*rsclitest.Server) *rsclitest.Server {
	f := rsclitest.NewServer(t, like...)
	f.ID = id
	f.Reply("GET /v1/tasks", http.StatusOK, []api.Task{})
	return f
}

// TestServerBWithACAFile: while A is away, B is asked only if it has the id that A
// had, whatever certificates they show and whichever command met A.
func TestServerBWithACAFile(t *testing.T) {
	a, other := newFakeID(t, "id-1"), newFakeID(t, "id-2")
	same := newFakeID(t, "id-1")
	w := rsclitest.NewBench(t)
	ca := w.Write("ca.pem", 0o644, rsclitest.PEM(a.Cert)+rsclitest.PEM(other.Cert)+rsclitest.PEM(same.Cert))
	list := func(b *rsclitest.Server, code int, want ...string) {
		t.Helper()
		w.Expect(w.Run(esscli.New, "list", "task", "-s", a.Addr(), "-b", b.Addr(), "--cacert", ca), code, want...)
	}
	list(other, 0)
	copied := newFakeID(t, "id-2", a) // with A's key
	a.Close()
	for _, b := range []*rsclitest.Server{other, copied} {
		list(b, 3, b.Addr()+" was not asked: it is another server than "+a.Addr(),
			"hint: server B is a copyserver that takes over the state folder of server A")
		if seen, _ := b.Requests(); slices.Contains(seen, "GET /v1/tasks") {
			t.Errorf("another server was asked %q", seen)
		}
	}
	list(same, 0, "warning: "+same.Addr()+" answers in place of "+a.Addr())
	if len(pins(w)) > 0 {
		t.Errorf("pinned with a CA file: %v", pins(w))
	}
}

// TestOlderServerBWithACAFile: one that tells no id is known by its certificate.
func TestOlderServerBWithACAFile(t *testing.T) {
	a, b := newFakeID(t, "id-1"), newFakeID(t, "")
	w := rsclitest.NewBench(t)
	args := []string{"list", "task", "-s", a.Addr(), "-b", b.Addr(),
		"--cacert", w.Write("ca.pem", 0o644, rsclitest.PEM(a.Cert)+rsclitest.PEM(b.Cert))}
	w.Expect(w.Run(esscli.New, args...), 0)
	a.Close()
	w.Expect(w.Run(esscli.New, args...), 0, "answers in place of")
}

func TestIdentitiesAreRemembered(t *testing.T) {
	a, b := newFakeID(t, "id-1"), newFakeID(t, "id-1")
	w := rsclitest.NewBench(t)
	ca := w.Write("ca.pem", 0o644, rsclitest.PEM(a.Cert)+rsclitest.PEM(b.Cert))
	file := w.Write(".config/rscli/server_ids", 0o600, "# ids\nother:1 id-9\n")
	run := func() int {
		return w.Run(esscli.New, "list", "task", "-s", a.Addr(), "-b", b.Addr(), "--cacert", ca)
	}
	for _, a.ID = range []string{"id-1", "id-1", "id-3"} { // it was set up anew
		w.Expect(run(), 0)
		text, err := os.ReadFile(file)
		if want := "# ids\nother:1 id-9\n" + a.Addr() + " " + a.ID + "\n"; string(text) != want || err != nil {
			t.Errorf("remembered %q, %v, want %q", text, err, want)
		}
	}
	for _, a.ID = range []string{"#4 of 7", "#"} {
		w.Expect(run(), 0)
		w.Expect(run(), 0) // the file is still read
	}
	w.Write(".config/rscli/server_ids", 0o600, "other:1 id-9 # the old one\n"+a.Addr()+" id-1 # this one\n")
	a.ID = "id-3"
	w.Expect(run(), 0)
	text, err := os.ReadFile(file)
	if want := "other:1 id-9 # the old one\n" + a.Addr() + " id-3 # this one\n"; string(text) != want || err != nil {
		t.Errorf("beside comments it remembered %q, %v, want %q", text, err, want)
	}
	w.Write(".config/rscli/server_ids", 0o600, "other:1 id-9\nother:1 id-8\n")
	w.Expect(run(), 2, "server_ids: line 2: another id for other:1")
	for _, line := range []string{"a", "a b c", "a/b id-1"} {
		w.Write(".config/rscli/server_ids", 0o600, "# ids\n"+line+"\n")
		w.Expect(run(), 2, "server_ids: line 2 is not a server and its id")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	w.Expect(w.Run(esscli.New, "list", "task", "-s", a.Addr(), "--cacert", ca), 0)
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) > 0 {
		t.Errorf("without a server B it left %v, %v", left, err)
	}
}
