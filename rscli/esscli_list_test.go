package rscli

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// TestListRunLosesNoneSilently: a table that is cut short says so, a document is
// whole.
func TestListRunLosesNoneSilently(t *testing.T) {
	const stored = 250
	f := newFake(t)
	f.handle("GET /v1/runs", func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil {
			limit = 100
		}
		runs := make([]api.Run, min(limit, stored))
		for i := range runs {
			runs[i] = sampleRun(taskstore.RunDone)
			runs[i].ID = fmt.Sprint("run-", i)
		}
		sendJSON(w, http.StatusOK, runs)
	})
	b := newBench(t)
	b.expect(b.run(newESSCLI, "list", "run", "-s", f.addr()), 0, "newest 100 runs; --limit")
	if n := strings.Count(b.stdout.String(), "run-"); n != 100 {
		t.Errorf("the table has %d runs", n)
	}
	b.expect(b.run(newESSCLI, "list", "run", "--limit", "3", "-s", f.addr()), 0)
	if n := strings.Count(b.stdout.String(), "run-"); n != 3 || b.stderr.Len() > 0 {
		t.Errorf("%d runs for a limit of 3: %s", n, &b.stderr)
	}
	b.expect(b.run(newESSCLI, "list", "run", "--json", "-s", f.addr()), 0)
	var doc struct{ Runs []api.Run }
	b.document(&doc)
	if len(doc.Runs) != stored {
		t.Errorf("the document has %d runs", len(doc.Runs))
	}
}
