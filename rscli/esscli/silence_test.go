package esscli

import (
	"net/http"
	"strings"
	"testing"

	"copyservices/copyserver/api"
	"copyservices/rscli/rsclitest"
)

// TestListThatIsNotAll prints what there is, says in one line what is missing, and ends
// as if no server had answered.
func TestListThatIsNotAll(t *testing.T) {
	const text = "array 2105.22222 has not answered since 2026-11-27T12:00:00Z: connection refused"
	f := rsclitest.NewServer(t)
	f.Handle("GET /v1/volumes", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add(api.WarningHeader, text)
		w.Header().Add(api.WarningHeader, "array 2105.33333: it is broken")
		rsclitest.SendJSON(w, http.StatusOK, []api.Volume{{Serial: "20313698"}})
	})
	b := rsclitest.NewBench(t)
	for _, flag := range []string{"", "--json"} {
		args := []string{"list", "volume", "-s", f.Addr()}
		if flag != "" {
			args = append(args, flag)
		}
		b.Expect(b.Run(New, args...), 3)
		want := "esscli: error: this is not all: " + text + "; array 2105.33333: it is broken\n" +
			"esscli: hint: esscli list array shows which arrays answer\n"
		if got := b.Err.String(); got != want {
			t.Errorf("stderr %q, want %q", got, want)
		}
		if flag == "" {
			if !strings.Contains(b.Out.String(), "\n20313698 ") {
				t.Errorf("stdout %q", b.Out.String())
			}
			continue
		}
		var doc struct{ Volumes []api.Volume }
		if b.Document(&doc); len(doc.Volumes) != 1 {
			t.Errorf("the document has %d volumes", len(doc.Volumes))
		}
	}
}
