// Command powerloss tells whether copyserver keeps what it promises when the
// power goes. It runs the real binary on a real file system, over a disk that
// writes down every request; lets hosts and administrators work for a while;
// then rebuilds the disk as of random moments, with all writes or with a random
// half of those that were not flushed, mounts it, starts copyserver on it and
// compares every volume with what flushes promised and every image with its
// instant. It needs Linux, root, loop devices, nbdfuse and the tools of the file
// systems, and is not installed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are what the command line asks for.
type options struct {
	fileSystems []fileSystem
	seconds     int
	points      int
	seed        uint64
	rounds      int
	controls    bool
	program     string // copyserver; empty: it is built
	dir         string // empty: one that fits
	keep        string // empty: nothing is kept
}

func readOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("powerloss", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := flags.String("fs", "all",
		"`LIST` of ext4, xfs, xfs-noreflink and btrfs, parted by commas")
	flags.IntVar(&o.seconds, "seconds", 20, "how many `seconds` hosts and administrators work")
	flags.IntVar(&o.points, "points", 60, "at how many `points` in time the power goes")
	flags.Uint64Var(&o.seed, "seed", 1, "`SEED` of what is random; moments differ all the same")
	flags.IntVar(&o.rounds, "rounds", 1, "how many `rounds`, each with the next seed")
	flags.BoolVar(&o.controls, "controls", false,
		"see too that builds that leave out a sync are found out")
	flags.StringVar(&o.program, "bin", "",
		"test the copyserver in `FILE`, not one built of this folder")
	flags.StringVar(&o.dir, "dir", "", "work in a new folder of `DIR`; in memory where it has room")
	flags.StringVar(&o.keep, "keep", "", "put disks with bad blocks into `DIR`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.seconds < 1 || o.points < 1 || o.rounds < 1 {
		flags.Usage()
		return o, errors.New("no arguments are taken, and numbers are at least 1")
	}
	var err error
	o.fileSystems, err = selectFileSystems(*names)
	return o, err
}

// The exit codes.
const (
	exitGood  = 0
	exitBad   = 1 // something is bad, or could not be tested
	exitUsage = 2
)

// run is main with everything of the process given.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := readOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	case err != nil:
		fmt.Fprintf(stderr, "powerloss: error: %v\n", err)
		return exitUsage
	}
	top, inside := os.LookupEnv(insideVariable)
	if inside {
		debug.SetGCPercent(400)
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = o.test(ctx, top, stdout)
	} else if missing := o.missing(); missing != nil {
		return o.notTested(missing, stdout)
	} else {
		err = o.apart(args)
	}
	if errors.Is(err, errInside) {
		return exitBad
	}
	if err != nil {
		fmt.Fprintf(stderr, "powerloss: error: %v\n", err)
		return exitBad
	}
	return exitGood
}

// test does all trials, with files in the folder top.
func (o options) test(ctx context.Context, top string, out io.Writer) error {
	l := &lab{options: o, top: top, out: out}
	if err := l.prepare(ctx); err != nil {
		return err
	}
	bad := 0
	for round := range o.rounds {
		for _, fs := range o.fileSystems {
			n, err := l.newTrial(fs, o.seed+uint64(round)).run(ctx)
			if err != nil {
				return err
			}
			bad += n
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d bad points", bad)
	}
	if o.controls {
		return l.control(ctx)
	}
	return nil
}

// limit is how long all of it may take.
func (o options) limit() time.Duration {
	trials := o.rounds * len(o.fileSystems)
	return time.Duration(trials+2) * (o.trialLimit() + commandLimit)
}

// trialLimit is how long one trial may take.
func (o options) trialLimit() time.Duration {
	return 2*time.Minute + time.Duration(o.seconds)*time.Second +
		time.Duration(o.points)*30*time.Second
}
