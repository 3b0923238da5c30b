package esscli

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"67108864": 64 << 20, "64MiB": 64 << 20, "64mib": 64 << 20, "64M": 64 << 20, "64 MiB": 64 << 20,
		"1GiB": 1 << 30, "1g": 1 << 30, "16TiB": 16 << 40, "1.5GiB": 3 << 29, "0.5k": 512, "512B": 512,
	} {
		var size byteSize
		if err := size.Set(text); err != nil || int64(size) != want {
			t.Errorf("%q: %d, %v", text, size, err)
		}
	}
	for _, text := range []string{
		"", "MiB", "64MB", "64 parsecs", "0", "-1MiB", "+1M", "1e3", "0x10", "1.1.1M", "0.3B", "1,5GiB",
		"9223372036854775808", "9000000TiB", "NaN", "Inf", ".", "64MiBx",
	} {
		var size byteSize
		if err := size.Set(text); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %d, %v", text, size, err)
		}
	}
}

func FuzzSize(f *testing.F) {
	f.Add("64MiB")
	f.Add("1.5G")
	f.Fuzz(func(t *testing.T, text string) {
		var size, again byteSize
		if size.Set(text) != nil {
			return
		}
		if size <= 0 || again.Set(size.String()) != nil || again != size {
			t.Fatalf("%q: %d, written %q, read %d", text, size, size.String(), again)
		}
	})
}

