//go:build unix

package program_test

import (
	"net/http"
	"os"
	"syscall"
	"testing"

	"copyservices/copyserver/api"
	"copyservices/rscli"
	"copyservices/rscli/rsclitest"
)

// TestSignalsEndACommand sends this process the signals that end a command.
func TestSignalsEndACommand(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	t.Setenv("HOME", b.Home)
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("RSCLI_CONFIG", b.Vars["RSCLI_CONFIG"])
	stdout, stderr, args := os.Stdout, os.Stderr, os.Args
	defer func() { os.Stdout, os.Stderr, os.Args = stdout, stderr, args }()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		f.Handle("GET /v1/tasks/"+rsclitest.TaskName+"/completion", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("wait") == "" {
				rsclitest.SendJSON(w, http.StatusOK, api.Completion{Task: rsclitest.TaskName})
				return
			}
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		})
		log, err := os.Create(b.Home + "/log")
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout, os.Stderr = log, log
		os.Args = []string{"rsQueryComplete", "-s", f.Addr(), rsclitest.TaskName}
		code := rscli.QueryCompleteMain()
		os.Stdout, os.Stderr = stdout, stderr
		text, _ := os.ReadFile(log.Name())
		log.Close()
		want := "rsQueryComplete: error: interrupted while task " + rsclitest.TaskName + " is copying\n" +
			"rsQueryComplete: hint: it goes on; wait for its end with: rsQueryComplete " + rsclitest.TaskName + "\n"
		if code != 130 || string(text) != want {
			t.Errorf("after %v: code %d, %q", sig, code, text)
		}
	}
}
