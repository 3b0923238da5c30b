package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

const secondWrites = "second"

func secondSection() section {
	s := section{
		name: secondWrites, title: "Second write to a track under nocopy",
		how: "fio's NBD engine, random writes of 4 KiB for a second a run, no FLUSH, to two " +
			"volumes of 512 MiB of one copyserver. Both were written in full twice, in blocks of 1 " +
			"MiB; between that, one of them became the source of a nocopy relationship, so that its " +
			"target has every track. Then a FLUSH was sent to both, and a second passed. " +
			"A round is the median of three runs of each in turns.",
		needs:   []tool{fio},
		measure: measureSecond,
	}
	for _, o := range loads() {
		s.cases = append(s.cases, secondWrites+"/"+o.name())
	}
	return s
}

func measureSecond(ctx context.Context, l *lab) (rows []row, err error) {
	s, err := l.startServer(ctx, filepath.Join(l.disk, secondWrites))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	free, source, err := prepareSecond(ctx, l, s)
	if err != nil {
		return nil, err
	}
	for _, o := range loads() {
		if !l.wants(secondWrites + "/" + o.name()) {
			continue
		}
		l.logf("  %s", o)
		writes := func(serial string) func(context.Context) (float64, error) {
			job := fioJob{uri: s.uri(serial), rw: "randwrite", block: "4k", depth: o.depth,
				conns: o.conns, limit: runFor(l.runTime())}
			return func(ctx context.Context) (float64, error) {
				rate, err := l.fio(ctx, job)
				return rate.requests, err
			}
		}
		results, err := interleave(ctx, l.rounds, 3, []subject{
			{name: "without a relationship", measure: writes(free)},
			{name: "under nocopy", measure: writes(source)},
		})
		if err != nil {
			return nil, err
		}
		rows = append(rows, multiple("second writes, "+o.String(), results[1], results[0], more,
			perSecond, atMost(1.05, "≤ 1.05 of its time")))
	}
	return rows, nil
}

// prepareSecond makes a volume without a relationship, and a source whose
// target has all of its tracks.
func prepareSecond(
	ctx context.Context, l *lab, s *copyserver,
) (free, source string, err error) {
	size := "512MiB"
	if l.short {
		size = "128MiB"
	}
	v, err := s.createVolumes(ctx, size, 3)
	if err != nil {
		return "", "", err
	}
	free, source = v[0], v[1]
	fillBoth := func() error {
		return errors.Join(l.fill(ctx, s.uri(free)), l.fill(ctx, s.uri(source)))
	}
	if err := fillBoth(); err != nil {
		return "", "", err
	}
	_, err = s.run(ctx, "esscli", "create", "relationship", "--nocopy", source+":"+v[2])
	if err != nil {
		return "", "", err
	}
	if err := errors.Join(fillBoth(), l.settle(ctx, l.disk)); err != nil {
		return "", "", err
	}
	time.Sleep(time.Second)
	return free, source, nil
}