// FuzzTaskFile: whatever a file holds, it is a valid task or one clear error
// without Go's words.
func FuzzTaskFile(f *testing.F) {
	f.Add([]byte("name: X\ntype: establish\npairs: [{source: 20313698, target: 20413698}]\n"))
	f.Add([]byte("name: [X]\npairs: {a: b}\noptions: 1\nspeed: 5"))
	f.Add([]byte("name: X\n---\nname: Y\n"))
	f.Add([]byte("{{{]]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		task, err := readTaskFile(&program.Env{Stdin: bytes.NewReader(text)}, "-")
		if err == nil {
			err = task.Stored().Validate()
		} else if fault.KindOf(err) != fault.Usage || !strings.HasPrefix(err.Error(), "standard input") {
			t.Fatalf("%q: kind %s, %v", text, fault.KindOf(err), err)
		}
		own := bytes.Contains(text, []byte("taskstore"))
		if err != nil && !own && strings.Contains(err.Error(), "taskstore.") {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

func TestTaskFileTooLong(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Stdin = strings.NewReader(strings.Repeat("# nonsense\n", 2<<20))
	b.Expect(b.Run(New, "apply", "-f", "-", "-s", rsclitest.ClosedPort(t)), 2,
		"standard input: cannot read the task: it is longer than 12 MiB")
}

const fakeVolumePath = "/v1/volumes/20313698"

// fakeVolume is a server with one volume of a MiB; its content is what was
// sent last.
func fakeVolume(t *testing.T) (*rsclitest.Server, *[]byte) {
	f := rsclitest.NewServer(t)
	content := make([]byte, 1<<20)
	volume := api.Volume{Serial: "20313698", Size: 1 << 20}
	f.Reply("GET "+fakeVolumePath, http.StatusOK, volume)
	f.Handle("PUT "+fakeVolumePath+"/content", func(w http.ResponseWriter, r *http.Request) {
		in, err := api.NewSparseReader(r.Body, fault.Usage)
		var got bytes.Buffer
		if err == nil {
			err = api.ReceiveStream(in, &got, nil)
		}
		if err != nil {
			rsclitest.SendFault(w, http.StatusBadRequest, err)
			return
		}
		content = got.Bytes()
		rsclitest.SendJSON(w, http.StatusOK, volume)
	})
	f.Handle("GET "+fakeVolumePath+"/content", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", api.SparseContentType)
		_ = api.SendStream(w, bytes.NewReader(content), 1<<20, nil)
	})
	return f, &content
}

func TestImportAndExport(t *testing.T) {
	f, content := fakeVolume(t)
	b := rsclitest.NewBench(t)
	image := b.Write("image", 0o644, "the image")
	b.Expect(b.Run(New, "import", "volume", "20313698", image, "-s", f.Addr()), 0)
	if !bytes.HasPrefix(*content, []byte("the image\x00")) || len(*content) != 1<<20 {
		t.Errorf("the volume has %q...", (*content)[:20])
	}
	b.Stdin = strings.NewReader("from a pipe")
	b.Expect(b.Run(New, "import", "volume", "20313698", "-", "-s", f.Addr()), 0)

	out := b.Write("out", 0o640, "before")
	b.Expect(b.Run(New, "export", "volume", "20313698", out, "-s", f.Addr()), 0)
	checkFile(t, out, *content, 0o640)
	fresh := filepath.Join(b.Home, "fresh")
	b.Expect(b.Run(New, "export", "volume", "20313698", fresh, "-s", f.Addr()), 0)
	checkFile(t, fresh, *content, 0o600)
	b.Expect(b.Run(New, "export", "volume", "20313698", "-", "-s", f.Addr()), 0)
	if !bytes.Equal(b.Out.Bytes(), *content) {
		t.Errorf("stdout has %d bytes", b.Out.Len())
	}
	b.Terminal = true
	b.Expect(b.Run(New, "export", "volume", "20313698", "-", "-s", f.Addr()), 2,
		"not for a terminal")
}

func checkFile(t *testing.T, path string, want []byte, mode os.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes: %v", path, len(got), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != mode {
		t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
	}
}

// An export that is cut off leaves what was there, and nothing else.
func TestExportCutOff(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Handle("GET "+fakeVolumePath+"/content", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", api.SparseContentType)
		out, _ := api.NewSparseWriter(w, 1<<20)
		_, _ = out.WriteAt([]byte("half of it"), 0)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	b := rsclitest.NewBench(t)
	dir := filepath.Join(b.Home, "images")
	out := b.Write("images/out", 0o600, "before")
	b.Expect(b.Run(New, "export", "volume", "20313698", out, "-s", f.Addr()), 3, "broke off")
	checkFile(t, out, []byte("before"), 0o600)
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestExportIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := rsclitest.NewServer(t)
	f.Handle("GET "+fakeVolumePath+"/content", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", api.SparseContentType)
		_, _ = api.NewSparseWriter(w, 1<<20)
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	b := rsclitest.NewBench(t)
	out := filepath.Join(b.Home, "images", "out")
	_ = os.Mkdir(filepath.Dir(out), 0o700)
	b.Expect(b.RunContext(ctx, New, "export", "volume", "20313698", out, "-s", f.Addr()), 130)
	if entries, _ := os.ReadDir(filepath.Dir(out)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestImportThatFailsSaysWhatIsLeft(t *testing.T) {
	f, _ := fakeVolume(t)
	b := rsclitest.NewBench(t)
	b.Stdin = strings.NewReader(strings.Repeat("x", 1<<20+1))
	b.Expect(b.Run(New, "import", "volume", "20313698", "-", "-s", f.Addr()), 6,
		"larger than the volume", "hint: the content of volume 20313698 is partly old and partly new")
	large := b.Write("large", 0o600, strings.Repeat("x", 1<<20+1))
	b.Expect(b.Run(New, "import", "volume", "20313698", large, "-s", f.Addr()), 6,
		"has 1048577 bytes", "hint: nothing was written")
}

func TestNewUsersPasswordIsAskedForTwice(t *testing.T) {
	f := rsclitest.NewServer(t)
	var got api.UserChange
	f.Handle("POST /v1/users", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		rsclitest.SendJSON(w, http.StatusCreated, api.User{Name: got.Name, Role: got.Role})
	})
	b := rsclitest.NewBench(t)
	b.Terminal = true
	typed := []string{"one", "other", "same", "same"}
	b.ReadSecret = func(context.Context) (string, error) {
		next := typed[0]
		typed = typed[1:]
		return next, nil
	}
	args := []string{"create", "user", "bob", "--role", "monitor", "-s", f.Addr()}
	b.Expect(b.Run(New, args...), 2, "the two passwords differ")
	b.Expect(b.Run(New, args...), 0)
	if got.Name != "bob" || got.Password != "same" || got.Role != taskstore.RoleMonitor {
		t.Errorf("the server got %+v", got)
	}
}

func TestDeletionStopsAtTheFirstFailure(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("DELETE /v1/tasks/A", http.StatusNoContent, nil)
	f.Reply("DELETE /v1/tasks/C", http.StatusNoContent, nil)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "--json", "delete", "task", "A", "B", "C", "-s", f.Addr()), 10,
		"not deleted: C")
	var doc deleteReport
	b.Document(&doc)
	if !slices.Equal(doc.Deleted, []string{"A"}) ||
		!slices.Equal(doc.NotDeleted, []string{"B", "C"}) ||
		doc.Error == nil || doc.Error.ExitCode != 10 {
		t.Errorf("the document is %+v", doc)
	}
	if seen, _ := f.Requests(); slices.Contains(seen, "DELETE /v1/tasks/C") {
		t.Errorf("it went on: %q", seen)
	}
}

// TestShowUserWithoutFormOfAccents: a Mac may send an accent as a character of its
// own.
func TestShowUserWithoutFormOfAccents(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/users", http.StatusOK, []api.User{{Name: "ju"}, {Name: "j\u00fcrgen"}})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "show", "user", "JU\u0308RGEN", "-s", f.Addr()), 0)
	if !strings.Contains(b.Out.String(), "j\u00fcrgen") {
		t.Errorf("printed %s", &b.Out)
	}
}

func TestHostThatExistsIsNotReplaced(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/hosts/h", http.StatusOK, api.Host{Name: "h"})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "create", "host", "h", "-s", f.Addr()), 2, "exists already")
	f.Refuse("GET /v1/hosts/h", http.StatusForbidden, fault.New(fault.Denied, "not allowed"))
	b.Expect(b.Run(New, "create", "host", "h", "-s", f.Addr()), 5, "not allowed")
	if seen, _ := f.Requests(); slices.Contains(seen, "PUT /v1/hosts/h") {
		t.Errorf("requests %q", seen)
	}
}

func TestPairsOfFlagsAndArguments(t *testing.T) {
	f := rsclitest.NewServer(t)
	var got api.EstablishRequest
	f.Handle("POST /v1/relationships", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		rsclitest.SendJSON(w, http.StatusCreated, api.PairsResult{Warnings: []string{"mind the gap"}})
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "create", "relationship", "-s", f.Addr(), "--pair", "20313698:20413698",
		"20513698:20613698", "--source", "h:Disk,1", "--target", "H:Disk:2", "--record", "--freeze"),
		0, "esscli: warning: mind the gap\n")
	want := []api.TaskPair{
		{Source: "20313698", Target: "20413698"}, {Source: "20513698", Target: "20613698"},
		{Source: "h:Disk,1", Target: "H:Disk:2"},
	}
	options := arrayclient.Options{Record: true, Freeze: true}
	if !slices.Equal(got.Pairs, want) || got.Options != options {
		t.Errorf("the server got %+v", got)
	}
	if _, keys := f.Requests(); len(keys) != 1 || len(keys[0]) != 32 {
		t.Errorf("keys %q", keys)
	}
}

func TestTaskFileErrorsHaveNoGoWords(t *testing.T) {
	for text, want := range map[string]string{
		"name: {a: b}":        "line 1: the value of name is not plain text",
		"name: X\npairs: [a]": "line 2: 'a' is not a pair with source and target",
		"options: 5":          "line 1: '5' is not a mapping of options to true or false",
		"[a, b]":              "line 1: it is not a task with name, type, pairs and options",
		"name: X\nnme: Y":     `line 2: there is no key "nme" in a task`,
		"a: 1\nb: 1\nc: 1\nd: 1\ne: 1": `line 1: there is no key "a" in a task; ` +
			`line 2: there is no key "b" in a task; line 3: there is no key "c" in a task; and 2 more`,
	} {
		_, err := readTaskFile(&program.Env{Stdin: strings.NewReader(text)}, "-")
		if err == nil || err.Error() != "standard input: "+want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
