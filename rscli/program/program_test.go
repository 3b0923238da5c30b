package program_test

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
	"copyservices/rscli"
	"copyservices/rscli/complete"
	"copyservices/rscli/esscli"
	"copyservices/rscli/program"
	"copyservices/rscli/rsclitest"
	"copyservices/rscli/shell"
)

// everyCommand lists all commands of the suite but the daemon.
var everyCommand = []program.Builder{
	rscli.NewList, rscli.NewPrime, rscli.NewExecuteTask, rscli.NewQuery, rscli.NewQueryComplete, rscli.NewFlashCopyQuery,
	rscli.NewTestConnection, esscli.New, shell.NewSetDevice, shell.NewSetUser,
}

func TestHelpAndVersion(t *testing.T) {
	for _, build := range everyCommand {
		name := build(&program.Env{}).Name
		var first string
		for _, flag := range []string{"-h", "-help", "--help", "-?"} {
			b := rsclitest.NewBench(t)
			b.Expect(b.Run(build, "--no-such-flag", flag), 0)
			if first == "" {
				first = b.Out.String()
			}
			if got := b.Out.String(); got != first || b.Err.Len() > 0 {
				t.Errorf("%s %s prints\n%s and to stderr %q", name, flag, got, &b.Err)
			}
		}
		b := rsclitest.NewBench(t)
		b.Expect(b.Run(build, "--version"), 0)
		if got := b.Out.String(); got != name+" (copyservices) "+program.Version+"\n" {
			t.Errorf("--version prints %q", got)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		build program.Builder
		args  []string
		want  string
	}{
		{rscli.NewQuery, []string{"--nonsense=topsecret", "20313698"},
			"rsQuery: error: rsQuery has no flag --nonsense\n"},
		{rscli.NewQuery, nil, "an argument is missing: SERIAL..."},
		{rscli.NewQuery, []string{"20313698", "-s"}, "-s needs a value"},
		{rscli.NewQuery, []string{"2031369"}, `"2031369" is not a volume serial`},
		{rscli.NewQueryComplete, []string{"a", "b"}, `unexpected argument "b"`},
		{rscli.NewQueryComplete, []string{"--timeout=soon", "a"}, "not a duration, like 90s or 5m"},
		{rscli.NewQueryComplete, []string{"--timeout", "-1s", "a"}, "not a duration, like 90s or 5m"},
		{rscli.NewExecuteTask, []string{"a", "--wait=perhaps"}, "perhaps"},
		{rscli.NewTestConnection, []string{"--trust", "extra"}, `unexpected argument "extra"`},
		{rscli.NewQuery, []string{"20313698", "-s", "a:b:c"}, `"a:b:c" is not the address of a server`},
		{rscli.NewQuery, []string{"20313698", "-s", "a b"}, `"a b" is not the address of a server`},
	}
	for _, tt := range tests {
		b := rsclitest.NewBench(t)
		b.Expect(b.Run(tt.build, tt.args...), 2, tt.want)
		if b.Out.Len() > 0 {
			t.Errorf("%q writes to stdout: %s", tt.args, &b.Out)
		}
		if strings.Contains(b.Err.String(), "topsecret") {
			t.Errorf("%q repeats the value of a flag: %s", tt.args, &b.Err)
		}
		b.Expect(b.Run(tt.build, append([]string{"--json"}, tt.args...)...), 2, tt.want)
		var doc struct{ Error program.ErrorDetail }
		b.Document(&doc)
		if doc.Error.Kind != fault.Usage || doc.Error.ExitCode != 2 || doc.Error.Message == "" {
			t.Errorf("%q with --json: %+v", tt.args, doc)
		}
	}
}

func TestHintComesAfterTheError(t *testing.T) {
	b := rsclitest.NewBench(t)
	b.Run(rscli.NewQuery, "2031369")
	want := "rsQuery: error: \"2031369\" is not a volume serial\n" +
		"rsQuery: hint: a serial is 3 hex digits of the volume and 5 characters of the array, like 20313698\n"
	if got := b.Err.String(); got != want {
		t.Errorf("stderr is %q, want %q", got, want)
	}
}

func TestEveryKindEndsWithItsCode(t *testing.T) {
	for _, kind := range fault.Kinds() {
		f := rsclitest.NewServer(t)
		f.Refuse("GET /v1/server", http.StatusTeapot, fault.New(kind, "it is so").WithHint("do so"))
		b := rsclitest.NewBench(t)
		b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), kind.ExitCode(), "error: it is so\n",
			"hint: do so\n")
	}
}

