package rscli

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/api"
	"copyservices/rscli/rsclitest"
)

func serveStatus(f *rsclitest.Server) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	f.Reply("GET /v1/volumes", http.StatusOK, []api.Volume{
		{Serial: "20313698", Array: "2105.13698", Size: 64 << 20, Hosts: []string{"w2k:Disk1",
			"lin:/dev/sdb"}},
		{Serial: "20413698", Array: "2105.13698", Size: 1000, LastCopy: &api.LastCopy{
			Source: "20313698", Established: at, Outcome: arrayclient.OutcomeActive}},
		{Serial: "20513698", Array: "2105.13698", Size: 1 << 40},
	})
	f.Reply("GET /v1/relationships", http.StatusOK, []api.Relationship{
		{Source: "20313698", Target: "20413698", State: arrayclient.StateCopying, Tracks: 100,
			OutOfSync: 60, Changed: new(int64),
			Percent: 40, Established: at, Reason: "the freeze was released by its timeout",
			Options: arrayclient.Options{Record: true, Persistent: true, TargetInhibit: true}},
		{Source: "20313698", Target: "20613698", State: arrayclient.StateFailed, Tracks: 100,
			OutOfSync: 1,
			Percent:   99, Established: at, Completed: at, Reason: "no space"},
	})
}

func TestQuery(t *testing.T) {
	f := rsclitest.NewServer(t)
	serveStatus(f)
	b := rsclitest.NewBench(t)
	serials := []string{"20313698", "20413698", "20513698"}
	b.Expect(b.Run(NewQuery, append(serials, "-s", f.Addr())...), 0)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local).Format("2006-01-02T15:04:05Z07:00")
	want := [][]string{
		{"volume", "size", "role", "state", "peers", "devices", "copy-of", "copied", "outcome"},
		{"20313698", "64MiB", "source", "copying,failed", "20413698,20613698", "w2k:Disk1,lin:/dev/sdb",
			"-", "-", "-"},
		{"20413698", "1000", "target", "copying", "20313698", "-", "20313698", at, "active"},
		{"20513698", "1TiB", "none", "-", "-", "-", "-", "-", "-"},
	}
	rsclitest.CheckTable(t, b.Out.String(), want)
}

func TestQueryJSON(t *testing.T) {
	f := rsclitest.NewServer(t)
	serveStatus(f)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewQuery, "--json", "20313698", "-s", f.Addr()), 0)
	var doc struct{ Volumes []volumeReport }
	b.Document(&doc)
	if len(doc.Volumes) != 3 || doc.Volumes[0].Role != roleSource ||
		len(doc.Volumes[0].Relationships) != 2 ||
		doc.Volumes[2].Role != roleNone || doc.Volumes[2].Relationships == nil {
		t.Errorf("document %+v", doc)
	}
}

func TestQueryUnknownVolume(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Refuse("GET /v1/volumes", http.StatusNotFound, fault.New(fault.NotFound,
		"there is no volume FFF13698"))
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewQuery, "fff13698", "FFF13698", "-s", f.Addr()), 10,
		"there is no volume FFF13698")
}

func TestFlashCopyQuery(t *testing.T) {
	f := rsclitest.NewServer(t)
	serveStatus(f)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewFlashCopyQuery, "-s", f.Addr()), 0,
		"warning: relationship 20313698:20413698: the freeze was released by its timeout\n",
		"warning: relationship 20313698:20613698 failed: no space\n")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local).Format("2006-01-02T15:04:05Z07:00")
	rsclitest.CheckTable(t, b.Out.String(), [][]string{
		{"source", "target", "state", "options", "percent", "out-of-sync", "changed",
			"established", "completed"},
		{"20313698", "20413698", "copying", "record,persist,target-inhibit", "40", "60", "0", at, "-"},
		{"20313698", "20613698", "failed", "-", "99", "1", "-", at, at},
	})
}

func TestFlashCopyQueryOfNothing(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/relationships", http.StatusOK, []api.Relationship{})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewFlashCopyQuery, "-s", f.Addr()), 0)
	rsclitest.CheckTable(t, b.Out.String(), [][]string{
		{"source", "target", "state", "options", "percent", "out-of-sync", "changed",
			"established", "completed"},
	})
	b.Expect(b.Run(NewFlashCopyQuery, "--json", "-s", f.Addr()), 0)
	if got := strings.Join(strings.Fields(b.Out.String()), ""); got != `{"relationships":[]}` {
		t.Errorf("document %s", got)
	}
}

func TestTestConnection(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(NewTestConnection, "-s", f.Addr()), 0)
	for _, want := range []string{
		"server      copy-a (" + f.Addr() + ")\n", "version     1.2.3\n", "arrays      2105.13698\n",
		"user        operator (operator)\n", "round trip  ",
	} {
		if !strings.Contains(b.Out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, &b.Out)
		}
	}
	b.Expect(b.Run(NewTestConnection, "-s", rsclitest.ClosedPort(t), "-b", f.Addr(), "--json"), 0)
	var doc connectionReport
	b.Document(&doc)
	if doc.Address != f.Addr() || doc.RoundTripMS <= 0 || doc.Server.Version != "1.2.3" {
		t.Errorf("document %+v", doc)
	}
}
