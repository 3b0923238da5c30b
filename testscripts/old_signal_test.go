//go:build unix

package testscripts

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSignalsWithoutAnAnswer ends commands that wait for a server that hangs, as
// cron's mother process does at shutdown: at once, with one message and 130.
func TestSignalsWithoutAnAnswer(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "state"))
	t.Cleanup(s.kill) // after the parallel parts
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	address := s.client.Answered()
	for _, line := range []string{
		"rsExecuteTask.sh NIGHTLY", "rsExecuteTask --wait-lock 1h NIGHTLY", "rsQueryComplete NIGHTLY",
		"rsTestConnection", "rsPrimeServer --sysroot hosts/rich-w2k-os-1", "esscli list volume",
		"setuser lsuser",
	} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
			t.Run(line+" "+sig.String(), func(t *testing.T) {
				t.Parallel()
				words := append(strings.Fields(line), "-v", "-s", address, "-u", "superuser",
					"-p", "passw0rd")
				endBySignal(t, exec.CommandContext(t.Context(), words[0], words[1:]...), sig)
			})
		}
	}
}

// endBySignal sends the signal when the command has logged that it connects.
func endBySignal(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var messages []string
	var signalled time.Time
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "time=") {
			messages = append(messages, lines.Text())
			continue
		}
		if strings.Contains(lines.Text(), "msg=connecting") {
			signalled = time.Now()
			if err := cmd.Process.Signal(sig); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("%v: ended with %d", cmd.Args, code)
	}
	if len(messages) == 0 || !strings.HasSuffix(messages[0], "interrupted") || stdout.Len() > 0 {
		t.Errorf("%v: says %q and %q", cmd.Args, messages, &stdout)
	}
	if late := time.Since(signalled); late > 3*time.Second {
		t.Errorf("%v: took %v to end", cmd.Args, late)
	}
}
