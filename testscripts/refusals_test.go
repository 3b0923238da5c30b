package testscripts

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/copyserver/access"
	"copyservices/copyserver/api"
	"copyservices/copyserver/arrays"
	"copyservices/copyserver/core"
	"copyservices/copyserver/runner"
	"copyservices/copyserver/state"
	exports "copyservices/export" // export is a connection here
	"copyservices/taskstore"
	"copyservices/taskstore/atomicfile"
)

// refusal is one that the rules, the REST API and a command must word alike.
type refusal struct {
	command string // as watcher, who is a monitor, where it begins with that
	request string // method and path
	body    string
	rule    func(ctx context.Context, c *core.Core, by core.Caller) error
}

const imageType = "application/octet-stream"

// The state has volumes 000 and 001, which are source and target, volume 002, and
// the task fc of the host vm.
var refusals = []refusal{
	{"esscli show task none", "GET /v1/tasks/none", "",
		func(_ context.Context, c *core.Core, by core.Caller) error { return failure(c.Task(by, "none")) }},
	{"esscli create task FC --type withdraw --source vm:Disk1 --target vm:Disk2", "POST /v1/tasks",
		`{"name":"FC","type":"withdraw","pairs":[{"source":"vm:Disk1","target":"vm:Disk2"}]}`,
		func(_ context.Context, c *core.Core, by core.Caller) error {
			return c.CreateTask(by, withdrawOf("FC", "vm:Disk1", "vm:Disk2"))
		}},
	{"esscli create task self --type withdraw --pair 00013698:00013698", "POST /v1/tasks",
		`{"name":"self","type":"withdraw","pairs":[{"source":"00013698","target":"00013698"}]}`,
		func(_ context.Context, c *core.Core, by core.Caller) error {
			return c.CreateTask(by, withdrawOf("self", "00013698", "00013698"))
		}},
	{"rsExecuteTask none", "POST /v1/tasks/none/runs", "{}",
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			return failure(c.StartRun(ctx, by, runner.Request{Task: "none"}))
		}},
	{"rsExecuteTask --dry-run fc", "POST /v1/tasks/fc/runs", `{"dry_run":true}`,
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			return failure(c.DryRun(ctx, by, runner.Request{Task: "fc"}))
		}},
	{"rsQueryComplete fc", "GET /v1/tasks/fc/completion", "",
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			return failure(c.Completion(ctx, by, "fc", 0))
		}},
	{"esscli show run none", "GET /v1/runs/none", "",
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			return failure(c.Run(ctx, by, "none", 0))
		}},
	{"esscli delete host none", "DELETE /v1/hosts/none", "",
		func(_ context.Context, c *core.Core, by core.Caller) error { return c.DeleteHost(by, "none") }},
	{"watcher esscli delete host vm", "DELETE /v1/hosts/vm", "",
		func(_ context.Context, c *core.Core, by core.Caller) error { return c.DeleteHost(by, "vm") }},
	{"setuser rmuser superuser", "DELETE /v1/users/superuser", "",
		func(_ context.Context, c *core.Core, by core.Caller) error { return c.DeleteUser(by, "superuser") }},
	{"setdevice rmess 10.0.0.9", "DELETE /v1/entries/ess/10.0.0.9", "",
		func(_ context.Context, c *core.Core, by core.Caller) error {
			return c.DeleteEntry(by, taskstore.EntryESS, "10.0.0.9")
		}},
	{"esscli delete credential abc", "DELETE /v1/credentials/abc", "",
		func(_ context.Context, c *core.Core, by core.Caller) error { return c.RevokeCredential(by, "abc") }},
	{"esscli set array 2105.99999 --copy-rate 1MiB", "PATCH /v1/arrays/2105.99999", `{"copy_rate":1048576}`,
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			rate := int64(1 << 20)
			return failure(c.SetArrayCopyRate(ctx, by, "2105.99999", &rate))
		}},
	{"esscli delete volume 00013698", "DELETE /v1/volumes/00013698", "",
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			return c.DeleteVolume(ctx, by, "00013698")
		}},
	{"esscli set volume 00213698 --size 1", "PATCH /v1/volumes/00213698", `{"size":1}`,
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			return failure(c.ChangeVolume(ctx, by, "00213698", core.VolumeChange{Size: 1}))
		}},
	{"esscli import volume 00113698 image", "PUT /v1/volumes/00113698/content", "content ",
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			return failure(c.ReplaceContent(ctx, by, "00113698", false))
		}},
	{"rsFlashCopyQuery FFF13698", "GET /v1/relationships?volume=FFF13698", "",
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			return failure(c.Relationships(ctx, by, "FFF13698"))
		}},
	{"esscli delete relationship 00013698:00213698", "POST /v1/relationships/withdraw",
		`{"pairs":[{"source":"00013698","target":"00213698"}]}`,
		func(ctx context.Context, c *core.Core, by core.Caller) error {
			do, err := c.Withdraw(by, pairOf("00013698", "00213698"))
			if err != nil {
				return err
			}
			return failure(do(ctx))
		}},
}

// failure is the error of what returns something too.
func failure[T any](_ T, err error) error { return err }

func pairOf(source, target string) []taskstore.TaskPair {
	return []taskstore.TaskPair{{Source: source, Target: target}}
}

func withdrawOf(name, source, target string) taskstore.Task {
	return taskstore.Task{Name: name, Type: taskstore.TaskWithdraw, Pairs: pairOf(source, target)}
}

