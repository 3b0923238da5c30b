package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"copyservices/arrayclient"
)

const (
	openCase  = "open"
	openLimit = 1.0 // seconds
)

func openSection() section {
	return section{
		name: openCase, title: "Open", cases: []string{openCase},
		how: "The array alone, in the program that measures, on the disk: 1,000 volumes of 1 GiB, 500 " +
			"of them in nocopy relationships with the others; each source had 16 tracks with " +
			"data, and in 4 of them was written to after the establish. After a clean end, and " +
			"after a kill: opened is a copy of the folder, made while the array was open, which " +
			"is what a killed process leaves behind, with nothing of it synced.",
		measure: measureOpen,
	}
}

func measureOpen(ctx context.Context, l *lab) ([]row, error) {
	volumes := 1000
	if l.short {
		volumes = 100
	}
	clean, killed := filepath.Join(l.disk, openCase), filepath.Join(l.disk, openCase+"-killed")
	if err := prepareOpen(ctx, l, clean, killed, volumes); err != nil {
		return nil, err
	}
	results, err := interleave(ctx, l.rounds, 1, []subject{
		{name: "open after a clean end", measure: func(context.Context) (float64, error) {
			return timeOpen(clean, volumes)
		}},
		{name: "open after a kill", measure: func(ctx context.Context) (float64, error) {
			dir := killed + "-opened"
			if err := l.copyTree(ctx, killed, dir); err != nil {
				return 0, err
			}
			took, err := timeOpen(dir, volumes)
			return took, errors.Join(err, os.RemoveAll(dir))
		}},
	})
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, r := range results {
		rows = append(rows, figure(r.name, r.span(), milliseconds, atMost(openLimit, "< 1 s")))
	}
	return rows, errors.Join(os.RemoveAll(clean), os.RemoveAll(killed))
}

// prepareOpen makes an array in the folder clean, and in killed what it is
// before it is closed.
func prepareOpen(ctx context.Context, l *lab, clean, killed string, volumes int) error {
	e, err := newEngine(clean)
	if err != nil {
		return err
	}
	err = e.relate(ctx, volumes/2)
	if err == nil {
		err = l.copyTree(ctx, clean, killed)
	}
	return errors.Join(err, e.Close())
}

// relate establishes so many pairs and writes to their sources before and
// after.
func (e *engine) relate(ctx context.Context, count int) error {
	const size = 1 << 30
	pairs, err := e.pairs(ctx, size, count)
	if err != nil {
		return err
	}
	writeAll := func(tracks int) error {
		for _, p := range pairs {
			if err := e.change(ctx, p.Source, scattered(size, tracks)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := writeAll(16); err != nil {
		return err
	}
	if err := e.Establish(ctx, pairs, arrayclient.Options{NoCopy: true}); err != nil {
		return err
	}
	return writeAll(4)
}

// copyTree copies a folder to a new one; holes stay holes.
func (l *lab) copyTree(ctx context.Context, from, to string) error {
	_, err := l.timed(l.command(ctx, nil, cp.name, "-r", "--sparse=always", from, to))
	return err
}

// timeOpen returns how many seconds it takes to open the array with so many
// volumes.
func timeOpen(dir string, volumes int) (float64, error) {
	var e *engine
	took, err := secondsOf(func() (err error) {
		e, err = openEngine(dir)
		return err
	})
	if err != nil {
		return 0, err
	}
	facts, err := e.Properties(context.Background())
	if err == nil && facts.Volumes != volumes {
		err = errors.New("it has lost volumes")
	}
	return took, errors.Join(err, e.Close())
}
