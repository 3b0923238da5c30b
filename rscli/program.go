// Package rscli is the command side of the suite: the commands' bodies, the
// flags they share, configuration, credentials, trust in a server's
// certificate, output and endings. Every binary's main function is one call
// of a function here whose name ends in Main; it returns the exit code.
package rscli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/taskstore/result"
)

// Version of the suite; the release build sets it.
var Version = "0.1.0-dev"

// Env is the world a command runs in. Command code uses nothing else of the
// process: no os.Stdin, os.Stdout, os.Stderr, os.Args or os.Getenv.
type Env struct {
	// Name is the program's own, as it stands in front of messages.
	Name string
	// Args are the arguments after the program's name.
	Args []string

	Stdin  io.Reader
	Stdout io.Writer // results
	Stderr io.Writer // everything else

	// Getenv returns an environment variable, "" where it is not set.
	Getenv func(key string) string
	// LocalServer is asked where nothing names a server.
	LocalServer string
	// GOOS is the system whose folders and file modes count.
	GOOS string
	// IsTerminal reports whether a stream of this Env is a terminal.
	IsTerminal func(stream any) bool
	// Columns is the width of the terminal that a stream is, 0 where it is none or
	// does not tell.
	Columns func(stream any) int
	// ReadSecret reads a line from the terminal behind Stdin without echo.
	ReadSecret func(ctx context.Context) (string, error)

	// SyslogSocket is where syslog listens; empty for the system's own place.
	SyslogSocket string

	// JSON, Quiet and Verbose are the flags of those names.
	JSON, Quiet, Verbose bool
	// Log takes the steps that --verbose shows, and from level Info on what
	// --log keeps. Never nil in a running command.
	Log *slog.Logger

	out     *result.Writer
	logSink *logSink // of --log; nil without
	// fromLogin: the password in use is the one that "esscli login" stored.
	fromLogin bool
}

// ProcessEnv returns the Env of this process.
func ProcessEnv() *Env {
	e := &Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, GOOS: runtime.GOOS, IsTerminal: isTerminal, Columns: terminalColumns,
		LocalServer: "127.0.0.1",
	}
	e.ReadSecret = func(ctx context.Context) (string, error) { return readSecret(ctx, e.Stdin) }
	return e
}

// command is one binary of the suite, or one branch of its command tree.
type command struct {
	name     string
	synopsis string // what stands after the flags in the usage line: "TASK..."
	summary  string // one sentence, no full stop
	examples []string
	// flags are the command's own; those of sets it takes come after them in
	// the help.
	flags []cli.Flag
	sets  [][]cli.Flag
	// shared are flags that it has in common with many commands: a help that would
	// be too long only names them.
	shared []cli.Flag
	// least and most are how many arguments run takes; most < 0: any number.
	least, most int
	run         func(ctx context.Context, e *Env, args []string) error
	// sub are the commands below this one, which then has no run of its own.
	sub []*command
	// hidden: for the suite's own use, in no help.
	hidden bool
}

// A builder makes a command with fresh options, bound to the flags in e.
type builder func(e *Env) *command

// mainOf runs a command as this process and returns its exit code. The first
// signal cancels the command's context, a second one ends the process.
func mainOf(build builder) int {
	ctx, stop := signal.NotifyContext(context.Background(), endingSignals()...)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, ProcessEnv(), build)
}

// endingSignals leaves out SIGHUP where the caller ignores it, as nohup does.
func endingSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// run runs a command in e and returns its exit code. A cancelled ctx ends it
// as a signal does.
func run(ctx context.Context, env *Env, build builder) int {
	e := *env
	e.out = &result.Writer{W: e.Stdout, Columns: e.Columns(e.Stdout)}
	e.Stdout = e.out
	e.Log = slog.New(slog.DiscardHandler)
	root := build(&e)
	e.Name = root.name
	p, err := parseArgs(root, e.Args)
	switch {
	case p.help:
		err = printHelp(e.Stdout, p.path, &e)
	case p.version:
		err = printVersion(e.Stdout, root.name)
	default:
		// The log is open before anything else may fail.
		err = cmp.Or(e.openLogSink(p.value("log")), err)
		defer func() { e.logSink.close() }()
		if err == nil {
			err = invoke(ctx, &e, p)
		}
	}
	e.JSON = e.JSON || p.asksJSON()
	if err == nil {
		err = e.out.Err()
	}
	if err != nil && ctx.Err() != nil && fault.KindOf(err) != fault.Interrupted {
		err = fault.New(fault.Interrupted, "interrupted")
	}
	return e.end(err)
}

