package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"copyservices/arrayclient"
)

const resyncCase = "resync"

func resyncSection() section {
	return section{
		name: resyncCase, title: "Resync with 1 % changed", cases: []string{resyncCase},
		how: "The array alone, in the program that measures, on the disk. A volume of 1 GiB full " +
			"of data is copied in full to a new volume, with change recording. Then 4 KiB are " +
			"written to 1 % of its tracks, at random and made durable, and the relationship is " +
			"resynced. Each is timed from its call until the relationship is complete.",
		measure: measureResync,
	}
}

func measureResync(ctx context.Context, l *lab) (_ []row, err error) {
	size := int64(1 << 30)
	if l.short {
		size = 64 << 20
	}
	e, err := newEngine(filepath.Join(l.disk, resyncCase))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close(), os.RemoveAll(e.dir)) }()
	source, err := e.volumes(ctx, size, 1)
	if err != nil {
		return nil, err
	}
	if err := e.change(ctx, source[0], fullOf(size)); err != nil {
		return nil, err
	}
	full, again := series{name: "full copy"}, series{name: "resync"}
	for range l.rounds {
		all, changed, err := e.copyAndResync(ctx, l, source[0], size)
		if err != nil {
			return nil, err
		}
		full.values, again.values = append(full.values, all), append(again.values, changed)
	}
	return []row{multiple("resync, 1 % of the tracks changed", again, full, less, milliseconds,
		atMost(0.03, "≤ 0.03 of its time"))}, nil
}

// copyAndResync returns the seconds of a full copy and of a resync of 1 %.
func (e *engine) copyAndResync(
	ctx context.Context, l *lab, source arrayclient.Serial, size int64,
) (all, changed float64, err error) {
	target, err := e.volumes(ctx, size, 1)
	if err != nil {
		return 0, 0, err
	}
	pair := arrayclient.Pair{Source: source, Target: target[0]}
	pairs := []arrayclient.Pair{pair}
	timed := func(start func() error) (float64, error) {
		if err := l.settle(ctx, e.dir); err != nil {
			return 0, err
		}
		return secondsOf(func() error {
			if err := start(); err != nil {
				return err
			}
			return e.copied(ctx, pair)
		})
	}
	all, err = timed(func() error {
		return e.Establish(ctx, pairs, arrayclient.Options{Record: true})
	})
	if err != nil {
		return 0, 0, err
	}
	if err := e.change(ctx, source, onePercent(size)); err != nil {
		return 0, 0, err
	}
	changed, err = timed(func() error { return e.Resync(ctx, pairs) })
	if err != nil {
		return 0, 0, err
	}
	if _, err := e.Withdraw(ctx, pairs); err != nil {
		return 0, 0, err
	}
	return all, changed, e.DeleteVolume(ctx, target[0])
}

// onePercent returns a function that writes 4 KiB to one track in a hundred,
// chosen at random.
func onePercent(size int64) func(io.WriterAt) error {
	return func(w io.WriterAt) error {
		tracks := rand.Perm(int(size / trackSize))
		for _, track := range tracks[:len(tracks)/100] {
			if _, err := w.WriteAt(someData(blockSize), int64(track)*trackSize); err != nil {
				return err
			}
		}
		return nil
	}
}
