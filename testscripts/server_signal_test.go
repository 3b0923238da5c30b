//go:build unix

package testscripts

import (
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestServerEndsBySignal: the signals that end a terminal, a session and a service
// end the server cleanly, also beside clients that have sent nothing.
func TestServerEndsBySignal(t *testing.T) {
	// A process that handles a signal starts others that do not ignore it, even when it
	// is itself under nohup.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			s := startServer(t, filepath.Join(t.TempDir(), "state"))
			for _, address := range []string{s.client.Answered(), s.nbd} {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
			}
			time.Sleep(50 * time.Millisecond) // they are accepted
			begin := time.Now()
			if err := s.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := s.cmd.Wait(); err != nil {
				t.Errorf("the server ended with %v\n%s", err, &s.log)
			}
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("it took %v to end", took)
			}
			if _, err := os.Stat(s.ready); err == nil {
				t.Error("its ready file is left")
			}
		})
	}
}

// TestServerOutlivesItsTerminal: under nohup, which has it ignore SIGHUP.
func TestServerOutlivesItsTerminal(t *testing.T) {
	s := startServerBy(t, filepath.Join(t.TempDir(), "state"), func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `trap "" HUP; exec copyserver "$@"`}, cmd.Args...)
		cmd.Path = "/bin/sh"
	})
	t.Cleanup(s.kill)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if _, err := s.client.Server(t.Context()); err != nil {
		t.Errorf("the server is gone: %v", err)
	}
}
