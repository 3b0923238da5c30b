package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	firstWrites = "first"
	// manyTargets is the most that a source can have.
	manyTargets = 12
	// flushEvery is how many writes of a connection share a FLUSH where the
	// work is to be durable.
	flushEvery = 32
	// longRun is how long the writes of the long run take, if they do not come
	// to the end of the volume before.
	longRun = 10 * time.Second
)

func firstSection() section {
	s := section{
		name: firstWrites, title: "First write to a track under nocopy",
		how: "fio's NBD engine, random writes of 4 KiB, each to a track of 64 KiB that none went " +
			"to before (fio's generator without repetition; qcow2's clusters are 64 KiB as well), " +
			"for a second a run, without FLUSH or with one after every 32 writes of each " +
			"connection; the long row's run takes ten seconds, or less if each track was written " +
			"to before, and ends with a FLUSH that counts. What ours still has to do then counts in " +
			"that row as well: the time until another target can be established, for which " +
			"nothing may be staged any more. In the other rows it does not count, but is waited " +
			"for before the next run. copyserver: a source of 4 GiB in nocopy relationships with " +
			"one and with 12 targets, new volumes for each run. qcow2: `qemu-nbd -f qcow2 -t -e 8` " +
			"on a new overlay, for each run, over a raw file of the same size. Source and raw " +
			"file were written in full before and are in the page cache as far as memory goes. " +
			"Before each run the file system is synced. Without a FLUSH qcow2 makes nothing " +
			"durable; what ours does then, the comment of package filearray says. " + deviceMapper(),
		needs:   []tool{fio},
		measure: measureFirst,
	}
	for _, c := range firstCases() {
		s.cases = append(s.cases, c.name())
	}
	return s
}

// deviceMapper says what has become of dm-snapshot as a peer.
func deviceMapper() string {
	if _, err := os.Stat("/sys/class/misc/device-mapper"); err != nil {
		return "dm-snapshot is not measured: this kernel has no device mapper."
	}
	return "dm-snapshot is not measured: nothing here sets it up."
}

// firstCase is one way of writing to tracks for the first time.
type firstCase struct {
	load
	durable bool // with FLUSHes on the way
	long    bool // ten seconds, and a FLUSH at the end
	many    bool // one target against 12 of ours, instead of qcow2
}

func firstCases() []firstCase {
	var out []firstCase
	for _, durable := range []bool{false, true} {
		for _, o := range loads() {
			out = append(out, firstCase{load: o, durable: durable})
		}
	}
	out = append(out, firstCase{load: load{32, 1}, long: true})
	// These come last and without FLUSH: what 12 targets leave to the disk and
	// in memory slows what is measured after them.
	for _, o := range loads() {
		out = append(out, firstCase{load: o, many: true})
	}
	return out
}

func (c firstCase) name() string {
	switch {
	case c.long:
		return firstWrites + "/long"
	case c.many:
		return firstWrites + "/many-" + c.load.name()
	case c.durable:
		return firstWrites + "/flush-" + c.load.name()
	}
	return firstWrites + "/" + c.load.name()
}

func (c firstCase) work(targets string) string {
	text := "first writes, " + targets + ", " + c.load.String()
	switch {
	case c.long:
		return text + ", 10 s and FLUSH"
	case c.durable:
		return text + fmt.Sprintf(", FLUSH every %d", flushEvery)
	}
	return text
}

func (c firstCase) job(uri string, size int64, d time.Duration) fioJob {
	job := fioJob{uri: uri, rw: "randwrite", block: "4k", depth: c.depth, conns: c.conns, once: size,
		limit: runAtMost(d)}
	switch {
	case c.long:
		job.limit = append(runAtMost(longRun), "--end_fsync=1")
	case c.durable:
		job.limit = append(job.limit, fmt.Sprintf("--fsync=%d", flushEvery))
	}
	return job
}

// firstBench are the volumes and files that are written to.
type firstBench struct {
	lab    *lab
	server *copyserver
	source string // serial
	spare  string // serial of a target for drain
	size   int64  // bytes
	raw    string // the file below qcow2's overlays
}

