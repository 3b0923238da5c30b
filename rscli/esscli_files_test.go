package rscli

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"copyservices/copyserver/api"
)

func TestExportWritesTheEndOfALink(t *testing.T) {
	f, content := fakeVolume(t)
	copy(*content, "what the volume has")
	b := newBench(t)
	file := b.write("images/disk.img", 0o640, "old")
	for _, end := range []string{file, filepath.Join(b.home, "images", "new.img")} {
		link := filepath.Join(b.home, filepath.Base(end))
		must(t, os.Symlink(end, link))
		b.expect(b.run(newESSCLI, "export", "volume", "20313698", link, "-s", f.addr()), 0)
		if got := readFile(t, end); got != string(*content) {
			t.Errorf("%s has %d bytes", end, len(got))
		}
		if to, err := os.Readlink(link); to != end || err != nil {
			t.Errorf("the link became %q, %v", to, err)
		}
	}
}

// What show prints of the largest tasks, apply takes.
func TestLargeTaskGoesThroughAFile(t *testing.T) {
	f := newFake(t)
	task := api.Task{Name: "T", Type: "withdraw"}
	for i := range 24_000 {
		task.Pairs = append(task.Pairs, api.TaskPair{
			Source: fmt.Sprintf("%03X13698", i%4096), Target: fmt.Sprintf("host%d:/dev/mapper/disk", i),
		})
	}
	f.reply("GET /v1/tasks/T", http.StatusOK, task)
	var got api.Task
	f.handle("PUT /v1/tasks/T", func(w http.ResponseWriter, r *http.Request) {
		readBody(t, r, &got)
		sendJSON(w, http.StatusOK, got)
	})
	b := newBench(t)
	b.expect(b.run(newESSCLI, "show", "task", "T", "-s", f.addr()), 0)
	file := b.write("t.yaml", 0o600, b.stdout.String())
	b.expect(b.run(newESSCLI, "apply", "-f", file, "-s", f.addr()), 0)
	if len(got.Pairs) != len(task.Pairs) || got.Pairs[23_999] != task.Pairs[23_999] {
		t.Errorf("%d pairs came back", len(got.Pairs))
	}
}
