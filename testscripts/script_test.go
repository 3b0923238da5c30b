// Package testscripts holds the txtar scripts, which specify every binary's
// behaviour, and the tests that need the binaries.
package testscripts

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"copyservices/copyserver/program"
	"copyservices/rscli"
	"copyservices/rscli/esscli"
	"copyservices/rscli/shell"
)

var update = flag.Bool("u", false, "write what the commands print into the scripts")

// mains are the binaries that the scripts run, each as a process of its own.
var mains = map[string]func() int{
	"copyserver":       program.Main,
	"esscli":           esscli.Main,
	"rsExecuteTask":    rscli.ExecuteTaskMain,
	"rsFlashCopyQuery": rscli.FlashCopyQueryMain,
	"rsList2105s":      rscli.ListMain,
	"rsPrimeServer":    rscli.PrimeMain,
	"rsQuery":          rscli.QueryMain,
	"rsQueryComplete":  rscli.QueryCompleteMain,
	"rsTestConnection": rscli.TestConnectionMain,
	"setdevice":        shell.SetDeviceMain,
	"setuser":          shell.SetUserMain,
}

func TestMain(m *testing.M) {
	programs := make(map[string]func(), 2*len(mains))
	for name, run := range mains {
		programs[name] = func() { os.Exit(run()) }
		programs[name+".sh"] = programs[name] // a link, as old scripts call them
	}
	testscript.Main(m, programs)
}

// TestScripts runs the scripts of this folder. $HOSTS is the folder of captured
// hosts, $MAN that of the manual pages, $OLD that of the old scripts. Beyond the
// commands of testscript there are
//
//	status N PROGRAM ARG...  runs a program that must end with code N
//	ready FILE               waits for the ready file of a copyserver in the
//	                         background; sets RSCLI_SERVER, NBD, FINGERPRINT
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 ".",
		Setup:               setUp,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": runStatus,
			"ready":  awaitReady,
		},
	})
}

// setUp makes the script's folder the home, and the user that every
// installation starts with the one who acts, with a password file so that -u
// alone makes another user of the same password act.
func setUp(env *testscript.Env) error {
	hosts, err := filepath.Abs("hosts")
	if err != nil {
		return err
	}
	password := filepath.Join(env.WorkDir, "default.password")
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("HOSTS", hosts)
	env.Setenv("OLD", filepath.Join(hosts, "..", "old"))
	env.Setenv("MAN", filepath.Join(hosts, "..", "..", "man"))
	env.Setenv("TZ", "UTC")
	// With the race detector every process sleeps a second at its end, otherwise.
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	env.Setenv("RSCLI_USER", "superuser")
	env.Setenv("RSCLI_PASSWORD_FILE", password)
	return os.WriteFile(password, []byte("passw0rd\n"), 0o600)
}

func runStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var ended *exec.ExitError
	got := 0
	if errors.As(err, &ended) {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", args[1], got, want)
	}
}

// readyTime is far more than a server needs, also with the race detector on
// a busy machine.
const readyTime = 60 * time.Second

func awaitReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	var text []byte
	for end := time.Now().Add(readyTime); ; time.Sleep(10 * time.Millisecond) {
		var err error
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil {
			break
		}
		if time.Now().After(end) {
			ts.Fatalf("the server is not ready: %v", err)
		}
	}
	var server struct {
		Address     string `json:"address"`
		NBD         string `json:"nbd_address"`
		Fingerprint string `json:"fingerprint"`
	}
	ts.Check(json.Unmarshal(text, &server))
	ts.Setenv("RSCLI_SERVER", server.Address)
	ts.Setenv("NBD", server.NBD)
	ts.Setenv("FINGERPRINT", server.Fingerprint)
}
