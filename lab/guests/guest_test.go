package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// shellGuest runs the console of the guests in a shell of this machine, where
// commands run as they would in a guest.
func shellGuest(t *testing.T, out *display) *guest {
	t.Helper()
	cmd := exec.Command("sh", "-c", consoleScript)
	cmd.Env = append(os.Environ(), "host=shell", "shell=sh -e")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	console, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := attach("shell", in, console, out)
	t.Cleanup(func() {
		in.Close()
		for range g.answers {
			continue
		}
		cmd.Wait()
	})
	return g
}

func TestConsole(t *testing.T) {
	var shown bytes.Buffer
	out := &display{w: &shown}
	g := shellGuest(t, out)
	for command, want := range map[string]string{
		"echo a; echo b >&2":            "a\nb\n",
		"printf 'no end'":               "no end",
		"true":                          "",
		`printf '  0 %%\r100 %%\r\n'`:   "100 %\n",
		"cat":                           "", // nothing on standard input
		`x='two  blanks'; echo "$x" \\`: "two  blanks \\\n",
	} {
		got, err := g.run(t.Context(), command)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", command, got, err, want)
		}
		out.mu.Lock()
		if !strings.Contains(shown.String(), "shell# "+command+"\n"+want) {
			t.Errorf("%s: shown is %q", command, shown.String())
		}
		shown.Reset()
		out.mu.Unlock()
	}
}

func TestFailingStepEndsTheReplay(t *testing.T) {
	for _, c := range []struct{ step, want string }{
		{"exit 3", `shell: "exit 3" ended with status 3`},
		{"false", "ended with status 1"},
		{"false; true", "ended with status 1"},
		{"no-such-command", "ended with status 127"},
		{"kill -KILL $$", "ended with status 137"},
		{"kill -KILL $PPID", "shell ended during"},
	} {
		r := &replay{ctx: t.Context(), lab: &lab{out: &display{w: io.Discard}}}
		g := shellGuest(t, r.out)
		later := filepath.Join(t.TempDir(), "later")
		r.on(g, "true")
		r.on(g, "%s", c.step)
		r.on(g, "touch %s", later)
		r.require(false, "a later error")
		r.until("a later step", func() bool { t.Errorf("%s: went on", c.step); return true })
		if r.err == nil || !strings.Contains(r.err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %s", c.step, r.err, c.want)
		}
		if _, err := os.Stat(later); err == nil {
			t.Errorf("%s: the step after it was run", c.step)
		}
	}
}

func TestStepWithoutEnd(t *testing.T) {
	g := shellGuest(t, &display{w: io.Discard})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := g.run(ctx, "sleep 1")
	if err == nil || !strings.Contains(err.Error(), `"sleep 1" did not end`) {
		t.Errorf("the error is %v", err)
	}
}

func TestRequire(t *testing.T) {
	r := &replay{ctx: t.Context()}
	r.require(true, "nothing")
	if r.err != nil {
		t.Error(r.err)
	}
	r.require(false, "%d is not %d", 1, 2)
	if r.err == nil || r.err.Error() != "1 is not 2" {
		t.Error(r.err)
	}
}

func TestSumsOfNothingFail(t *testing.T) {
	r := &replay{ctx: t.Context()}
	g := shellGuest(t, &display{w: io.Discard})
	if r.sums(g, t.TempDir()); r.err == nil {
		t.Error("a folder without files has checksums")
	}
}

func TestDevice(t *testing.T) {
	const list = "disk name        2105 serial number\n" +
		"-------------    ----------------------------\n" +
		"/dev/sdb         20313698\n/dev/sda         20513698\n"
	r := &replay{ctx: t.Context()}
	if got := r.device(list, "20513698"); got != "/dev/sda" || r.err != nil {
		t.Errorf("%q, %v", got, r.err)
	}
	if got := r.device(list, "20413698"); got != "" || r.err == nil {
		t.Errorf("%q, %v", got, r.err)
	}
}

func TestDoneRequests(t *testing.T) {
	const stat = "  92 0 718 36 1537 1106 28318 3558 0 3396 6091 2 0 131074 1 829 2494\n"
	if got := doneRequests(stat); got != "92 1537 829" {
		t.Errorf("%q", got)
	}
}

func TestMachineArgs(t *testing.T) {
	m := machine{name: "one", nbd: "127.0.0.1:10809", volumes: []string{"20313698", "20513698"}}
	args, err := m.args()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"driver=nbd,node-name=disk1,server.type=inet,server.host=127.0.0.1,server.port=10809," +
			"export=20513698,reconnect-delay=60,cache.direct=on,discard=unmap",
		"scsi-hd,bus=scsi0.0,lun=1,drive=disk1,vendor=IBM,product=2105800,ver=.106," +
			"serial=20513698,wwn=0x5005076300c00205",
		"console=ttyS0 panic=-1 quiet nokaslr mitigations=off host=one disks=2",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("%q has no %q", args, want)
		}
	}
	if _, err := (machine{nbd: "nowhere"}).args(); err == nil {
		t.Error("an address without a port is taken")
	}
}

func TestScriptsParse(t *testing.T) {
	for _, script := range []string{initScript, consoleScript, dbloadScript} {
		cmd := exec.Command("sh", "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, script)
		}
	}
}
