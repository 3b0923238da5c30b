package esscli

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
)

// attachedVolume has one host with a credential and one without.
func attachedVolume() api.Volume {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return api.Volume{Serial: "20313698", Array: "2105.13698", Size: 1 << 20, Attached: []api.Attachment{
		{Address: "10.0.0.5", Host: "vm1", Credential: "0a1b", Since: since, Connections: 4},
		{Address: "10.0.0.6", ReadOnly: true, Since: since, Connections: 1},
	}}
}

func TestAttachedVolumeIsTold(t *testing.T) {
	f := rsclitest.NewServer(t)
	v := attachedVolume()
	f.Reply("GET /v1/volumes/20313698", http.StatusOK, v)
	f.Reply("GET /v1/volumes", http.StatusOK, []api.Volume{v})
	f.Reply("PATCH /v1/volumes/20313698", http.StatusOK, v)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "show", "volume", "20313698", "-s", f.Addr()), 0)
	since := program.FormatTime(v.Attached[0].Since)
	for _, want := range []string{
		"attached     10.0.0.5 host vm1 credential 0a1b read-write since " + since + ", 4 connections\n",
		"attached     10.0.0.6 read-only since " + since + ", 1 connection\n",
	} {
		if !strings.Contains(b.Out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, &b.Out)
		}
	}
	b.Expect(b.Run(New, "list", "volume", "-s", f.Addr()), 0)
	if !strings.Contains(b.Out.String(), " vm1,10.0.0.6 ") {
		t.Errorf("the list is\n%s", &b.Out)
	}
	const warning = "warning: volume 20313698 is attached to vm1,10.0.0.6: the host sees the new size"
	b.Expect(b.Run(New, "set", "volume", "20313698", "--size", "1MiB", "-s", f.Addr()), 0, warning)
	b.Expect(b.Run(New, "set", "volume", "20313698", "--label", "x", "-s", f.Addr()), 0)
	if b.Err.Len() > 0 {
		t.Errorf("a label does not change the content: %s", &b.Err)
	}
}

// TestImportRefusedByTheServer says what the server says, that nothing was written,
// although the beginning of the image may have been sent.
func TestImportRefusedByTheServer(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/volumes/20313698", http.StatusOK, attachedVolume())
	var query string
	f.Handle("PUT /v1/volumes/20313698/content", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if query = r.URL.RawQuery; query != "" {
			rsclitest.SendJSON(w, http.StatusOK, attachedVolume())
			return
		}
		rsclitest.SendFault(w, http.StatusUnprocessableEntity, fault.New(fault.Refused, "in use by a host").
			WithHint("nothing was written; --force"))
	})
	b := rsclitest.NewBench(t)
	image := b.Write("image", 0o600, strings.Repeat("x", 1<<20))
	b.Expect(b.Run(New, "import", "volume", "20313698", image, "-s", f.Addr()), 6,
		"error: in use by a host", "hint: nothing was written")
	b.Expect(b.Run(New, "import", "volume", "20313698", image, "--force", "-s", f.Addr()), 0)
	if query != "force=true" || b.Err.Len() > 0 {
		t.Errorf("query %q, %s", query, &b.Err)
	}
}

// TestEmptyImage connects to nothing.
func TestEmptyImage(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "import", "volume", "20313698", b.Write("image", 0o600, ""),
		"-s", rsclitest.ClosedPort(t)), 2, "is empty: no image to import")
	b.Stdin = strings.NewReader("")
	b.Expect(b.Run(New, "import", "volume", "20313698", "-", "-s", rsclitest.ClosedPort(t)), 2,
		"standard input is empty")
}
