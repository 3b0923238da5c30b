package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"
)

const (
	secondWrites = "second"
	// secondTurns is how often in a round the volume becomes a source.
	secondTurns = 2
)

func secondSection() section {
	s := section{
		name: secondWrites, title: "Second write to a track under nocopy",
		how: "fio's NBD engine, random writes of 4 KiB for a second a run, no FLUSH, to one volume " +
			"of 512 MiB of a copyserver, which has no relationship and is the source of a nocopy " +
			"relationship in turns, twice a round: two volumes, though alike, may differ by a " +
			"fifth. Before each turn's runs the volume is written in full in blocks of 1 MiB, so that " +
			"the target has every track, a FLUSH is sent, its file is read anew into the page " +
			"cache, and a second passes.",
		needs:   []tool{fio},
		measure: measureSecond,
	}
	for _, o := range loads() {
		s.cases = append(s.cases, secondWrites+"/"+o.name())
	}
	return s
}

func measureSecond(ctx context.Context, l *lab) (rows []row, err error) {
	b := secondBench{lab: l, state: filepath.Join(l.disk, secondWrites)}
	if b.server, err = l.startServer(ctx, b.state); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.server.stop()) }()
	size := "512MiB"
	if l.short {
		size = "128MiB"
	}
	v, err := b.server.createVolumes(ctx, size, 2)
	if err != nil {
		return nil, err
	}
	b.source, b.target = v[0], v[1]
	chosen := slices.DeleteFunc(loads(), func(o load) bool {
		return !l.wants(secondWrites + "/" + o.name())
	})
	free, related := make([]series, len(chosen)), make([]series, len(chosen))
	for i := range chosen {
		free[i].name, related[i].name = "without a relationship", "under nocopy"
	}
	for range l.rounds {
		if err := b.round(ctx, chosen, free, related); err != nil {
			return nil, err
		}
	}
	for i, o := range chosen {
		rows = append(rows, multiple("second writes, "+o.String(), related[i], free[i], more,
			perSecond, atMost(1.05, "≤ 1.05 of its time")))
	}
	return rows, nil
}

// secondBench is a pair whose source is written to.
type secondBench struct {
	lab            *lab
	server         *copyserver
	state          string // folder of the server
	source, target string // serials
}

// round adds a figure for each load to free and to related.
func (b secondBench) round(ctx context.Context, loads []load, free, related []series) error {
	pair := b.source + ":" + b.target
	without, with := make([][]float64, len(loads)), make([][]float64, len(loads))
	for range secondTurns {
		if err := b.turn(ctx, loads, without); err != nil {
			return err
		}
		_, err := b.server.run(ctx, "esscli", "create", "relationship", "--nocopy", pair)
		if err != nil {
			return err
		}
		if err := b.turn(ctx, loads, with); err != nil {
			return err
		}
		if _, err := b.server.run(ctx, "esscli", "delete", "relationship", pair); err != nil {
			return err
		}
	}
	for i := range loads {
		free[i].values = append(free[i].values, median(without[i]))
		related[i].values = append(related[i].values, median(with[i]))
	}
	return nil
}

// turn prepares the volume and adds the rate of each load.
func (b secondBench) turn(ctx context.Context, loads []load, rates [][]float64) error {
	uri := b.server.uri(b.source)
	if err := errors.Join(b.lab.fill(ctx, uri), b.lab.settle(ctx, b.state)); err != nil {
		return err
	}
	file, err := volumeFile(filepath.Join(b.state, "array"), b.source)
	if err != nil {
		return err
	}
	// How a file came into the page cache decides how fast it is.
	if err := errors.Join(b.lab.chill(ctx, file), b.lab.warm(ctx, file)); err != nil {
		return err
	}
	time.Sleep(time.Second)
	for i, o := range loads {
		rate, err := b.lab.fio(ctx, fioJob{uri: uri, rw: "randwrite", block: "4k", depth: o.depth,
			conns: o.conns, limit: runFor(b.lab.runTime())})
		if err != nil {
			return err
		}
		rates[i] = append(rates[i], rate.requests)
	}
	return nil
}
