package esscli

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore"
)

// serveTrouble is a server on which everything that can be wrong is wrong.
func serveTrouble(f *rsclitest.Server) {
	now := time.Now()
	f.Reply("GET /v1/server", http.StatusOK, api.Server{
		Name: "copy-a", Version: "1.2.3", User: "superuser", Role: "admin", Time: now, DefaultPassword: true,
	})
	f.Reply("GET /v1/arrays", http.StatusOK, []api.Array{
		{ID: "2105.13698", Volumes: 2, MaxVolumes: 4096, Capacity: 100 << 30, Free: 5 << 30},
	})
	f.Reply("GET /v1/volumes", http.StatusOK, []api.Volume{
		{Serial: "20313698", Size: 1 << 30, Allocated: 1 << 20, Attached: []api.Attachment{
			{Address: "10.0.0.5", Host: "web"}, {Address: "10.0.0.6"},
		}},
		{Serial: "20413698", Size: 1 << 30, Failed: "input/output error", Attached: []api.Attachment{
			{Address: "10.0.0.5", Host: "web", ReadOnly: true}, {Address: "10.0.0.7", Host: "web"},
		}},
	})
	f.Reply("GET /v1/relationships", http.StatusOK, []api.Relationship{
		{Source: "20313698", Target: "20413698", State: arrayclient.StateFailed, Reason: "no space"},
	})
	f.Reply("GET /v1/runs", http.StatusOK, []api.Run{
		{ID: "3", Task: "GOOD", State: taskstore.RunDone, Started: now},
		{ID: "2", Task: "GOOD", State: taskstore.RunFailed, Started: now},
		{ID: "1", Task: "BAD", State: taskstore.RunFailed, Started: now,
			Error: &fault.Detail{Message: "it is so"}},
		{ID: "0", Task: "OLD", State: taskstore.RunFailed, Started: now.Add(-25 * time.Hour)},
	})
}

func TestStatusTellsWhatIsWrong(t *testing.T) {
	f := rsclitest.NewServer(t)
	serveTrouble(f)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "status", "-s", f.Addr()), 0)
	got := b.Out.String()
	for _, want := range []string{
		"server       copy-a (" + f.Addr() + "), version 1.2.3, you are superuser (admin)\n",
		"array        2105.13698: 2 of 4096 volumes, room for 5GiB of 100GiB\n",
		"volumes      2, 1 failed; 2GiB, of which 1MiB are allocated\n",
		"attached     10.0.0.6 (20313698), web (2 volumes)\n",
		"relations    1 failed\n", "runs, 24 h   1 done, 2 failed\n",
		"wrong: superuser still has the password that everybody knows\n   do: setuser chuser superuser",
		"wrong: array 2105.13698 has room for 5GiB only\n   do: ",
		"wrong: volume 20413698 failed: input/output error\n   do: ",
		"wrong: relationship 20313698:20413698 failed: no space\n" +
			"   do: esscli delete relationship 20313698:20413698",
		": it is so\n   do: esscli show run 1; rsExecuteTask BAD\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n > 23 || strings.Contains(got, "task GOOD") ||
		strings.Contains(got, "task OLD") {
		t.Errorf("%d lines:\n%s", n, got)
	}
	b.Expect(b.Run(New, "status", "--json", "-s", f.Addr()), 0)
	var doc statusReport
	if b.Document(&doc); len(doc.Findings) != 5 || doc.Volumes.Failed != 1 || doc.Runs["failed"] != 2 ||
		len(doc.Attached) != 2 || len(doc.Attached[1].Volumes) != 2 {
		t.Errorf("document %+v", doc)
	}
}

func TestStatusOfAGoodServer(t *testing.T) {
	f := rsclitest.NewServer(t)
	for _, what := range []string{"arrays", "volumes", "relationships", "runs"} {
		f.Reply("GET /v1/"+what, http.StatusOK, []int{})
	}
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "status", "-s", f.Addr()), 0)
	if got := b.Out.String(); !strings.HasSuffix(got, "attached     none\nrelations    none\nruns, 24 h   none\n\nnothing is wrong\n") {
		t.Errorf("printed\n%s", got)
	}
}
