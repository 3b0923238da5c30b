package program

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copyservices/copyserver"
	"copyservices/copyserver/announce"
)

// execute runs the program as far as it goes by itself.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestMainEndings(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	must(t, os.WriteFile(config, []byte("listen: 127.0.0.1:0\nlissen: x\n"), 0o600))
	two := filepath.Join(dir, "two.yaml")
	must(t, os.WriteFile(two, []byte("listen: 127.0.0.1:0\n---\n{}\n"), 0o600))
	wrong := filepath.Join(dir, "wrong.yaml")
	must(t, os.WriteFile(wrong, []byte("nbd-insecure: perhaps\n"), 0o600))
	nonsense := filepath.Join(dir, "nonsense.yaml")
	must(t, os.WriteFile(nonsense, []byte("{{{]] not: yaml"), 0o600))
	empty := filepath.Join(dir, "empty.yaml")
	must(t, os.WriteFile(empty, []byte("\ufefflisten: 127.0.0.1:0\nready-file: ''\n"), 0o600))
	list := filepath.Join(dir, "list.yaml")
	must(t, os.WriteFile(list, []byte("[listen]"), 0o600))
	state := "--state=" + filepath.Join(dir, "state")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, 2, "no state folder is given"},
		{[]string{"--nope"}, 2, "-nope"},
		{[]string{state, "extra"}, 2, `unexpected argument "extra"`},
		{[]string{state, "--log-level", "loud"}, 2, `"loud" is no log level`},
		{[]string{state, "--log-format", "xml"}, 2, `"xml" is no log format`},
		{[]string{state, "--memory", "lots"}, 2, `"lots" is no amount of memory`},
		{[]string{state, "--memory", "64MiB"}, 2, "64MiB of memory are too little"},
		{[]string{state, "--memory", "99999999TiB"}, 2, "is no amount of memory"},
		{[]string{state, "--listen", "here"}, 2, `"here" is no address`},
		{[]string{state, "--listen", "here:99999"}, 2, `"here:99999" is no address`},
		{[]string{state, "--listen", ""}, 2, "--listen is empty"},
		{[]string{state, "--config="}, 2, "--config is empty"},
		{[]string{"check", "--state", ""}, 2, "--state is empty"},
		{[]string{"service", "install", state, "--ready-file="}, 2, "--ready-file is empty"},
		{[]string{state, "--config", empty}, 2, empty + ": line 2: the value of ready-file is empty\n"},
		{[]string{state, "--config", config}, 2, config + `: line 2: there is no key "lissen"` + "\n"},
		{[]string{state, "--config", wrong}, 2, "line 1: 'perhaps' is not true or false\n"},
		{[]string{state, "--config", list}, 2, "line 1: it is not a mapping of keys to values\n"},
		{[]string{state, "--config", nonsense}, 2, nonsense + ": line 1: "},
		{[]string{state, "--config", two}, 2, "more than one YAML document"},
		{[]string{state, "--config", "/none"}, 2, "/none"},
		{[]string{"--state", dir}, 2, "is not a state folder, and not empty"},
		{[]string{"check"}, 2, "no state folder is given"},
		{[]string{"check", "--nope"}, 2, "-nope"},
		{[]string{"check", state, "extra"}, 2, `unexpected argument "extra"`},
		{[]string{"check", state}, 10, "is not a state folder"},
	} {
		code, stdout, stderr := execute(t, c.args...)
		if code != c.code || !strings.HasPrefix(stderr, "copyserver: error: ") ||
			!strings.Contains(stderr, c.want) || stdout != "" {
			t.Errorf("%q: code %d, stdout %q, stderr %q; want %d and %q",
				c.args, code, stdout, stderr, c.code, c.want)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	code, stdout, stderr := execute(t, "--help")
	for _, flag := range serverFlags() {
		if !strings.Contains(stdout, "--"+flag.Names()[0]) {
			t.Errorf("--%s is not in the help", flag.Names()[0])
		}
	}
	if code != 0 || stderr != "" {
		t.Errorf("help: code %d, stderr %q", code, stderr)
	}
	if code, stdout, _ = execute(t, "--version"); code != 0 || !strings.Contains(stdout, copyserver.Version) {
		t.Errorf("version: code %d, %q", code, stdout)
	}
}

type fullOutput struct{}

func (fullOutput) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestLostOutputIsNoSuccess(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	opts := copyserver.DefaultOptions()
	opts.State, opts.Listen, opts.NBDListen = state, "127.0.0.1:0", copyserver.NoNBD
	must(t, newAndStop(opts))
	for _, args := range [][]string{
		{"--help"}, {"--version"}, {"check", "--help"}, {"check", "--state", state}, {"service", "install", "--help"},
	} {
		var stderr bytes.Buffer
		code := run(t.Context(), args, fullOutput{}, &stderr)
		if want := "copyserver: error: cannot write the result: no space left on device\n"; code != 1 ||
			stderr.String() != want {
			t.Errorf("%q: code %d, %s", args, code, &stderr)
		}
	}
}

// TestMainServes runs the program from a configuration file until it is
// interrupted, and checks the folder afterwards.
func TestMainServes(t *testing.T) {
	dir := t.TempDir()
	state, ready := filepath.Join(dir, "state"), filepath.Join(dir, "ready")
	config := filepath.Join(dir, "config.yaml")
	must(t, os.WriteFile(config, []byte("\ufeffstate: /nowhere\nlisten: 127.0.0.1:0\nnbd-listen: none\n"+
		"array-serial: \"13698\"\nlog-format: json\nready-file: "+ready+"\n"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	var stderr syncBuffer
	var wg sync.WaitGroup
	code := -1
	wg.Go(func() {
		code = run(ctx, []string{"--config", config, "--state", state}, &bytes.Buffer{}, &stderr)
	})
	var r announce.Ready
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(ready); err == nil {
			must(t, json.Unmarshal(data, &r))
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not ready: %s", stderr.String())
		}
	}
	if r.Array != "2105.13698" || r.NBDAddress != "" {
		t.Errorf("ready: %+v", r)
	}
	if c, _, errs := execute(t, "check", "--state", state); c != 11 || !strings.Contains(errs, state) {
		t.Errorf("check of a folder in use: code %d, %s", c, errs)
	}
	cancel()
	wg.Wait()
	if code != 0 {
		t.Errorf("code %d: %s", code, stderr.String())
	}
	for line := range strings.Lines(stderr.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line %q is not JSON", line)
		}
	}
	c, stdout, errs := execute(t, "check", "--state", state)
	if c != 0 || stdout != state+" is in order\n" || errs != "" {
		t.Errorf("check: code %d, %q, %q", c, stdout, errs)
	}
	for _, name := range []string{"secret.key", filepath.Join("users", "superuser.yaml")} {
		must(t, os.WriteFile(filepath.Join(state, name), []byte("x"), 0o600))
	}
	c, stdout, errs = execute(t, "check", "--state", state)
	if c != 1 || stdout != "" || strings.Count(errs, "copyserver: error: ") != 2 {
		t.Errorf("check of damage: code %d, %q, %q", c, stdout, errs)
	}
	if c, _, errs = execute(t, "--config", config, "--state", state); c != 1 ||
		!strings.Contains(errs, "secret.key") {
		t.Errorf("start on damage: code %d, %q", c, errs)
	}
}
