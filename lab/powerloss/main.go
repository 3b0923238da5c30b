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
	"syscall"
	"time"
)

func main() {
	if os.Getenv(insideVariable) == "" {
		os.Exit(apart())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are what the command line asks for.
type options struct {
	fileSystems []fileSystem
	seconds     int
	points      int
	seed        uint64
	rounds      int
	program     string // copyserver; empty: it is built
	dir         string
	keep        string
	size        int64
}

func readOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("powerloss", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := flags.String("fs", "all", "`LIST` of ext4, xfs, xfs-noreflink and btrfs, parted by commas")
	flags.IntVar(&o.seconds, "seconds", 20, "how many `seconds` hosts and administrators work")
	flags.IntVar(&o.points, "points", 60, "how many `points` in time the power goes")
	flags.Uint64Var(&o.seed, "seed", 1, "`SEED` of all that is random")
	flags.IntVar(&o.rounds, "rounds", 1, "how many `rounds` each file system gets, each with another seed")
	flags.StringVar(&o.program, "bin", "", "test the copyserver in `FILE`, not one built of this folder")
	flags.StringVar(&o.dir, "dir", "", "work in a new folder of `DIR`; by default in memory")
	flags.StringVar(&o.keep, "keep", "", "put disks with bad blocks into `DIR`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.seconds < 1 || o.points < 1 || o.rounds < 1 {
		flags.Usage()
		return o, errors.New("no arguments are taken, and numbers are at least 1")
	}
	o.size = 3 << 29
	var err error
	o.fileSystems, err = selectFileSystems(*names)
	return o, err
}

// run is main with everything of the process given.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := readOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = o.run(ctx, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "powerloss: error: %v\n", err)
		return 1
	}
	return 0
}

func (o options) run(ctx context.Context, out io.Writer) (err error) {
	l, err := newLab(ctx, o, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for round := range o.rounds {
		for _, fs := range o.fileSystems {
			r := l.newRun(fs, o.seed+uint64(round))
			if err := r.run(ctx); err != nil {
				return fmt.Errorf("%s, seed %d: %w", fs.name, r.seed, err)
			}
			l.bad += r.bad
		}
	}
	if l.bad > 0 {
		return fmt.Errorf("%d bad points", l.bad)
	}
	return nil
}

// seconds makes a time of a number of seconds.
func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
