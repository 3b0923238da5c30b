//go:build unix

package rscli

import (
	"net/http"
	"os"
	"syscall"
	"testing"

	"copyservices/copyserver/api"
)

// TestSignalsEndACommand sends this process the signals that end a command.
func TestSignalsEndACommand(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	t.Setenv("HOME", b.home)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("RSCLI_CONFIG", b.vars["RSCLI_CONFIG"])
	stdout, stderr, args := os.Stdout, os.Stderr, os.Args
	defer func() { os.Stdout, os.Stderr, os.Args = stdout, stderr, args }()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		f.handle("GET /v1/tasks/"+taskName+"/completion", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("wait") == "" {
				sendJSON(w, http.StatusOK, api.Completion{Task: taskName})
				return
			}
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		})
		log, err := os.Create(b.home + "/log")
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout, os.Stderr = log, log
		os.Args = []string{"rsQueryComplete", "-s", f.addr(), taskName}
		code := QueryCompleteMain()
		os.Stdout, os.Stderr = stdout, stderr
		text, _ := os.ReadFile(log.Name())
		log.Close()
		want := "rsQueryComplete: error: interrupted while task " + taskName + " is copying\n" +
			"rsQueryComplete: hint: it goes on; wait for its end with: rsQueryComplete " + taskName + "\n"
		if code != 130 || string(text) != want {
			t.Errorf("after %v: code %d, %q", sig, code, text)
		}
	}
}
