package rscli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shellWorld is a home in which a shell finds esscli, which knows the server.
func shellWorld(t *testing.T, f *fakeServer) (b *bench, env []string) {
	t.Helper()
	b = newBench(t)
	b.write("bin/esscli", 0o755, "#!/bin/sh\n"+
		runAs+"=esscli exec '"+os.Args[0]+"' -test.run='^TestAsProgram$' -- \"$@\"\n")
	for _, shell := range shellNames {
		b.expect(b.run(newESSCLI, "completion", shell), 0)
		b.write("completion."+shell, 0o600, b.stdout.String())
	}
	return b, []string{
		"HOME=" + b.home, "PATH=" + filepath.Join(b.home, "bin") + ":/usr/bin:/bin", "TERM=dumb",
		"RSCLI_CONFIG=" + b.vars["RSCLI_CONFIG"], "RSCLI_SERVER=" + f.addr(), "LC_ALL=C.UTF-8",
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
func startShell(t *testing.T, name string, args ...string) *pty {
	t.Helper()
	path := needShell(t, name)
	b, env := shellWorld(t, serveThings(t))
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Dir = append(env, "PS1=$ ", "PS2="), b.home
	p := startCommand(t, cmd)
	p.expect("$ ")
	if name == "zsh" {
		p.send("autoload -Uz compinit; compinit -u -D; ")
	}
	p.send("source ./completion." + name + "; echo re''ady\r")
	p.expect("ready\r\n")
	p.expect("$ ")
	return p
}

// tab types a line that is begun, waits for how it goes on, and clears it.
func (p *pty) tab(begun, rest string) {
	p.t.Helper()
	p.send(begun)
	p.expect(begun)
	p.send(keyTab)
	p.expect(rest)
	p.send("\x15") // kills the line
}

func TestBashCompletesOnATerminal(t *testing.T) {
	p := startShell(t, "bash", "--norc", "--noprofile", "-i")
	p.tab("rsExecuteTask N", "IGHTLY ")
	p.tab("rsExecuteTask.sh --wait NIGHTLY m", `y\ task `)
	p.tab(`rsExecuteTask "m`, `y task" `)
	p.tab("esscli cr", "eate ")
	p.tab("echo x; esscli create task T --pair 20313698:", "20413698 ")
	p.tab("esscli create task T --type=rev", "erse ")
	p.tab("rsQuery --password-file comp", "letion.")
	p.send("exit" + keyEnter)
	p.expectExit(0)
}

func TestZshCompletesOnATerminal(t *testing.T) {
	p := startShell(t, "zsh", "-f", "-i")
	p.tab("rsExecuteTask N", "IGHTLY ")
	p.tab("rsExecuteTask.sh --wait NIGHTLY m", `y\ task `)
	p.tab("esscli cr", "eate ")
	p.tab("esscli create task T --pair 20313698:", "20413698 ")
	p.send("exit" + keyEnter)
	p.expectExit(0)
}

// Fish can be asked what it would offer.
func TestFishCompletes(t *testing.T) {
	path := needShell(t, "fish")
	b, env := shellWorld(t, serveThings(t))
	for line, want := range map[string]string{
		"rsExecuteTask N":                          "NIGHTLY\testablish\n",
		"rsExecuteTask.sh --wait m":                "my task\twithdraw\n",
		"esscli create task T --pair 20313698:":    "20313698:20413698\t0\n",
		"rsQuery --password-file " + b.home + "/b": b.home + "/bin/\n",
	} {
		cmd := exec.Command(path, "--no-config", "-c", "source completion.fish; complete -C $argv[1]", line)
		cmd.Env, cmd.Dir = env, b.home
		out, err := cmd.CombinedOutput()
		if got := strings.ReplaceAll(string(out), "\t\n", "\n"); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
}
