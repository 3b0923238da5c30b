package esscli

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"copyservices/copyserver/api"
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore"
)

// TestListRunLosesNoneSilently: a table that is cut short says so, a document is
// whole.
func TestListRunLosesNoneSilently(t *testing.T) {
	const stored = 250
	tells := false
	f := rsclitest.NewServer(t)
	f.Handle("GET /v1/runs", func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil {
			limit = 100
		}
		if tells {
			w.Header().Set(api.TotalHeader, strconv.Itoa(stored))
		}
		runs := make([]api.Run, min(limit, stored))
		for i := range runs {
			runs[i] = rsclitest.SampleRun(taskstore.RunDone)
			runs[i].ID = fmt.Sprint("run-", i)
		}
		rsclitest.SendJSON(w, http.StatusOK, runs)
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "list", "run", "-s", f.Addr()), 0, "newest 100 runs; --limit")
	if n := strings.Count(b.Out.String(), "run-"); n != 100 {
		t.Errorf("the table has %d runs", n)
	}
	b.Expect(b.Run(New, "list", "run", "--limit", "3", "-s", f.Addr()), 0)
	if n := strings.Count(b.Out.String(), "run-"); n != 3 || b.Err.Len() > 0 {
		t.Errorf("%d runs for a limit of 3: %s", n, &b.Err)
	}
	tells = true
	b.Expect(b.Run(New, "list", "run", "--limit", "3", "-s", f.Addr()), 0,
		"warning: these are the newest 3 of 250 runs")
	b.Expect(b.Run(New, "list", "run", "--limit", "250", "-s", f.Addr()), 0)
	if b.Err.Len() > 0 {
		t.Errorf("of all runs: %s", &b.Err)
	}
	b.Expect(b.Run(New, "list", "run", "--json", "-s", f.Addr()), 0)
	var doc struct{ Runs []api.Run }
	b.Document(&doc)
	if len(doc.Runs) != stored {
		t.Errorf("the document has %d runs", len(doc.Runs))
	}
}
