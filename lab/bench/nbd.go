package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// load is how much at once clients want of an export.
type load struct {
	depth int // requests on each connection
	conns int
}

func loads() []load { return []load{{1, 1}, {32, 1}, {1, 4}, {32, 4}} }

func (o load) name() string { return fmt.Sprintf("depth%d-conn%d", o.depth, o.conns) }

func (o load) String() string {
	if o.conns == 1 {
		return fmt.Sprintf("depth %d, 1 connection", o.depth)
	}
	return fmt.Sprintf("depth %d, %d connections", o.depth, o.conns)
}

// nbdCase is one way of using an export.
type nbdCase struct {
	work  string // for the table
	rw    string // of fio
	block string
	load
}

func (c nbdCase) name() string { return "nbd/" + c.rw + "-" + c.block + "-" + c.load.name() }

func (c nbdCase) sequential() bool { return c.block == "1m" }

func nbdCases() []nbdCase {
	var out []nbdCase
	for _, kind := range []nbdCase{
		{work: "sequential read 1 MiB", rw: "read", block: "1m"},
		{work: "sequential write 1 MiB", rw: "write", block: "1m"},
		{work: "random read 4 KiB", rw: "randread", block: "4k"},
		{work: "random write 4 KiB", rw: "randwrite", block: "4k"},
	} {
		for _, o := range loads() {
			out = append(out, nbdCase{kind.work + ", " + o.String(), kind.rw, kind.block, o})
		}
	}
	return out
}

func nbdSection() section {
	s := section{
		name: "nbd", title: "NBD export without a relationship",
		how: "fio's NBD engine over TCP on the loopback address, a second a run, depth " +
			"counted for each connection, each of four connections on its own quarter of the " +
			"volume, no FLUSH. copyserver exports a volume of 512 MiB, `nbdkit file` and `qemu-nbd " +
			"-f raw` (both with their own defaults, qemu-nbd with `-e 8 -t`) a raw file of that " +
			"size each on the same file system. All were written in full before, by fio in " +
			"blocks of 1 MiB through the same export, and are in the page cache. Client and " +
			"servers share the processors.",
		needs:   []tool{fio},
		measure: measureNBD,
	}
	for _, c := range nbdCases() {
		s.cases = append(s.cases, c.name())
	}
	return s
}

// nbdExport is a server at work on its volume.
type nbdExport struct {
	name    string
	missing string
	uri     string
	stop    func() error
}

func measureNBD(ctx context.Context, l *lab) (rows []row, err error) {
	exports, err := startExports(ctx, l)
	defer func() {
		for _, e := range exports {
			if e.stop != nil {
				err = errors.Join(err, e.stop())
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	for _, c := range nbdCases() {
		if !l.wants(c.name()) {
			continue
		}
		l.logf("  %s", c.work)
		r, err := c.measure(ctx, l, exports)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func (c nbdCase) measure(ctx context.Context, l *lab, exports []nbdExport) (row, error) {
	var subjects []subject
	for _, e := range exports {
		job := fioJob{uri: e.uri, rw: c.rw, block: c.block, depth: c.depth, conns: c.conns,
			limit: runFor(l.runTime())}
		subjects = append(subjects, subject{e.name, e.missing,
			func(ctx context.Context) (float64, error) {
				rate, err := l.fio(ctx, job)
				if c.sequential() {
					return rate.bytes, err
				}
				return rate.requests, err
			}})
	}
	results, err := interleave(ctx, l.rounds, 1, subjects)
	if err != nil {
		return row{}, err
	}
	f := perSecond
	if c.sequential() {
		f = throughput
	}
	return against(c.work, results[0], results[1:], more, f, theBetter), nil
}

// runTime is how long one run of fio takes.
func (o options) runTime() time.Duration {
	if o.short {
		return 300 * time.Millisecond
	}
	return time.Second
}

// startExports starts ours first and then the peers that are installed, and
// fills their volumes. What it has started it returns even with an error.
func startExports(ctx context.Context, l *lab) ([]nbdExport, error) {
	size := int64(512 << 20)
	if l.short {
		size = 128 << 20
	}
	dir := filepath.Join(l.disk, "nbd")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	ours, err := startOurs(ctx, l, filepath.Join(dir, "state"), size)
	exports := []nbdExport{ours}
	if err != nil {
		return exports, err
	}
	for _, peer := range nbdPeers() {
		file := filepath.Join(dir, peer.name+".raw")
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, size)); err != nil {
			return exports, err
		}
		e, err := startPeer(ctx, l, peer.tool,
			func(port string) []string { return peer.args(port, file) })
		exports = append(exports, e)
		if err != nil {
			return exports, err
		}
	}
	return exports, fillAll(ctx, l, exports)
}

// nbdPeer is how a server of others exports a file on a port.
type nbdPeer struct {
	tool
	args func(port, file string) []string
}

func nbdPeers() []nbdPeer {
	return []nbdPeer{
		{nbdkit, func(port, file string) []string {
			return []string{"-f", "-i", "127.0.0.1", "-p", port, "file", file}
		}},
		{qemuNBD, func(port, file string) []string {
			return []string{"-f", "raw", "-t", "-e", "8", "-b", "127.0.0.1", "-p", port, file}
		}},
	}
}

// fillAll writes every volume in full, through its own export and all in the
// same way: how a file came into the page cache decides how fast it is
// afterwards (folios of 1 MiB make ext4's writes of 4 KiB many times as slow as
// small ones).
func fillAll(ctx context.Context, l *lab, exports []nbdExport) error {
	for _, e := range exports {
		if e.missing != "" {
			continue
		}
		if err := l.fill(ctx, e.uri); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

// fill writes a volume in full and makes it durable.
func (l *lab) fill(ctx context.Context, uri string) error {
	_, err := l.fio(ctx, fioJob{uri: uri, rw: "write", block: "1m", depth: 1, conns: 1,
		limit: []string{"--end_fsync=1"}})
	return err
}

func startOurs(ctx context.Context, l *lab, state string, size int64) (nbdExport, error) {
	e := nbdExport{name: "copyserver"}
	s, err := l.startServer(ctx, state)
	if err != nil {
		return e, err
	}
	e.stop = s.stop
	v, err := s.createVolumes(ctx, fmt.Sprintf("%dMiB", size>>20), 1)
	if err != nil {
		return e, err
	}
	e.uri = s.uri(v[0])
	return e, nil
}

func startPeer(
	ctx context.Context, l *lab, t tool, args func(port string) []string,
) (nbdExport, error) {
	e := nbdExport{name: t.name, missing: t.notMeasured()}
	if e.missing != "" {
		return e, nil
	}
	d, port, err := l.peerServer(ctx, t, args)
	if err != nil {
		return e, err
	}
	e.uri, e.stop = "nbd://127.0.0.1:"+port+"/", d.stop
	return e, nil
}
