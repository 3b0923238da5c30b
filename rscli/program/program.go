// Package program is what a command of the suite is, whatever it does. A Command
// has names, flags and a function; Main runs it as this process and Run in any other
// world, which is an Env: arguments, streams, environment. Around the function the
// package reads the arguments, prints help and version, opens the log that --log
// names, and at the end turns an error into message, hint and exit code, one way for
// all commands. It also prints results as tables or JSON, draws the progress bar and
// reads a line or a secret from a terminal.
//
// It knows no server, so that a command can do without one.
package program

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
	lacking []string // what the result does not have, and why
	// FromLogin: the password in use is the one that "esscli login" stored.
	FromLogin bool
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

// Command is one binary of the suite, or one branch of its command tree.
type Command struct {
	Name     string
	Synopsis string // what stands after the flags in the usage line: "TASK..."
	Summary  string // one sentence, no full stop
	Examples []string
	// Flags are the command's own; those of sets it takes come after them in
	// the help.
	Flags []cli.Flag
	Sets  [][]cli.Flag
	// Shared are flags that it has in common with many commands: a help that would
	// be too long only names them.
	Shared []cli.Flag
	// Least and Most are how many arguments Run takes; Most < 0: any number.
	Least, Most int
	// Kinds are those of the arguments; the last stands for all that follow.
	Kinds []Kind
	Run   func(ctx context.Context, e *Env, args []string) error
	// Sub are the commands below this one, which then has no Run of its own.
	Sub []*Command
	// Hidden: for the suite's own use, in no help.
	Hidden bool
}

// A builder makes a command with fresh options, bound to the flags in e.
type Builder func(e *Env) *Command

// Main runs a command as this process and returns its exit code. The first
// signal cancels the command's context, a second one ends the process.
func Main(build Builder) int {
	ctx, stop := signal.NotifyContext(context.Background(), endingSignals()...)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, ProcessEnv(), build)
}

// endingSignals leaves out SIGHUP where the caller ignores it, as nohup does.
func endingSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// Run runs a command in e and returns its exit code. A cancelled ctx ends it
// as a signal does.
func Run(ctx context.Context, env *Env, build Builder) int {
	e := *env
	e.out = &result.Writer{W: e.Stdout, Columns: e.Columns(e.Stdout)}
	e.Stdout = e.out
	e.Log = slog.New(slog.DiscardHandler)
	root := build(&e)
	e.Name = root.Name
	p, err := ParseArgs(root, e.Args)
	switch {
	case p.help:
		err = printHelp(e.Stdout, p.Path, &e)
	case p.version:
		err = printVersion(e.Stdout, root.Name)
	default:
		// The log is open before anything else may fail.
		err = cmp.Or(e.openLogSink(p.Value("log")), err)
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
func invoke(ctx context.Context, e *Env, p CommandLine) error {
	cmd := p.Path[len(p.Path)-1]
	var badValue error
	app := &cli.App{
		Name:     cmd.Name,
		Flags:    checkedFlags(cmd.AllFlags(e), &badValue),
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
			if err := cmd.checkCount(p.Words(), p.Rest); err != nil {
				return err
			}
			return cmd.Run(ctx, e, p.Rest)
		},
	}
	return app.RunContext(ctx, append([]string{cmd.Name}, p.flags...))
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

// AllFlags returns the command's own flags, those of its sets, those it shares and
// those that every command has.
func (c *Command) AllFlags(e *Env) []cli.Flag {
	flags := append([]cli.Flag(nil), c.Flags...)
	for _, set := range c.Sets {
		flags = append(flags, set...)
	}
	flags = append(flags, c.Shared...)
	return append(flags, e.outputFlags()...)
}

// VisibleSub returns the commands below c that people are to know of.
func (c *Command) VisibleSub() []*Command {
	return slices.DeleteFunc(slices.Clone(c.Sub), func(sub *Command) bool { return sub.Hidden })
}

func (c *Command) checkCount(words string, args []string) error {
	switch {
	case len(args) < c.Least:
		return fault.New(fault.Usage, "an argument is missing: %s", c.Synopsis).
			WithHint("%s", seeHelp(words))
	case c.Most >= 0 && len(args) > c.Most:
		return fault.New(fault.Usage, "unexpected argument %q", args[c.Most]).
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
		&cli.StringFlag{Name: "log", Category: KindLog,
			Usage: "log to syslog, eventlog or a file too `TARGET`"},
	}
}
