package rscli

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
)

// everyCommand lists all commands of the suite but the daemon.
var everyCommand = []builder{
	newList, newPrime, newExecuteTask, newQuery, newQueryComplete, newFlashCopyQuery,
	newTestConnection, newESSCLI, newSetDevice, newSetUser,
}

func TestHelpAndVersion(t *testing.T) {
	for _, build := range everyCommand {
		name := build(&Env{}).name
		var first string
		for _, flag := range []string{"-h", "-help", "--help", "-?"} {
			b := newBench(t)
			b.expect(b.run(build, "--no-such-flag", flag), 0)
			if first == "" {
				first = b.stdout.String()
			}
			if got := b.stdout.String(); got != first || b.stderr.Len() > 0 {
				t.Errorf("%s %s prints\n%s and to stderr %q", name, flag, got, &b.stderr)
			}
		}
		b := newBench(t)
		b.expect(b.run(build, "--version"), 0)
		if got := b.stdout.String(); got != name+" (copyservices) "+Version+"\n" {
			t.Errorf("--version prints %q", got)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		build builder
		args  []string
		want  string
	}{
		{newQuery, []string{"--nonsense=topsecret", "20313698"},
			"rsQuery: error: rsQuery has no flag --nonsense\n"},
		{newQuery, nil, "an argument is missing: SERIAL..."},
		{newQuery, []string{"20313698", "-s"}, "-s needs a value"},
		{newQuery, []string{"2031369"}, `"2031369" is not a volume serial`},
		{newQueryComplete, []string{"a", "b"}, `unexpected argument "b"`},
		{newQueryComplete, []string{"--timeout=soon", "a"}, "not a duration, like 90s or 5m"},
		{newQueryComplete, []string{"--timeout", "-1s", "a"}, "not a duration, like 90s or 5m"},
		{newExecuteTask, []string{"a", "--wait=perhaps"}, "perhaps"},
		{newTestConnection, []string{"--trust", "extra"}, `unexpected argument "extra"`},
		{newQuery, []string{"20313698", "-s", "a:b:c"}, `"a:b:c" is not the address of a server`},
		{newQuery, []string{"20313698", "-s", "a b"}, `"a b" is not the address of a server`},
	}
	for _, tt := range tests {
		b := newBench(t)
		b.expect(b.run(tt.build, tt.args...), 2, tt.want)
		if b.stdout.Len() > 0 {
			t.Errorf("%q writes to stdout: %s", tt.args, &b.stdout)
		}
		if strings.Contains(b.stderr.String(), "topsecret") {
			t.Errorf("%q repeats the value of a flag: %s", tt.args, &b.stderr)
		}
		b.expect(b.run(tt.build, append([]string{"--json"}, tt.args...)...), 2, tt.want)
		var doc struct{ Error errorDetail }
		b.document(&doc)
		if doc.Error.Kind != fault.Usage || doc.Error.ExitCode != 2 || doc.Error.Message == "" {
			t.Errorf("%q with --json: %+v", tt.args, doc)
		}
	}
}

func TestHintComesAfterTheError(t *testing.T) {
	b := newBench(t)
	b.run(newQuery, "2031369")
	want := "rsQuery: error: \"2031369\" is not a volume serial\n" +
		"rsQuery: hint: a serial is 3 hex digits of the volume and 5 characters of the array, like 20313698\n"
	if got := b.stderr.String(); got != want {
		t.Errorf("stderr is %q, want %q", got, want)
	}
}

func TestEveryKindEndsWithItsCode(t *testing.T) {
	for _, kind := range fault.Kinds() {
		f := newFake(t)
		f.refuse("GET /v1/server", http.StatusTeapot, fault.New(kind, "it is so").WithHint("do so"))
		b := newBench(t)
		b.expect(b.run(newTestConnection, "-s", f.addr()), kind.ExitCode(), "error: it is so\n",
			"hint: do so\n")
	}
}

func TestMessagesCannotDriveTheTerminal(t *testing.T) {
	f := newFake(t)
	f.refuse("GET /v1/server", http.StatusTeapot, fault.New(fault.Refused, "a\x1b]0;b\a\nc\u009b1m"))
	b := newBench(t)
	b.expect(b.run(newTestConnection, "-s", f.addr()), 6, "error: a ]0;b ; c 1m\n")
}

func TestInterruptedBeatsWhateverFailed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake(t)
	f.handle("GET /v1/server", func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	b := newBench(t)
	b.expect(b.runContext(ctx, newTestConnection, "-s", f.addr()), 130, "interrupted")
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestLostOutputIsNoSuccess(t *testing.T) {
	f := newFake(t)
	for _, args := range [][]string{nil, {"--json"}} {
		b := newBench(t)
		b.Stdout = fullDisk{}
		b.expect(b.run(newTestConnection, append(args, "-s", f.addr())...), 1,
			"error: cannot write the result: no space left on device\n")
	}
	for _, build := range everyCommand {
		for _, flag := range []string{"--help", "--version"} {
			b := newBench(t)
			b.Stdout = fullDisk{}
			b.expect(b.run(build, flag), 1, "error: cannot write the result: no space left on device\n")
		}
	}
}

func TestQuietPrintsErrorsOnly(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	b.expect(b.run(newTestConnection, "-q", "-s", f.addr()), 0)
	if b.stdout.Len()+b.stderr.Len() > 0 {
		t.Errorf("-q prints %q and %q", &b.stdout, &b.stderr)
	}
	b.expect(b.run(newQuery, "-q", "x"), 2, "not a volume serial")
}

func TestVerboseLogsStepsButNoSecret(t *testing.T) {
	f := newFake(t)
	b := newBench(t)
	b.expect(b.run(newTestConnection, "-v", "-s", f.addr()), 0, "msg=connecting", "msg=pinned")
	if strings.Contains(b.stderr.String(), testPassword) {
		t.Errorf("the log holds the password: %s", &b.stderr)
	}
}

// A flag name means the same kind of flag in every command.
func TestFlagsAgreeAcrossCommands(t *testing.T) {
	known := map[string]bool{}
	for _, build := range everyCommand {
		walkFlags(build(&Env{}), func(cmd *command, f cli.Flag) {
			for _, name := range f.Names() {
				if before, ok := known[name]; ok && before != takesValue(f) {
					t.Errorf("%s: --%s takes a value in one command and none in another", cmd.name, name)
				}
				known[name] = takesValue(f)
			}
		})
	}
}

func walkFlags(cmd *command, visit func(*command, cli.Flag)) {
	if len(cmd.sub) == 0 {
		for _, f := range cmd.allFlags(&Env{}) {
			visit(cmd, f)
		}
	}
	for _, sub := range cmd.sub {
		walkFlags(sub, visit)
	}
}

// TestEveryCommandIsCompleted holds the list of commands against the binaries that
// are built.
func TestEveryCommandIsCompleted(t *testing.T) {
	folders, err := os.ReadDir("../../cmd")
	if err != nil {
		t.Fatal(err)
	}
	completed := programs()
	for _, folder := range folders {
		name := folder.Name()
		isIt := func(p Program) bool { return p.Name == name && p.Build(&Env{}).name == name }
		if name != "copyserver" && !slices.ContainsFunc(completed, isIt) {
			t.Errorf("%s is not completed", name)
		}
	}
	if len(completed) != len(folders)-1 || len(completed) != len(everyCommand) {
		t.Errorf("%d of %d commands are completed", len(completed), len(folders)-1)
	}
}
