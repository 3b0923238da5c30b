//go:build linux

package testscripts

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endings has for every command, and every code that its man page names, a line
// that ends with that code. The variables are those of codeLab.
const endings = `
0 copyserver --version
1 copyserver --state $HOME/new --listen $RSCLI_SERVER --nbd-listen none
2 copyserver
4 copyserver check --state $BROKEN
10 copyserver check --state $HOME
11 copyserver --state $STATE --listen 127.0.0.1:0 --nbd-listen none

0 rsList2105s --sysroot $HOSTS/rich-w2k-os-1
1 rsList2105s >/dev/full
2 rsList2105s --sysroot $HOME
130 env RSCLI_CONFIG=$FIFO rsList2105s

0 rsPrimeServer --sysroot $HOSTS/rich-w2k-os-1
1 rsPrimeServer --sysroot $HOSTS/rich-w2k-os-1 >/dev/full
2 rsPrimeServer --sysroot $HOME
3 rsPrimeServer --sysroot $HOSTS/rich-w2k-os-1 -s $NOBODY
4 rsPrimeServer --sysroot $HOSTS/rich-w2k-os-1 -u damaged
5 rsPrimeServer --sysroot $HOSTS/rich-w2k-os-1 -u watcher
6 rsPrimeServer --sysroot $HOSTS/rich-w2k-os-1 --hostname localhost
130 rsPrimeServer --sysroot $HOSTS/rich-w2k-os-1 -s $SILENT

0 rsExecuteTask quick
1 rsExecuteTask --dry-run done >/dev/full
2 rsExecuteTask
3 rsExecuteTask -s $NOBODY quick
4 rsExecuteTask -u damaged quick
5 rsExecuteTask -u watcher quick
6 rsExecuteTask impossible
7 rsExecuteTask --wait --timeout 0 slow2
10 rsExecuteTask unknown
11 rsExecuteTask slow
130 rsExecuteTask -s $SILENT quick

0 rsQuery $SOURCE
1 rsQuery $SOURCE >/dev/full
2 rsQuery
3 rsQuery -s $NOBODY $SOURCE
4 rsQuery -u damaged $SOURCE
5 rsQuery -p wrong $SOURCE
10 rsQuery FFF13698
130 rsQuery -s $SILENT $SOURCE

0 rsQueryComplete done
1 rsQueryComplete done >/dev/full
2 rsQueryComplete
3 rsQueryComplete -s $NOBODY done
4 rsQueryComplete -u damaged done
5 rsQueryComplete -p wrong done
6 rsQueryComplete impossible
7 rsQueryComplete --timeout 0 slow
10 rsQueryComplete unknown
130 rsQueryComplete -s $SILENT done

0 rsFlashCopyQuery
1 rsFlashCopyQuery >/dev/full
2 rsFlashCopyQuery nonsense
3 rsFlashCopyQuery -s $NOBODY
4 rsFlashCopyQuery -u damaged
5 rsFlashCopyQuery -p wrong
10 rsFlashCopyQuery FFF13698
130 rsFlashCopyQuery -s $SILENT

0 rsTestConnection
1 rsTestConnection >/dev/full
2 rsTestConnection nonsense
3 rsTestConnection -s $NOBODY
4 rsTestConnection -u damaged
5 rsTestConnection -p wrong
130 rsTestConnection -s $SILENT

0 setdevice lsess
1 setdevice lsess >/dev/full
2 setdevice nonsense
3 setdevice -s $NOBODY lsess
4 setdevice -u damaged lsess
5 setdevice -u watcher lsess
10 setdevice rmess 10.0.0.5
130 setdevice -s $SILENT lsess

0 setuser lsuser
1 setuser lsuser >/dev/full
2 setuser nonsense
3 setuser -s $NOBODY lsuser
4 setuser -u damaged lsuser
5 setuser -u watcher lsuser
6 setuser rmuser superuser
10 setuser rmuser unknown
130 setuser -s $SILENT lsuser

0 esscli list volume
1 esscli list volume >/dev/full
2 esscli nonsense
3 esscli -s $NOBODY list volume
4 esscli -u damaged list volume
5 esscli -u watcher list user
6 esscli delete volume $SOURCE
10 esscli show volume FFF13698
11 esscli delete run $RUN
130 esscli -s $SILENT list volume
`

