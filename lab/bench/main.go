// Command bench measures the commands, the server and the embedded array, each
// against named peers that do the same work, and prints what came out as tables.
// It is what `make bench` runs, in the module's top folder; it is not installed.
//
// A figure counts only beside one that was taken at the same time on the same
// machine. So the subjects of a row take turns, A B C A B C, for a number of
// rounds; a row gives medians, and the least and the greatest of the rounds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are what the command line asks for.
type options struct {
	rounds int
	only   *regexp.Regexp // of case names; nil: all
	short  bool
	out    string // file to write; empty: none
	dir    string // where the files that are measured on go
}

func readOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 3, "how many `rounds` each row is measured")
	flags.BoolVar(&o.short, "short", false, "one short round, to see that everything works")
	flags.StringVar(&o.out, "o", "", "write the tables to `FILE` too, in Markdown")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "measure on files in a new folder of `DIR`")
	only := flags.String("only", "", "measure the cases whose name matches `REGEXP`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.rounds < 1 {
		flags.Usage()
		return o, errors.New("no arguments are taken, and at least one round is needed")
	}
	if o.short {
		o.rounds = 1
	}
	if *only == "" {
		return o, nil
	}
	var err error
	o.only, err = regexp.Compile(*only)
	return o, err
}

// wants reports whether the case of that name is to be measured.
func (o options) wants(name string) bool { return o.only == nil || o.only.MatchString(name) }

// run is main with everything of the process given.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := readOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench: error:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "bench: error:", err)
		return 1
	}
	return 0
}

// measure takes all that o asks for. A section that fails ends it: what was
// measured until then is printed, but not written to the file.
func measure(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	chosen := slices.DeleteFunc(sections(), func(s section) bool {
		return !slices.ContainsFunc(s.cases, o.wants)
	})
	if len(chosen) == 0 {
		return fmt.Errorf("no case matches %s", o.only)
	}
	r := report{opts: o, load: loadAverage()}
	l, err := newLab(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r.machine, r.started = l.machine(ctx), time.Now()
	for _, s := range chosen {
		l.logf("%s", s.title)
		rows, err := s.rows(ctx, l)
		if err != nil {
			r.finish(loadAverage())
			return errors.Join(fmt.Errorf("%s: %w", s.name, err), r.write(stdout))
		}
		r.add(s, rows)
	}
	r.finish(loadAverage())
	if err := r.write(stdout); err != nil || o.out == "" {
		return err
	}
	return r.writeFile(o.out)
}
