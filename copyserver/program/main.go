// Package program is the command copyserver: its command line, its configuration
// file, how it ends, and the service that it is on Windows.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"copyservices/copyserver"

	"copyservices/copyserver/state"

	"github.com/urfave/cli/v2"

	"copyservices/arrayclient/fault"
	"copyservices/copyserver/service"
	"copyservices/taskstore/result"
)

// How the program ends: "copyserver: error: " and one sentence on stderr, then
// "copyserver: hint: " and what to do, and the exit code of the error's kind.
// A signal ends it with 0 when everything stopped cleanly.

const program = "copyserver"

// Main runs the program copyserver with the arguments of this process and
// returns its exit code.
func Main() int {
	if len(os.Args) >= 3 && slices.Equal(os.Args[1:3], runAsService) {
		return serviceMain(os.Args[3:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), endingSignals()...)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// endingSignals are those that ask for an orderly end. SIGHUP, which comes when
// a terminal is closed, is not among them under nohup.
func endingSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// run is Main with everything of the process given but the environment, in which
// systemd names its socket.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s := surroundings{stdout: stdout, stderr: stderr, install: service.Install, remove: service.Remove}
	s.tell = func(state service.State) {
		if err := service.Notify(os.Getenv("NOTIFY_SOCKET"), state); err != nil {
			report(stderr, err)
		}
	}
	return s.run(ctx, args)
}

// surroundings are what the program has to do with.
type surroundings struct {
	stdout, stderr io.Writer
	events         service.Events // in place of stderr for the log; may be nil
	tell           func(service.State)
	install        func(service.Spec) error
	remove         func(name string) error
}

func (s *surroundings) run(ctx context.Context, args []string) int {
	// The library does not say when it could not print a help.
	out := &result.Writer{W: s.stdout}
	s.stdout = out
	err := s.app().RunContext(ctx, append([]string{program}, args...))
	if err == nil {
		err = out.Err()
	}
	if err == nil {
		return 0
	}
	errs := []error{err}
	var many findings
	if errors.As(err, &many) {
		errs = many
	}
	for _, err := range errs {
		report(s.stderr, err)
		s.keep(err)
	}
	return fault.KindOf(errs[0]).ExitCode()
}

// keep makes an event of what the program ends with.
func (s *surroundings) keep(err error) {
	if s.events == nil {
		return
	}
	var text strings.Builder
	report(&text, err)
	// There is no other place to tell that this one failed.
	_ = s.events.Put(slog.LevelError, strings.TrimSpace(text.String()))
}

func report(w io.Writer, err error) {
	fmt.Fprintf(w, "%s: error: %s\n", program, result.OneLine(err.Error()))
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintf(w, "%s: hint: %s\n", program, result.OneLine(hint))
	}
}

func (s *surroundings) app() *cli.App {
	return &cli.App{
		Name:                  program,
		Version:               copyserver.Version,
		HideHelpCommand:       true,
		HideVersion:           true,
		CustomAppHelpTemplate: serverHelp(),
		Writer:                s.stdout,
		ErrWriter:             s.stderr,
		Flags:                 append(serverFlags(), &cli.BoolFlag{Name: "version", Aliases: []string{"v"}}),
		Action: func(c *cli.Context) error {
			if err := plainFlags(c); err != nil {
				return err
			}
			if c.Bool("version") {
				_, err := fmt.Fprintf(s.stdout, "%s (copyservices) %s\n", program, copyserver.Version)
				return err
			}
			return s.serve(c)
		},
		Commands: []*cli.Command{s.serviceCommand(), {
			Name:               "check",
			CustomHelpTemplate: checkHelp(),
			Flags:              []cli.Flag{stateFlag()},
			OnUsageError:       usageError,
			Action:             func(c *cli.Context) error { return check(c, s.stdout) },
		}},
		OnUsageError:   usageError,
		ExitErrHandler: func(*cli.Context, error) {},
		// The library looks at the program's file for it otherwise.
		Compiled: time.Unix(0, 0),
	}
}

func usageError(_ *cli.Context, err error, _ bool) error {
	return fault.New(fault.Usage, "%w", err).WithHint("see %s --help", program)
}

// plainFlags refuses arguments, which no command has, and flags that are given
// empty: their values come from variables that a script has not set.
func plainFlags(c *cli.Context) error {
	if c.Args().Present() {
		return fault.New(fault.Usage, "unexpected argument %q", c.Args().First()).
			WithHint("see %s --help", program)
	}
	for _, name := range c.LocalFlagNames() {
		if c.Value(name) == "" {
			return fault.New(fault.Usage, "--%s is empty", name).WithHint("give it a value, or leave it out")
		}
	}
	return nil
}

// options puts together defaults, configuration file and flags, the last
// being the strongest.
func options(c *cli.Context) (copyserver.Options, error) {
	o := copyserver.DefaultOptions()
	if path := c.String("config"); path != "" {
		if err := readConfig(&o, path); err != nil {
			return o, err
		}
	}
	for name, field := range map[string]*string{
		"state": &o.State, "listen": &o.Listen, "nbd-listen": &o.NBDListen,
		"nbd-tls-cert": &o.NBDTLSCert, "nbd-tls-key": &o.NBDTLSKey,
		"nbd-tls-client-ca": &o.NBDTLSClientCA, "array-serial": &o.ArraySerial,
		"ready-file": &o.ReadyFile, "memory": &o.Memory,
		"log-format": &o.LogFormat, "log-level": &o.LogLevel,
	} {
		if c.IsSet(name) {
			*field = c.String(name)
		}
	}
	for name, field := range map[string]*bool{
		"nbd-insecure": &o.NBDInsecure, "nbd-tls": &o.NBDTLS,
	} {
		if c.IsSet(name) {
			*field = c.Bool(name)
		}
	}
	return o, nil
}

// serve runs until the context ends. It stops in order also when serving
// failed, so that the arrays are closed as they should be.
func (s *surroundings) serve(c *cli.Context) error {
	opts, err := options(c)
	if err != nil {
		return err
	}
	if opts.Logger, err = s.logger(opts); err != nil {
		return err
	}
	server, err := copyserver.New(opts)
	if err != nil {
		return err
	}
	if err = server.Start(); err == nil {
		s.tell(service.Running)
		go keepMemory(c.Context, server.Memory())
		err = server.Wait(c.Context)
	}
	s.tell(service.Stopping)
	return errors.Join(err, server.Stop(context.Background()))
}

func (s *surroundings) logger(opts copyserver.Options) (*slog.Logger, error) {
	if s.events == nil {
		return logger(opts, s.stderr)
	}
	if _, err := logger(opts, io.Discard); err != nil {
		return nil, err
	}
	return slog.New(service.NewHandler(s.events, func(w io.Writer) slog.Handler {
		logger, _ := logger(opts, w) // was good a moment ago
		return logger.Handler()
	})), nil
}

// findings are the errors that check prints one by one.
type findings []error

// Error counts them.
func (f findings) Error() string { return fmt.Sprintf("%d things are wrong", len(f)) }

func check(c *cli.Context, stdout io.Writer) error {
	if err := plainFlags(c); err != nil {
		return err
	}
	opts := copyserver.DefaultOptions()
	opts.State = c.String("state")
	opts, err := opts.Validate()
	if err != nil {
		return err
	}
	if errs := state.Check(opts.State); len(errs) > 0 {
		return findings(errs)
	}
	_, err = fmt.Fprintf(stdout, "%s is in order\n", opts.State)
	return err
}
