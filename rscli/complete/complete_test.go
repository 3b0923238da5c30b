package complete_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"copyservices/copyserver/api"
	"copyservices/rscli/complete"
	"copyservices/rscli/esscli"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
)

// serveThings makes a server that knows one of everything.
func serveThings(t *testing.T) *rsclitest.Server {
	t.Helper()
	f := rsclitest.NewServer(t)
	f.Reply("GET /v1/tasks", http.StatusOK, []api.Task{
		{Name: "NIGHTLY", Type: "establish"}, {Name: "my task", Type: "withdraw"},
		{Name: "bad\x1bname"}, {Name: "two\nlines"},
	})
	f.Reply("GET /v1/volumes", http.StatusOK, []api.Volume{
		{Serial: "20313698", Size: 1 << 30, Label: "mail"}, {Serial: "20413698"},
	})
	f.Reply("GET /v1/hosts", http.StatusOK, []api.Host{
		{Name: "Rich", OS: "Linux", Devices: []api.Device{{Name: "/dev/sdb", Serial: "20313698"}}},
	})
	f.Reply("GET /v1/relationships", http.StatusOK, []api.Relationship{
		{Source: "20313698", Target: "20413698", State: "copying"},
	})
	f.Reply("GET /v1/arrays", http.StatusOK, []api.Array{{ID: "2105.13698"}})
	f.Reply("GET /v1/runs", http.StatusOK, []api.Run{{ID: "run-1", Task: "NIGHTLY"}})
	f.Reply("GET /v1/users", http.StatusOK, []api.User{{Name: "cimuser", Role: "operator"}})
	return f
}

// offered returns what is offered for a line; its last word is the one begun.
func offered(b *rsclitest.Bench, line string) (mode string, words []string) {
	b.T.Helper()
	given := strings.Split(line, " ")
	last := len(given) - 1
	args := append([]string{"__complete", "fish", "--", "=" + given[last]}, given[:last]...)
	b.Expect(b.Run(esscli.New, args...), 0)
	if b.Err.Len() > 0 {
		b.T.Errorf("%q: it says %s", line, &b.Err)
	}
	lines := strings.Split(strings.TrimSuffix(b.Out.String(), "\n"), "\n")
	for _, text := range lines[1:] {
		word, _, _ := strings.Cut(text, "\t")
		words = append(words, word)
	}
	return lines[0], words
}

func TestOffers(t *testing.T) {
	f := serveThings(t)
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_SERVER"] = f.Addr()
	b.Write(".config/rscli/known_servers", 0o600,
		"copy-a:8452 "+f.Fingerprint()+"\ncopy-b:99 "+f.Fingerprint()+"\n")
	for line, want := range map[string]string{
		"rsExecuteTask ":                         "words: NIGHTLY|my task",
		"rsExecuteTask.sh -q ni":                 "words: NIGHTLY",
		`C:\rs\rsExecuteTask.exe NIGHTLY m`:      "words: my task",
		"rsQueryComplete NIGHTLY ":               "words: ",
		"rsQuery 2":                              "words: 20313698|20413698",
		"rsQuery 20313698 204":                   "words: 20413698",
		"rsExecuteTask --dr":                     "words: --dry-run",
		"rsExecuteTask -- --dr":                  "words: ",
		"rsExecuteTask -p":                       "words: ",
		"rsExecuteTask --timeout ":               "words: ",
		"rsQuery -s copy-":                       "words: copy-a|copy-b:99",
		"rsQuery -s=copy-b":                      "words: -s=copy-b:99",
		"rsQuery --backup-server=copy-a":         "words: --backup-server=copy-a",
		"rsQuery --password-file ":               "files: ",
		"rsQuery --log s":                        "files: syslog",
		"esscli l":                               "words: list|login|logout",
		"esscli _":                               "words: ",
		"esscli list re":                         "words: relationship",
		"esscli completion f":                    "words: fish",
		"esscli show volume ":                    "words: 20313698|20413698",
		"esscli show task ":                      "words: NIGHTLY|my task",
		"esscli delete host r":                   "words: Rich",
		"esscli delete relationship ":            "words: 20313698:20413698",
		"esscli show array ":                     "words: 2105.13698",
		"esscli show run ":                       "words: run-1",
		"esscli set user c":                      "words: cimuser",
		"esscli import volume 20313698 ":         "files: ",
		"esscli create task T --type re":         "words: resync|reverse",
		"esscli create task T --pair 203":        "open: 20313698:",
		"esscli create task T --pair 20313698:":  "words: 20313698:20413698",
		"esscli create task T --pair=20313698:2": "words: --pair=20313698:20413698",
		"esscli create task T --source rich":     "words: Rich:/dev/sdb",
		"esscli create user U --role mon":        "words: monitor",
		"esscli apply -f ":                       "files: ",
		"setuser -s " + f.Addr() + " ch":         "words: chuser",
		"setuser -s " + f.Addr() + " chuser ":    "words: cimuser",
		"setuser adduser ":                       "words: ",
		"setdevice addess":                       "words: addess|addessserver",
		"copyserver --nbd-tls-c":                 "words: --nbd-tls-cert|--nbd-tls-client-ca",
		"copyserver --state ":                    "files: ",
		"copyserver --log-format ":               "words: text|json",
		"copyserver c":                           "words: check",
		"copyserver --state x ":                  "words: check|service",
		"copyserver service ":                    "words: install|remove",
		"copyserver check ":                      "words: ",
		"ls ":                                    "words: ",
	} {
		mode, words := offered(b, line)
		if got := mode + ": " + strings.Join(words, "|"); got != want {
			t.Errorf("%q offers %q, want %q", line, got, want)
		}
	}
}

