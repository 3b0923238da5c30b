package esscli

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"copyservices/copyserver/api"
	"copyservices/rscli/rsclitest"
)

func TestExportWritesTheEndOfALink(t *testing.T) {
	f, content := fakeVolume(t)
	copy(*content, "what the volume has")
	b := rsclitest.NewBench(t)
	file := b.Write("images/disk.img", 0o640, "old")
	for _, end := range []string{file, filepath.Join(b.Home, "images", "new.img")} {
		link := filepath.Join(b.Home, filepath.Base(end))
		rsclitest.Must(t, os.Symlink(end, link))
		b.Expect(b.Run(New, "export", "volume", "20313698", link, "-s", f.Addr()), 0)
		if got := rsclitest.ReadFile(t, end); got != string(*content) {
			t.Errorf("%s has %d bytes", end, len(got))
		}
		if to, err := os.Readlink(link); to != end || err != nil {
			t.Errorf("the link became %q, %v", to, err)
		}
	}
}

// What show prints of the largest tasks, apply takes.
func TestLargeTaskGoesThroughAFile(t *testing.T) {
	f := rsclitest.NewServer(t)
	task := api.Task{Name: "T", Type: "withdraw"}
	for i := range 24_000 {
		task.Pairs = append(task.Pairs, api.TaskPair{
			Source: fmt.Sprintf("%03X13698", i%4096), Target: fmt.Sprintf("host%d:/dev/mapper/disk", i),
		})
	}
	f.Reply("GET /v1/tasks/T", http.StatusOK, task)
	var got api.Task
	f.Handle("PUT /v1/tasks/T", func(w http.ResponseWriter, r *http.Request) {
		rsclitest.ReadBody(t, r, &got)
		rsclitest.SendJSON(w, http.StatusOK, got)
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "show", "task", "T", "-s", f.Addr()), 0)
	file := b.Write("t.yaml", 0o600, b.Out.String())
	b.Expect(b.Run(New, "apply", "-f", file, "-s", f.Addr()), 0)
	if len(got.Pairs) != len(task.Pairs) || got.Pairs[23_999] != task.Pairs[23_999] {
		t.Errorf("%d pairs came back", len(got.Pairs))
	}
}
