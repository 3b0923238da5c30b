package complete_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"copyservices/rscli/complete"
	"copyservices/rscli/esscli"
	"copyservices/rscli/rsclitest"
)

// TestAsProgram is no test: it is how the tests below start a real process.
func TestAsProgram(t *testing.T) {
	rsclitest.AsProgram(t, map[string]func() int{"esscli": esscli.Main})
}

// shellWorld is a home in which a shell finds esscli, which knows the server.
func shellWorld(t *testing.T, f *rsclitest.Server) (b *rsclitest.Bench, env []string) {
	t.Helper()
	b = rsclitest.NewBench(t)
	b.Write("bin/esscli", 0o755, "#!/bin/sh\n"+
		rsclitest.RunAs+"=esscli exec '"+os.Args[0]+"' -test.run='^TestAsProgram$' -- \"$@\"\n")
	for _, shell := range complete.ShellNames {
		b.Expect(b.Run(esscli.New, "completion", shell), 0)
		b.Write("completion."+shell, 0o600, b.Out.String())
	}
	return b, []string{
		"HOME=" + b.Home, "PATH=" + filepath.Join(b.Home, "bin") + ":/usr/bin:/bin", "TERM=dumb",
		"RSCLI_CONFIG=" + b.Vars["RSCLI_CONFIG"], "RSCLI_SERVER=" + f.Addr(), "LC_ALL=C.UTF-8",
	}
}

// needShell skips the test where the shell is not installed; bash is everywhere
// where the tests of this project are to run.
func needShell(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && name == "bash" && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	return path
}

// startShell starts an interactive shell and lets it read the script.
func startShell(t *testing.T, name string, args ...string) *rsclitest.PTY {
	t.Helper()
	path := needShell(t, name)
	b, env := shellWorld(t, serveThings(t))
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Dir = append(env, "PS1=$ ", "PS2="), b.Home
	p := rsclitest.StartCommand(t, cmd)
	p.Expect("$ ")
	if name == "zsh" {
		p.Send("autoload -Uz compinit; compinit -u -D; ")
	}
	p.Send("source ./completion." + name + "; echo re''ady\r")
	p.Expect("ready\r\n")
	p.Expect("$ ")
	return p
}

// tab types a line that is begun, waits for how it goes on, and clears it.
func tab(p *rsclitest.PTY, begun, rest string) {
	p.T.Helper()
	p.Send(begun)
	p.Expect(begun)
	p.Send(rsclitest.KeyTab)
	p.Expect(rest)
	p.Send("\x15") // kills the line
}

func TestBashCompletesOnATerminal(t *testing.T) {
	p := startShell(t, "bash", "--norc", "--noprofile", "-i")
	tab(p, "rsExecuteTask N", "IGHTLY ")
	tab(p, "rsExecuteTask.sh --wait NIGHTLY m", `y\ task `)
	tab(p, `rsExecuteTask "m`, `y task" `)
	tab(p, "esscli cr", "eate ")
	tab(p, "echo x; esscli create task T --pair 20313698:", "20413698 ")
	tab(p, "esscli create task T --type=rev", "erse ")
	tab(p, "rsQuery --password-file comp", "letion.")
	p.Send("exit" + rsclitest.KeyEnter)
	p.ExpectExit(0)
}

func TestZshCompletesOnATerminal(t *testing.T) {
	p := startShell(t, "zsh", "-f", "-i")
	tab(p, "rsExecuteTask N", "IGHTLY ")
	tab(p, "rsExecuteTask.sh --wait NIGHTLY m", `y\ task `)
	tab(p, "esscli cr", "eate ")
	tab(p, "esscli create task T --pair 20313698:", "20413698 ")
	p.Send("exit" + rsclitest.KeyEnter)
	p.ExpectExit(0)
}

// Fish can be asked what it would offer.
func TestFishCompletes(t *testing.T) {
	path := needShell(t, "fish")
	b, env := shellWorld(t, serveThings(t))
	for line, want := range map[string]string{
		"rsExecuteTask N":                          "NIGHTLY\testablish\n",
		"rsExecuteTask.sh --wait m":                "my task\twithdraw\n",
		"esscli create task T --pair 20313698:":    "20313698:20413698\t0\n",
		"rsQuery --password-file " + b.Home + "/b": b.Home + "/bin/\n",
	} {
		cmd := exec.Command(path, "--no-config", "-c", "source completion.fish; complete -C $argv[1]", line)
		cmd.Env, cmd.Dir = env, b.Home
		out, err := cmd.CombinedOutput()
		if got := strings.ReplaceAll(string(out), "\t\n", "\n"); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
}