// The answer of the server, also none, holds for the next keys; another server,
// user or kind is another answer.
func TestAnswersAreKept(t *testing.T) {
	f := serveThings(t)
	b := rsclitest.NewBench(t)
	b.Vars["RSCLI_SERVER"] = f.Addr()
	asked := func() int { seen, _ := f.Requests(); return len(seen) }
	for range 3 {
		offered(b, "rsExecuteTask N")
	}
	if asked() != 1 {
		t.Errorf("asked %d times for three keys", asked())
	}
	offered(b, "rsQuery 2")
	offered(b, "rsExecuteTask -u other N")
	if asked() != 3 {
		t.Errorf("asked %d times", asked())
	}
	files, _ := filepath.Glob(filepath.Join(b.Home, ".cache/rscli/*"))
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
		old := strings.Replace(rsclitest.ReadFile(t, file), `"until":"20`, `"until":"19`, 1)
		b.Write(".cache/rscli/"+filepath.Base(file), 0o600, old)
	}
	offered(b, "rsExecuteTask N")
	if len(files) != 3 || asked() != 4 {
		t.Errorf("%d files; asked %d times after they were too old", len(files), asked())
	}
}

// Nobody waits, is asked or told anything when there is no server, no password,
// or nothing that can be read.
func TestCompletionIsSilentAndQuick(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Handle("GET /v1/tasks", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	b := rsclitest.NewBench(t)
	b.Terminal = true
	b.ReadSecret = func(context.Context) (string, error) { t.Error("asked"); return "", nil }
	for _, line := range []string{
		"rsExecuteTask -s " + f.Addr() + " ",
		"rsExecuteTask -s " + rsclitest.ClosedPort(t) + " ",
		"rsExecuteTask -s a:b:c ", "rsExecuteTask ",
		"rsExecuteTask -s " + f.Named() + " ",
		"rsExecuteTask -s " + f.Addr() + " --password-command cat<&1;/bin/sleep\t60 ",
		"rsExecuteTask --no-such-flag -s " + f.Addr() + " --password-file /none ",
	} {
		began := time.Now()
		line = strings.ReplaceAll(line, "\t", "${IFS}")
		if mode, words := offered(b, line); mode != "words" || len(words) > 0 {
			t.Errorf("%q offers %s %q", line, mode, words)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%q took %v", line, took)
		}
	}
	b.Vars["RSCLI_CONFIG"] = b.Write("bad.yaml", 0o600, "sever: x\n")
	if _, words := offered(b, "rsExecuteTask "); len(words) > 0 {
		t.Errorf("with a bad configuration: %q", words)
	}
}

func TestScripts(t *testing.T) {
	b := rsclitest.NewBench(t)
	for _, shell := range complete.ShellNames {
		b.Expect(b.Run(esscli.New, "completion", shell), 0)
		text := b.Out.String()
		if strings.Contains(text, "@PROGRAMS@") || !strings.Contains(text, "esscli __complete "+shell+" ") ||
			!strings.Contains(text, " rsExecuteTask rsExecuteTask.sh ") {
			t.Errorf("the script for %s is\n%s", shell, text)
		}
	}
	b.Expect(b.Run(esscli.New, "completion", "tcsh"), 2, `"tcsh" is none of the shells`, "bash, zsh, fish")
}

// TestKindsAreKnown: every command says what its arguments are, if it takes some, and a
// flag takes the same in all commands.
func TestKindsAreKnown(t *testing.T) {
	free := []string{
		"esscli create task", "esscli create host", "esscli create user", "esscli delete credential",
		"esscli show credential", "esscli create array",
	}
	var builders []program.Builder
	for _, p := range esscli.Programs() {
		builders = append(builders, p.Build)
	}
	flags := map[string]program.Kind{}
	rsclitest.EveryPath(builders, func(_ program.Builder, path []*program.Command) {
		name := (&program.CommandLine{Path: path}).Words()
		last := path[len(path)-1]
		for _, f := range last.AllFlags(&program.Env{}) {
			flag := f.Names()[0]
			kind := program.KindOfFlag(last, flag)
			if before, ok := flags[flag]; ok && before != kind {
				t.Errorf("%s: --%s is of the kind %q, and of %q in another command", name, flag, kind, before)
			}
			flags[flag] = kind
		}
		known := len(last.Kinds) > 0 && last.Kinds[0] != program.KindAny
		if want := last.Most != 0 && !slices.Contains(free, name); known != want {
			t.Errorf("%q takes %d arguments of the kinds %q: the completion needs both or none",
				name, last.Most, last.Kinds)
		}
	})
	for _, flag := range []string{"server", "log", "type", "pair", "cacert", "task", "sysroot", "copy-rate"} {
		if flags[flag] == program.KindAny {
			t.Errorf("--%s takes anything", flag)
		}
	}
}