func TestMessagesCannotDriveTheTerminal(t *testing.T) {
	f := rsclitest.NewServer(t)
	f.Refuse("GET /v1/server", http.StatusTeapot, fault.New(fault.Refused, "a\x1b]0;b\a\nc\u009b1m"))
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(rscli.NewTestConnection, "-s", f.Addr()), 6, "error: a ]0;b ; c 1m\n")
}

func TestInterruptedBeatsWhateverFailed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := rsclitest.NewServer(t)
	f.Handle("GET /v1/server", func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	b := rsclitest.NewBench(t)
	b.Expect(b.RunContext(ctx, rscli.NewTestConnection, "-s", f.Addr()), 130, "interrupted")
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestLostOutputIsNoSuccess(t *testing.T) {
	f := rsclitest.NewServer(t)
	for _, args := range [][]string{nil, {"--json"}} {
		b := rsclitest.NewBench(t)
		b.Stdout = fullDisk{}
		b.Expect(b.Run(rscli.NewTestConnection, append(args, "-s", f.Addr())...), 1,
			"error: cannot write the result: no space left on device\n")
	}
	for _, build := range everyCommand {
		for _, flag := range []string{"--help", "--version"} {
			b := rsclitest.NewBench(t)
			b.Stdout = fullDisk{}
			b.Expect(b.Run(build, flag), 1, "error: cannot write the result: no space left on device\n")
		}
	}
}

func TestQuietPrintsErrorsOnly(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(rscli.NewTestConnection, "-q", "-s", f.Addr()), 0)
	if b.Out.Len()+b.Err.Len() > 0 {
		t.Errorf("-q prints %q and %q", &b.Out, &b.Err)
	}
	b.Expect(b.Run(rscli.NewQuery, "-q", "x"), 2, "not a volume serial")
}

func TestVerboseLogsStepsButNoSecret(t *testing.T) {
	f := rsclitest.NewServer(t)
	b := rsclitest.NewBench(t)
	b.Expect(b.Run(rscli.NewTestConnection, "-v", "-s", f.Addr()), 0, "msg=connecting", "msg=pinned")
	if strings.Contains(b.Err.String(), rsclitest.Password) {
		t.Errorf("the log holds the password: %s", &b.Err)
	}
}

// A flag name means the same kind of flag in every command.
func TestFlagsAgreeAcrossCommands(t *testing.T) {
	known := map[string]bool{}
	for _, build := range everyCommand {
		walkFlags(build(&program.Env{}), func(cmd *program.Command, f cli.Flag) {
			for _, name := range f.Names() {
				if before, ok := known[name]; ok && before != program.TakesValue(f) {
					t.Errorf("%s: --%s takes a value in one command and none in another", cmd.Name, name)
				}
				known[name] = program.TakesValue(f)
			}
		})
	}
}

func walkFlags(cmd *program.Command, visit func(*program.Command, cli.Flag)) {
	if len(cmd.Sub) == 0 {
		for _, f := range cmd.AllFlags(&program.Env{}) {
			visit(cmd, f)
		}
	}
	for _, sub := range cmd.Sub {
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
	completed := esscli.Programs()
	for _, folder := range folders {
		name := folder.Name()
		isIt := func(p complete.Program) bool { return p.Name == name && p.Build(&program.Env{}).Name == name }
		if name != "copyserver" && !slices.ContainsFunc(completed, isIt) {
			t.Errorf("%s is not completed", name)
		}
	}
	if len(completed) != len(folders)-1 || len(completed) != len(everyCommand) {
		t.Errorf("%d of %d commands are completed", len(completed), len(folders)-1)
	}
}