// TestRefusalsAreTheSame asks the rules, then a server of the same state over REST and
// with commands. Kind, message, hint and exit code must be those of the rules.
func TestRefusalsAreTheSame(t *testing.T) {
	dir := t.TempDir()
	home, folder := filepath.Join(dir, "home"), filepath.Join(dir, "state")
	writeFiles(t, home, map[string]string{
		"password": "passw0rd\n", "image": strings.Repeat("content ", 1<<17),
	})
	want := refusalsOfRules(t, folder)
	s := startServer(t, folder)
	defer s.kill()
	for i, r := range refusals {
		if got := r.overREST(t, s.client.Answered()); got != want[i] {
			t.Errorf("%s\nanswers %+v,\nthe rules %+v", r.request, got, want[i])
		}
		r.byCommand(t, home, s.client.Answered(), want[i])
	}
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	err := os.Mkdir(dir, 0o700)
	for name, text := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// as returns the user who asks and what is left of the command.
func (r refusal) as() (by core.Caller, command string) {
	if rest, ok := strings.CutPrefix(r.command, "watcher "); ok {
		return core.Caller{Name: "watcher", Role: taskstore.RoleMonitor}, rest
	}
	return core.Caller{Name: "superuser", Role: taskstore.RoleAdmin}, r.command
}

// refusalsOfRules makes the state folder and asks the rules themselves.
func refusalsOfRules(t *testing.T, dir string) []fault.Detail {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cost := t.Context(), access.Cost{Memory: 64, Time: 1, Threads: 1}
	quiet := slog.New(slog.DiscardHandler)
	f, err := state.Open(ctx, state.Opening{
		Dir: dir, ArraySerial: "13698", FS: atomicfile.OS(), Cost: cost, Logger: quiet,
		Names: state.CertificateNames("127.0.0.1:0"),
	})
	must(err)
	defer func() { must(f.Close()) }()
	registry, err := arrays.New(ctx, f.Array)
	must(err)
	tasks, err := runner.New(ctx, f.Store, registry, quiet)
	must(err)
	defer func() { must(tasks.Stop(context.Background())) }()
	c := core.New(core.Parts{
		Store: f.Store, Box: f.Box, Arrays: registry, Runner: tasks, Attached: exports.NewAttachments(),
		Passwords: access.New(f.Store.Users(), cost), Logger: quiet,
		Access: access.NewHosts(f.Store, f.Authority),
	})
	must(fillForRefusals(ctx, c))
	var out []fault.Detail
	for _, r := range refusals {
		by, _ := r.as()
		err := r.rule(ctx, c, by)
		if err == nil {
			t.Fatalf("%s is not refused", r.command)
		}
		out = append(out, fault.DetailOf(err))
	}
	return out
}

func fillForRefusals(ctx context.Context, c *core.Core) error {
	by, _ := refusal{}.as()
	create, err := c.CreateVolumes(by, "", arrayclient.VolumeSpec{Size: 1 << 20, Count: 3})
	if err == nil {
		_, err = create(ctx)
	}
	if err != nil {
		return err
	}
	do, err := c.Establish(by, pairOf("00013698", "00113698"), arrayclient.Options{NoCopy: true})
	if err == nil {
		_, err = do(ctx)
	}
	if err != nil {
		return err
	}
	vm := taskstore.Host{Name: "vm", Devices: []taskstore.Device{
		{Name: "Disk1", Serial: "00013698"}, {Name: "Disk2", Serial: "00113698"},
	}}
	if _, _, err := c.PrimeHost(by, vm, core.Prime{}); err != nil {
		return err
	}
	task := taskstore.Task{
		Name: "fc", Type: taskstore.TaskEstablish, Pairs: pairOf("vm:Disk1", "vm:Disk2"),
	}
	if err := c.CreateTask(by, task); err != nil {
		return err
	}
	return failure(c.CreateUser(ctx, by, core.UserChange{
		Name: "watcher", Password: "passw0rd", Role: taskstore.RoleMonitor,
	}))
}

// overREST returns the error in the answer to the request.
func (r refusal) overREST(t *testing.T, address string) fault.Detail {
	t.Helper()
	method, path, _ := strings.Cut(r.request, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	by, _ := r.as()
	req.SetBasicAuth(by.Name, "passw0rd")
	req.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(path, "/content") {
		req.Header.Set("Content-Type", imageType)
	}
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var body api.ErrorBody
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil || resp.StatusCode < 400 {
		t.Errorf("%s: %s %s, %v", r.request, resp.Status, text, err)
	}
	return body.Error
}

// byCommand wants the command to end with the code and the text of the rules.
func (r refusal) byCommand(t *testing.T, home, address string, want fault.Detail) {
	t.Helper()
	by, line := r.as()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args, cmd.Dir = strings.Fields(line), home
	cmd.Env = []string{
		"HOME=" + home, "GORACE=atexit_sleep_ms=0", "RSCLI_SERVER=" + address, "RSCLI_USER=" + by.Name,
		"RSCLI_PASSWORD_FILE=" + filepath.Join(home, "password"),
	}
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	name := cmd.Args[0]
	message := want.Message
	if task := cmd.Args[len(cmd.Args)-1]; name == "rsExecuteTask" && !strings.Contains(message, task) {
		message = "task " + task + ": " + message // since a line may have more than one
	}
	text := fmt.Sprintf("%s: error: %s\n", name, message)
	if want.Hint != "" {
		text += fmt.Sprintf("%s: hint: %s\n", name, want.Hint)
	}
	if code := cmd.ProcessState.ExitCode(); code != want.Kind.ExitCode() || out.String() != text {
		t.Errorf("%s ends with %d and\n%swant %d and\n%s", line, code, &out, want.Kind.ExitCode(), text)
	}
}
