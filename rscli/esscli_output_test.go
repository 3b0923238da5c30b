package rscli

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"copyservices/copyserver/api"
	"copyservices/taskstore"
)

// A table fits the terminal: long cells are cut, and where that is not enough each
// row is a block of lines. What goes to a pipe is whole.
func TestTablesFitTheTerminal(t *testing.T) {
	label := strings.Repeat("mail ", 30)
	f := newFake(t)
	f.reply("GET /v1/volumes", http.StatusOK, []api.Volume{{
		Serial: "20313698", Size: 1 << 20, Label: label, Hosts: []string{"rich-w2k-os-1:Disk1"},
	}})
	b := newBench(t)
	show := func(columns int) string {
		b.width = columns
		b.expect(b.run(newESSCLI, "list", "volume", "-s", f.addr()), 0)
		return b.stdout.String()
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
	f := newFake(t)
	f.reply("GET /v1/tasks", http.StatusOK, []api.Task{{
		Name: "T", Type: taskstore.TaskEstablish, Pairs: []api.TaskPair{
			{Source: "20313698", Target: "20413698"}, {Source: "a:Disk1", Target: "b:Disk 2"},
		},
	}})
	b := newBench(t)
	b.expect(b.run(newESSCLI, "list", "task", "-s", f.addr()), 0)
	want := "name  type       options  pairs\n" +
		"T     establish  -        20313698:20413698,a:Disk1 -> b:Disk 2\n"
	if got := b.stdout.String(); got != want {
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
		{"version", "esscli (copyservices) " + Version},
	} {
		b := newBench(t)
		b.expect(b.run(newESSCLI, strings.Fields(tt.args)...), 0)
		if !strings.HasPrefix(b.stdout.String(), tt.want) {
			t.Errorf("esscli %s prints\n%s", tt.args, &b.stdout)
		}
	}
	b := newBench(t)
	b.expect(b.run(newESSCLI, "create", "help"), 2, `does not know "help"`)
	b.expect(b.run(newESSCLI, "create"), 2, "a command is missing")
	b.expect(b.run(newESSCLI, "--json"), 2, "a command is missing")
}

func TestShowTakesManyNames(t *testing.T) {
	f := newFake(t)
	for _, name := range []string{"A", "B"} {
		f.reply("GET /v1/tasks/"+name, http.StatusOK, api.Task{
			Name: name, Type: taskstore.TaskEstablish,
			Pairs: []api.TaskPair{{Source: "20313698", Target: "20413698"}},
		})
	}
	b := newBench(t)
	b.expect(b.run(newESSCLI, "show", "task", "A", "B", "-s", f.addr()), 0)
	one, two, found := strings.Cut(b.stdout.String(), "---\n")
	if !found || !strings.HasPrefix(one, "name: A\n") || !strings.HasPrefix(two, "name: B\n") {
		t.Errorf("printed\n%s", &b.stdout)
	}
	b.expect(b.run(newESSCLI, "show", "task", "A", "B", "--json", "-s", f.addr()), 0)
	var doc struct{ Tasks []api.Task }
	if b.document(&doc); len(doc.Tasks) != 2 || doc.Tasks[1].Name != "B" {
		t.Errorf("document %+v", doc)
	}
	b.expect(b.run(newESSCLI, "show", "task", "A", "none", "-s", f.addr()), 10)
	if b.stdout.Len() > 0 {
		t.Errorf("printed half of it:\n%s", &b.stdout)
	}
}

func TestCredentialsAreShownAndRevoked(t *testing.T) {
	f := newFake(t)
	f.reply("GET /v1/credentials", http.StatusOK, []api.Credential{
		{Serial: "0a1b", Host: "vm1", Created: time.Now()},
	})
	f.reply("DELETE /v1/credentials/0a1b", http.StatusNoContent, nil)
	b := newBench(t)
	b.expect(b.run(newESSCLI, "show", "credential", "0A1B", "-s", f.addr()), 0)
	if !strings.Contains(b.stdout.String(), "host         vm1\n") {
		t.Errorf("printed\n%s", &b.stdout)
	}
	b.expect(b.run(newESSCLI, "show", "credential", "0a", "-s", f.addr()), 10, "esscli list credential")
	b.expect(b.run(newESSCLI, "delete", "credential", "0a1b", "-s", f.addr()), 0)
	if got := b.stdout.String(); got != "credential 0a1b revoked\n" {
		t.Errorf("printed %q", got)
	}
	b.expect(b.run(newESSCLI, "delete", "credential", "0a1b", "x", "--json", "-s", f.addr()), 10,
		`there is no /v1/credentials/x`)
	var doc revokeReport
	if b.document(&doc); len(doc.Revoked) != 1 || len(doc.NotRevoked) != 1 {
		t.Errorf("document %+v", doc)
	}
}

func TestPairTheOtherWayRound(t *testing.T) {
	f := newFake(t)
	f.reply("GET /v1/relationships", http.StatusOK, []api.Relationship{
		{Source: "20313698", Target: "20413698"},
	})
	b := newBench(t)
	b.expect(b.run(newESSCLI, "show", "relationship", "20413698:20313698", "-s", f.addr()), 10,
		"hint: there is 20313698:20413698, the other way round")
}