// TestExitCodes provokes every exit code that a man page names, and looks whether a
// page names every code that is provoked.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	lab := newCodeLab(t)
	provoked := map[string][]int{}
	for line := range strings.Lines(endings) {
		code, command, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found {
			continue
		}
		want, err := strconv.Atoi(code)
		if err != nil {
			t.Fatal(err)
		}
		name := programOf(command)
		provoked[name] = append(provoked[name], want)
		t.Run(fmt.Sprint(name, " ", want), func(t *testing.T) {
			t.Parallel()
			lab.provoke(t, command, want)
		})
	}
	all := map[int]bool{}
	for name := range mains {
		codes := codesOfPage(t, name)
		for _, code := range codes {
			all[code] = true
		}
		if !slices.Equal(codes, provoked[name]) {
			t.Errorf("the man page of %s has the codes %d, provoked are %d", name, codes, provoked[name])
		}
	}
	if codes := codesOfPage(t, "copyservices"); !slices.Equal(codes, slices.Sorted(maps.Keys(all))) {
		t.Errorf("copyservices(7) has the codes %d, its commands %v", codes, slices.Sorted(maps.Keys(all)))
	}
}

// programOf is the command that a line is about.
func programOf(line string) string {
	for _, word := range strings.Fields(line) {
		if mains[word] != nil {
			return word
		}
	}
	return ""
}

var codeItem = regexp.MustCompile(`(?m)^\.It ([0-9]+)$`)

// codesOfPage returns the codes under EXIT STATUS, as they stand there.
func codesOfPage(t *testing.T, name string) []int {
	t.Helper()
	files, err := filepath.Glob("../man/" + name + ".[178]")
	if err != nil || len(files) != 1 {
		t.Fatalf("%s has the pages %q, %v", name, files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n.Sh EXIT STATUS\n")
	section, _, _ = strings.Cut(section, "\n.Sh ")
	var codes []int
	for _, m := range codeItem.FindAllStringSubmatch(section, -1) {
		code, _ := strconv.Atoi(m[1])
		codes = append(codes, code)
	}
	return codes
}

// provoke runs a line in an empty home. Where it is about SILENT or FIFO, it is
// interrupted while it waits for that.
func (lab *codeLab) provoke(t *testing.T, line string, want int) {
	home := t.TempDir()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "exec "+line)
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, &out, &out
	cmd.Env = append(slices.Clone(lab.env), "HOME="+home)
	wait := func() {}
	switch {
	case strings.Contains(line, "$SILENT"):
		wait = interruptSilent(t, cmd)
	case strings.Contains(line, "$FIFO"):
		wait = interruptFIFO(t, cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait()
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("%s ended with %d, want %d:\n%s", line, got, want, &out)
	}
}

// interruptSilent lets the command wait for a server that does not answer; the
// function that it returns interrupts it there.
func interruptSilent(t *testing.T, cmd *exec.Cmd) func() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cmd.Env = append(cmd.Env, "SILENT="+l.Addr().String())
	return func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { conn.Close() })
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}
}

// interruptFIFO lets the command wait for its configuration and interrupts it
// there. That it has noticed shows in what it does about a second interrupt: as
// before it began, which is to ignore it.
func interruptFIFO(t *testing.T, cmd *exec.Cmd) func() {
	fifo := filepath.Join(cmd.Dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "FIFO="+fifo)
	cmd.Args[2] = "trap '' INT; " + cmd.Args[2]
	return func() {
		pid := cmd.Process.Pid
		name := programOf(cmd.Args[2])
		awaitSignal(t, pid, name, "SigCgt")
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		awaitSignal(t, pid, name, "SigIgn")
		if err := os.WriteFile(fifo, []byte("models: 2105\n"), 0); err != nil {
			t.Error(err)
		}
	}
}

// awaitSignal waits until the process is the program of that name, no longer the
// shell that starts it, and SIGINT is in a set of its signals.
func awaitSignal(t *testing.T, pid int, name, set string) {
	t.Helper()
	for end := time.Now().Add(readyTime); ; time.Sleep(time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), set+":\t")
		digits, _, _ := strings.Cut(rest, "\n")
		signals, err := strconv.ParseUint(digits, 16, 64)
		isIt := strings.HasPrefix(string(status), "Name:\t"+name+"\n")
		if isIt && err == nil && signals>>(syscall.SIGINT-1)&1 == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("SIGINT is not in %s of %s:\n%s", set, name, status)
		}
	}
}
