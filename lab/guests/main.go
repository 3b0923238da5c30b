// Command guests boots two Linux guests in QEMU, whose disks are volumes of a
// copyserver on this machine, attached over NBD as SCSI disks IBM 2105800, and
// replays in them the procedure of the white paper "Using IBM TotalStorage ESS
// FlashCopy with the VMware ESX 2.5 Server" and what its readers do next. It is
// what `make guests` runs, in the module's top folder; it is not installed.
//
// Commands run in the guests' consoles, which are printed. The first that fails
// ends everything, with status 1.
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

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are what the command line asks for.
type options struct {
	bin   string // folder of the suite's static binaries
	cache string // folder for what set-up fetched
}

// longest is when everything ends, whatever it is doing: far more than it needs on
// a busy machine.
const longest = 5 * time.Minute

func readOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("guests", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.bin, "bin", "bin", "run the binaries in `DIR`, built without cgo")
	flags.StringVar(&o.cache, "cache", "build/guests", "keep what was fetched in `DIR`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		flags.Usage()
		return o, errors.New("no arguments are taken")
	}
	return o, nil
}

// run is main with everything of the process given.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := readOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "guests: error:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := replayAll(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, "guests: error:", err)
		return 1
	}
	return 0
}

// replayAll sets up, boots, and replays the scenarios, each on what the one before
// has left.
func replayAll(ctx context.Context, o options, stdout io.Writer) (err error) {
	out := &display{w: stdout}
	began := time.Now()
	parts, err := setUp(ctx, o, out)
	if err != nil {
		return err
	}
	ready := time.Now()
	l, err := newLab(ctx, o, parts, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r := &replay{ctx: ctx, lab: l}
	r.whitePaper()
	r.database()
	r.incremental()
	r.killedServer()
	r.end()
	if r.err == nil {
		out.say("Done in %.0f s, after %.0f s of set-up", time.Since(ready).Seconds(),
			ready.Sub(began).Seconds())
	}
	return r.err
}
