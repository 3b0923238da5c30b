package rscli

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
)

// serveThings makes a server that knows one of everything.
func serveThings(t *testing.T) *fakeServer {
	t.Helper()
	f := newFake(t)
	f.reply("GET /v1/tasks", http.StatusOK, []api.Task{
		{Name: "NIGHTLY", Type: "establish"}, {Name: "my task", Type: "withdraw"},
		{Name: "bad\x1bname"}, {Name: "two\nlines"},
	})
	f.reply("GET /v1/volumes", http.StatusOK, []api.Volume{
		{Serial: "20313698", Size: 1 << 30, Label: "mail"}, {Serial: "20413698"},
	})
	f.reply("GET /v1/hosts", http.StatusOK, []api.Host{
		{Name: "Rich", OS: "Linux", Devices: []api.Device{{Name: "/dev/sdb", Serial: "20313698"}}},
	})
	f.reply("GET /v1/relationships", http.StatusOK, []api.Relationship{
		{Source: "20313698", Target: "20413698", State: "copying"},
	})
	f.reply("GET /v1/arrays", http.StatusOK, []api.Array{{ID: "2105.13698"}})
	f.reply("GET /v1/runs", http.StatusOK, []api.Run{{ID: "run-1", Task: "NIGHTLY"}})
	f.reply("GET /v1/users", http.StatusOK, []api.User{{Name: "cimuser", Role: "operator"}})
	return f
}

// offered returns what is offered for a line; its last word is the one begun.
func (b *bench) offered(line string) (mode string, words []string) {
	b.t.Helper()
	given := strings.Split(line, " ")
	last := len(given) - 1
	args := append([]string{"__complete", "fish", "--", "=" + given[last]}, given[:last]...)
	b.expect(b.run(newESSCLI, args...), 0)
	if b.stderr.Len() > 0 {
		b.t.Errorf("%q: it says %s", line, &b.stderr)
	}
	lines := strings.Split(strings.TrimSuffix(b.stdout.String(), "\n"), "\n")
	for _, text := range lines[1:] {
		word, _, _ := strings.Cut(text, "\t")
		words = append(words, word)
	}
	return lines[0], words
}

func TestOffers(t *testing.T) {
	f := serveThings(t)
	b := newBench(t)
	b.vars["RSCLI_SERVER"] = f.addr()
	b.write(".config/rscli/known_servers", 0o600,
		"copy-a:8452 "+f.fingerprint()+"\ncopy-b:99 "+f.fingerprint()+"\n")
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
		"setuser -s " + f.addr() + " ch":         "words: chuser",
		"setuser -s " + f.addr() + " chuser ":    "words: cimuser",
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
		mode, words := b.offered(line)
		if got := mode + ": " + strings.Join(words, "|"); got != want {
			t.Errorf("%q offers %q, want %q", line, got, want)
		}
	}
}

// The answer of the server, also none, holds for the next keys; another server,
// user or kind is another answer.
func TestAnswersAreKept(t *testing.T) {
	f := serveThings(t)
	b := newBench(t)
	b.vars["RSCLI_SERVER"] = f.addr()
	asked := func() int { seen, _ := f.requests(); return len(seen) }
	for range 3 {
		b.offered("rsExecuteTask N")
	}
	if asked() != 1 {
		t.Errorf("asked %d times for three keys", asked())
	}
	b.offered("rsQuery 2")
	b.offered("rsExecuteTask -u other N")
	if asked() != 3 {
		t.Errorf("asked %d times", asked())
	}
	files, _ := filepath.Glob(filepath.Join(b.home, ".cache/rscli/*"))
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
		old := strings.Replace(readFile(t, file), `"until":"20`, `"until":"19`, 1)
		b.write(".cache/rscli/"+filepath.Base(file), 0o600, old)
	}
	b.offered("rsExecuteTask N")
	if len(files) != 3 || asked() != 4 {
		t.Errorf("%d files; asked %d times after they were too old", len(files), asked())
	}
}

// Nobody waits, is asked or told anything when there is no server, no password,
// or nothing that can be read.
func TestCompletionIsSilentAndQuick(t *testing.T) {
	f := newFake(t)
	f.handle("GET /v1/tasks", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	b := newBench(t)
	b.terminal = true
	b.ReadSecret = func(context.Context) (string, error) { t.Error("asked"); return "", nil }
	for _, line := range []string{
		"rsExecuteTask -s " + f.addr() + " ",
		"rsExecuteTask -s " + closedPort(t) + " ",
		"rsExecuteTask -s a:b:c ", "rsExecuteTask ",
		"rsExecuteTask -s " + f.named() + " ",
		"rsExecuteTask -s " + f.addr() + " --password-command cat<&1;/bin/sleep\t60 ",
		"rsExecuteTask --no-such-flag -s " + f.addr() + " --password-file /none ",
	} {
		began := time.Now()
		line = strings.ReplaceAll(line, "\t", "${IFS}")
		if mode, words := b.offered(line); mode != "words" || len(words) > 0 {
			t.Errorf("%q offers %s %q", line, mode, words)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%q took %v", line, took)
		}
	}
	b.vars["RSCLI_CONFIG"] = b.write("bad.yaml", 0o600, "sever: x\n")
	if _, words := b.offered("rsExecuteTask "); len(words) > 0 {
		t.Errorf("with a bad configuration: %q", words)
	}
}

func TestScripts(t *testing.T) {
	b := newBench(t)
	for _, shell := range shellNames {
		b.expect(b.run(newESSCLI, "completion", shell), 0)
		text := b.stdout.String()
		if strings.Contains(text, "@PROGRAMS@") || !strings.Contains(text, "esscli __complete "+shell+" ") ||
			!strings.Contains(text, " rsExecuteTask rsExecuteTask.sh ") {
			t.Errorf("the script for %s is\n%s", shell, text)
		}
	}
	b.expect(b.run(newESSCLI, "completion", "tcsh"), 2, `"tcsh" is none of the shells`, "bash, zsh, fish")
}

// TestKindsAreOfCommands holds the tables to the commands: none is missing that
// takes arguments, and none is there that does not exist.
func TestKindsAreOfCommands(t *testing.T) {
	free := []string{
		"esscli create task", "esscli create host", "esscli create user", "esscli delete credential",
		"esscli show credential",
	}
	var builders []builder
	for _, p := range programs() {
		builders = append(builders, p.Build)
	}
	words, flags := map[string]bool{}, map[string]bool{}
	everyPath(builders, func(_ builder, path []*command) {
		name := (&parsed{path: path}).words()
		words[name] = true
		last := path[len(path)-1]
		for _, f := range last.allFlags(&Env{}) {
			flags[f.Names()[0]] = true
		}
		_, known := argumentKinds[name]
		if last.most != 0 && !known && !slices.Contains(free, name) {
			t.Errorf("what are the arguments of %q? Say so in argumentKinds, for the completion", name)
		}
	})
	for name := range argumentKinds {
		if !words[name] {
			t.Errorf("there is no command %q", name)
		}
	}
	for name := range flagKinds {
		if !flags[name] {
			t.Errorf("there is no flag --%s", name)
		}
	}
}