// invoke lets the library bind the flags of the command that was named and
// runs it.
func invoke(ctx context.Context, e *Env, p parsed) error {
	cmd := p.path[len(p.path)-1]
	var badValue error
	app := &cli.App{
		Name:     cmd.name,
		Flags:    checkedFlags(cmd.allFlags(e), &badValue),
		HideHelp: true, HideVersion: true,
		Reader: e.Stdin, Writer: io.Discard, ErrWriter: io.Discard,
		Compiled:                  time.Unix(0, 0), // else the library stats os.Args[0]
		DisableSliceFlagSeparator: true,
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return usageError(cmp.Or(badValue, err)) // else it prints help to stdout
		},
		ExitErrHandler: func(*cli.Context, error) {}, // else it may exit from in here
		Action: func(*cli.Context) error {
			e.startLog()
			if err := cmd.checkCount(p.words(), p.rest); err != nil {
				return err
			}
			return cmd.run(ctx, e, p.rest)
		},
	}
	return app.RunContext(ctx, append([]string{cmd.name}, p.flags...))
}

// checkedFlags makes the flags keep the error of the first value that is not
// understood: of an error the library keeps the text and not the hint.
func checkedFlags(flags []cli.Flag, failed *error) []cli.Flag {
	for _, f := range flags {
		if generic, ok := f.(*cli.GenericFlag); ok {
			generic.Value = &checked{generic.Value, generic.Name, failed}
		}
	}
	return flags
}

type checked struct {
	cli.Generic
	name   string
	failed *error
}

// Set sets the value of the flag.
func (c *checked) Set(s string) error {
	err := c.Generic.Set(s)
	if err != nil && *c.failed == nil {
		*c.failed = fault.New(fault.Usage, "--%s: %w", c.name, err).WithHint("%s", fault.HintOf(err))
	}
	return err
}

// usageError gives an error of the library's flag parsing its kind.
func usageError(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	return fault.New(fault.Usage, "%w", err)
}

// allFlags returns the command's own flags, those of its sets, those it shares and
// those that every command has.
func (c *command) allFlags(e *Env) []cli.Flag {
	flags := append([]cli.Flag(nil), c.flags...)
	for _, set := range c.sets {
		flags = append(flags, set...)
	}
	flags = append(flags, c.shared...)
	return append(flags, e.outputFlags()...)
}

// visibleSub returns the commands below c that people are to know of.
func (c *command) visibleSub() []*command {
	return slices.DeleteFunc(slices.Clone(c.sub), func(sub *command) bool { return sub.hidden })
}

func (c *command) checkCount(words string, args []string) error {
	switch {
	case len(args) < c.least:
		return fault.New(fault.Usage, "an argument is missing: %s", c.synopsis).
			WithHint("%s", seeHelp(words))
	case c.most >= 0 && len(args) > c.most:
		return fault.New(fault.Usage, "unexpected argument %q", args[c.most]).
			WithHint("%s", seeHelp(words))
	}
	return nil
}

// outputFlags are the flags of every command. --log is opened before the library
// binds anything, so its value is not bound.
func (e *Env) outputFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "json", Destination: &e.JSON,
			Usage: "print one JSON document, also for errors"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Destination: &e.Quiet,
			Usage: "print errors only"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Destination: &e.Verbose,
			Usage: "log each step to standard error"},
		&cli.StringFlag{Name: "log",
			Usage: "log to syslog, eventlog or a file too `TARGET`"},
	}
}