func measureFirst(ctx context.Context, l *lab) (rows []row, err error) {
	b, err := prepareFirst(ctx, l)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, c := range firstCases() {
		if !l.wants(c.name()) {
			continue
		}
		l.logf("  %s", c.name())
		more, err := b.rows(ctx, c)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func prepareFirst(ctx context.Context, l *lab) (*firstBench, error) {
	b := &firstBench{lab: l, size: 4 << 30, raw: filepath.Join(l.disk, "first.raw")}
	if l.short {
		b.size = 256 << 20
	}
	var err error
	if b.server, err = l.startServer(ctx, filepath.Join(l.disk, firstWrites)); err != nil {
		return nil, err
	}
	v, err := b.createVolumes(ctx, 2)
	if err == nil {
		b.source, b.spare = v[0], v[1]
		err = l.fill(ctx, b.server.uri(b.source))
	}
	if err == nil {
		err = makeImage(b.raw, b.size, fullOf(b.size))
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *firstBench) createVolumes(ctx context.Context, count int) ([]string, error) {
	return b.server.createVolumes(ctx, fmt.Sprintf("%dMiB", b.size>>20), count)
}

// close makes room for what is measured next.
func (b *firstBench) close() error {
	err := b.server.stop()
	if removed := os.Remove(b.raw); !errors.Is(removed, os.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return errors.Join(err, os.RemoveAll(filepath.Join(b.lab.disk, firstWrites)))
}

// rows measures one case.
func (b *firstBench) rows(ctx context.Context, c firstCase) ([]row, error) {
	ours := func(targets int) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) { return b.ours(ctx, c, targets) }
	}
	subjects := []subject{
		{name: "one target", measure: ours(1)},
		{name: "qcow2", missing: qemuNBD.notMeasured(),
			measure: func(ctx context.Context) (float64, error) { return b.qcow2(ctx, c) }},
	}
	if c.many {
		subjects[1] = subject{name: "12 targets", measure: ours(manyTargets)}
	}
	results, err := interleave(ctx, b.lab.rounds, 1, subjects)
	if err != nil {
		return nil, err
	}
	if c.many {
		return []row{multiple(c.work("12 targets"), results[1], results[0], more, perSecond,
			atMost(2, "≤ 2 of its time"))}, nil
	}
	return []row{against(c.work("one target"), results[0], results[1:], more, perSecond, theBetter)}, nil
}

// ours returns how many first writes a second a source with so many targets
// takes.
func (b *firstBench) ours(ctx context.Context, c firstCase, targets int) (float64, error) {
	serials, err := b.createVolumes(ctx, targets)
	if err != nil {
		return 0, err
	}
	pairs := make([]string, targets)
	for i, target := range serials {
		pairs[i] = b.source + ":" + target
	}
	if err := b.esscli(ctx, []string{"create", "relationship", "--nocopy"}, pairs...); err != nil {
		return 0, err
	}
	rate, err := b.writes(ctx, c, b.server.uri(b.source))
	if err == nil && c.long {
		var took float64
		took, err = b.drain(ctx)
		rate.requests *= rate.seconds / (rate.seconds + took)
	}
	err = errors.Join(err, b.esscli(ctx, []string{"delete", "relationship"}, pairs...))
	if err != nil {
		return 0, err
	}
	if _, err := b.drain(ctx); err != nil {
		return 0, err
	}
	return rate.requests, b.esscli(ctx, []string{"delete", "volume"}, serials...)
}

// drain waits until nothing is staged for the source any more, which an
// establish needs, and returns the seconds that it took.
func (b *firstBench) drain(ctx context.Context) (float64, error) {
	pair := b.source + ":" + b.spare
	took, err := b.server.timed(ctx, "esscli", "create", "relationship", "--nocopy", pair)
	if err != nil {
		return 0, err
	}
	return took, b.esscli(ctx, []string{"delete", "relationship"}, pair)
}

func (b *firstBench) esscli(ctx context.Context, verb []string, objects ...string) error {
	_, err := b.server.run(ctx, "esscli", append(verb, objects...)...)
	return err
}

// qcow2 returns how many first writes a second an overlay takes.
func (b *firstBench) qcow2(ctx context.Context, c firstCase) (rate float64, err error) {
	overlay := filepath.Join(b.lab.disk, "first.qcow2")
	defer func() { err = errors.Join(err, os.Remove(overlay)) }()
	_, err = b.lab.output(b.lab.command(ctx, nil, qemuImg.name, "create", "-q", "-f", "qcow2",
		"-b", b.raw, "-F", "raw", overlay))
	if err != nil {
		return 0, err
	}
	d, port, err := b.lab.peerServer(ctx, qemuNBD, func(port string) []string {
		return []string{"-f", "qcow2", "-t", "-e", "8", "-b", "127.0.0.1", "-p", port, overlay}
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	written, err := b.writes(ctx, c, "nbd://127.0.0.1:"+port+"/")
	return written.requests, err
}

func (b *firstBench) writes(ctx context.Context, c firstCase, uri string) (fioRate, error) {
	if err := b.lab.settle(ctx, b.lab.disk); err != nil {
		return fioRate{}, err
	}
	return b.lab.fio(ctx, c.job(uri, b.size, b.lab.runTime()))
}
