package esscli

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"copyservices/copyserver/api"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
	"copyservices/taskstore"
)

// A table fits the terminal: long cells are cut, and where that is not enough each
// row is a block of lines. What goes to a pipe is whole.
func TestTablesFitTheTerminal(t *testing.T) {
	label := strings.Repeat("mail ", 30)
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/volumes", http.StatusOK, []api.Volume{{
		Serial: "20313698", Size: 1 << 20, Label: label, Hosts: []string{"rich-w2k-os-1:Disk1"},
	}})
	b := rsclitest.NewBench(t)
	show := func(columns int) string {
		b.Width = columns
		b.Expect(b.Run(New, "list", "volume", "-s", f.Addr()), 0)
		return b.Out.String()
	}
	if got := show(0); !strings.Contains(got, strings.TrimSpace(label)) {
		t.Errorf("a pipe gets\n%s", got)
	}
	got := show(90)
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(line); n > 91 {
			t.Errorf("%d columns of 90: %q", n, line)
		}
	}
	if !strings.HasPrefix(got, "serial ") || !strings.Contains(got, "mail m...") ||
		!strings.Contains(got, " rich-w2k-os-1:Disk1 ") {
		t.Errorf("90 columns get\n%s", got)
	}
	if got = show(50); !strings.HasPrefix(got, "serial       20313698\nsize         1MiB\n") {
		t.Errorf("50 columns get\n%s", got)
	}
}

func TestPairsOfDevicesHaveAnArrow(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/tasks", http.StatusOK, []api.Task{{
		Name: "T", Type: taskstore.TaskEstablish, Pairs: []api.TaskPair{
			{Source: "20313698", Target: "20413698"}, {Source: "a:Disk1", Target: "b:Disk 2"},
		},
	}})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "list", "task", "-s", f.Addr()), 0)
	want := "name  type       options  pairs\n" +
		"T     establish  -        20313698:20413698,a:Disk1 -> b:Disk 2\n"
	if got := b.Out.String(); got != want {
		t.Errorf("printed\n%s", got)
	}
}

// Asked for nothing, or for help or the version as if they were verbs, esscli
// answers.
func TestHelpWithoutDashes(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", "usage: esscli [FLAGS] COMMAND"},
		{"help", "usage: esscli [FLAGS] COMMAND"},
		{"help create volume", "usage: esscli create volume"},
		{"version", "esscli (copyservices) " + program.Version},
	} {
		b := rsclitest.NewBench(t)
		b.Expect(b.Run(New, strings.Fields(tt.args)...), 0)
		if !strings.HasPrefix(b.Out.String(), tt.want) {
			t.Errorf("esscli %s prints\n%s", tt.args, &b.Out)
		}
	}
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "create", "help"), 2, `does not know "help"`)
	b.Expect(b.Run(New, "create"), 2, "a command is missing")
	b.Expect(b.Run(New, "--json"), 2, "a command is missing")
}

func TestShowTakesManyNames(t *testing.T) {
	f := rsclitest.NewServer(t)
	for _, name := range []string{"A", "B"} {
		f.Reply("GET /v1/tasks/"+name, http.StatusOK, api.Task{
			Name: name, Type: taskstore.TaskEstablish,
			Pairs: []api.TaskPair{{Source: "20313698", Target: "20413698"}},
		})
	}
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "show", "task", "A", "B", "-s", f.Addr()), 0)
	one, two, found := strings.Cut(b.Out.String(), "---\n")
	if !found || !strings.HasPrefix(one, "name: A\n") || !strings.HasPrefix(two, "name: B\n") {
		t.Errorf("printed\n%s", &b.Out)
	}
	b.Expect(b.Run(New, "show", "task", "A", "B", "--json", "-s", f.Addr()), 0)
	var doc struct{ Tasks []api.Task }
	if b.Document(&doc); len(doc.Tasks) != 2 || doc.Tasks[1].Name != "B" {
		t.Errorf("document %+v", doc)
	}
	b.Expect(b.Run(New, "show", "task", "A", "none", "-s", f.Addr()), 10)
	if b.Out.Len() > 0 {
		t.Errorf("printed half of it:\n%s", &b.Out)
	}
}

func TestCredentialsAreShownAndRevoked(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/credentials", http.StatusOK, []api.Credential{
		{Serial: "0a1b", Host: "vm1", Created: time.Now()},
	})
	f.Reply("DELETE /v1/credentials/0a1b", http.StatusNoContent, nil)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "show", "credential", "0A1B", "-s", f.Addr()), 0)
	if !strings.Contains(b.Out.String(), "host         vm1\n") {
		t.Errorf("printed\n%s", &b.Out)
	}
	b.Expect(b.Run(New, "show", "credential", "0a", "-s", f.Addr()), 10, "esscli list credential")
	b.Expect(b.Run(New, "delete", "credential", "0a1b", "-s", f.Addr()), 0)
	if got := b.Out.String(); got != "credential 0a1b revoked\n" {
		t.Errorf("printed %q", got)
	}
	b.Expect(b.Run(New, "delete", "credential", "0a1b", "x", "--json", "-s", f.Addr()), 10,
		`there is no /v1/credentials/x`)
	var doc revokeReport
	if b.Document(&doc); len(doc.Revoked) != 1 || len(doc.NotRevoked) != 1 {
		t.Errorf("document %+v", doc)
	}
}

func TestPairTheOtherWayRound(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/relationships", http.StatusOK, []api.Relationship{
		{Source: "20313698", Target: "20413698"},
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(New, "show", "relationship", "20413698:20313698", "-s", f.Addr()), 10,
		"hint: there is 20313698:20413698, the other way round")
}
