package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"copyservices/arrayclient"
)

const (
	establishCase = "establish"
	// establishData is how many tracks of a source hold data.
	establishData = 1000
	// massPairs is how many pairs are established in one call.
	massPairs = 1000
)

// establishAim is that of one pair.
var establishAim = atMost(0.010, "p99 < 10 ms")

func establishSection() section {
	return section{
		name: establishCase, title: "Establish",
		cases: []string{establishCase + "/one", establishCase + "/many"},
		how: "The array alone, in the program that measures, establishes nocopy relationships on " +
			"the disk, made durable before it returns. The withdrawals between are not counted. A " +
			"source has 4 KiB of data in each of 1,000 tracks evenly apart. `qemu-img create -f " +
			"qcow2 -b` makes an overlay of a raw file with the same data on the disk, `cp " +
			"--reflink=always` a copy of such a file on an XFS (loop-mounted, as for the background " +
			"copy); both are whole processes, and neither makes anything durable. The figures of " +
			"one pair are the 99th percentile of 100 calls of each. The 1,000 pairs of 1 GiB are " +
			"established in one call, of which there are ten in a round, and the peers make one " +
			"file after the other, 100 of them; the 99th percentile there is that of ten and of " +
			"100 calls.",
		measure: measureEstablish,
	}
}

// establishSize is a size of volumes.
type establishSize struct {
	name  string
	bytes int64
}

func establishSizes() []establishSize {
	return []establishSize{{"1 GiB", 1 << 30}, {"1 TiB", 1 << 40}, {"16 TiB", 16 << 40}}
}

// establishBench is an array and a place for the files of the peers.
type establishBench struct {
	*engine
	lab        *lab
	xfs        string // folder
	xfsMissing string // why there is none
	calls      int    // of one pair in a round
}

func measureEstablish(ctx context.Context, l *lab) (rows []row, err error) {
	b := establishBench{lab: l, calls: 100}
	if l.short {
		b.calls = 10
	}
	if b.xfs, b.xfsMissing, err = l.mounted(ctx, "xfs"); err != nil {
		return nil, err
	}
	if b.engine, err = newEngine(filepath.Join(l.disk, establishCase)); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close(), os.RemoveAll(b.dir)) }()
	if l.wants(establishCase + "/one") {
		if rows, err = b.onePair(ctx); err != nil {
			return nil, err
		}
	}
	if !l.wants(establishCase + "/many") {
		return rows, nil
	}
	l.logf("  %d pairs", massPairs)
	more, err := b.manyPairs(ctx)
	return append(rows, more...), err
}

// onePair measures each size against the peers, and the greater ones against
// the least.
func (b establishBench) onePair(ctx context.Context) ([]row, error) {
	var subjects []subject
	for _, size := range establishSizes() {
		b.lab.logf("  %s", size.name)
		pairs, err := b.sourced(ctx, size.bytes, 1)
		if err != nil {
			return nil, err
		}
		peers, err := b.peers(ctx, size)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject{name: size.name,
			measure: func(ctx context.Context) (float64, error) {
				return b.established(ctx, pairs, b.calls)
			}})
		subjects = append(subjects, peers...)
	}
	results, err := interleave(ctx, b.lab.rounds, 1, subjects)
	if err != nil {
		return nil, err
	}
	var contests, sizes []row
	const each = 3 // ours and its peers
	for size := range slices.Chunk(results, each) {
		r := against("establish, "+size[0].name, size[0], size[1:], less, milliseconds, aim{})
		r.judge(establishAim, size[0].span().median)
		contests = append(contests, r)
		if len(contests) > 1 {
			sizes = append(sizes, multiple("establish, "+size[0].name+", by size", size[0], results[0],
				less, milliseconds, atMost(2, "flat: ≤ 2 of its time")))
		}
	}
	return append(contests, sizes...), nil
}

// sourced makes pairs whose sources have data.
func (b establishBench) sourced(
	ctx context.Context, size int64, count int,
) ([]arrayclient.Pair, error) {
	pairs, err := b.pairs(ctx, size, count)
	if err != nil {
		return nil, err
	}
	return pairs, b.change(ctx, pairs[0].Source, scattered(size, establishData))
}

// established returns the 99th percentile of the seconds that calls of
// establish take.
func (b establishBench) established(
	ctx context.Context, pairs []arrayclient.Pair, calls int,
) (float64, error) {
	return percentile(99, calls, func() (float64, error) {
		took, err := secondsOf(func() error {
			return b.Establish(ctx, pairs, arrayclient.Options{NoCopy: true})
		})
		if err != nil {
			return 0, err
		}
		_, err = b.Withdraw(ctx, pairs)
		return took, err
	})
}

// peers returns those that make copies of files like the sources of that size.
func (b establishBench) peers(ctx context.Context, size establishSize) ([]subject, error) {
	image := filepath.Join(b.lab.disk, fmt.Sprintf("establish-%d.raw", size.bytes))
	overlay := image + ".qcow2"
	write := scattered(size.bytes, establishData)
	// The largest is more than a file of ext4 can hold.
	imageSize := min(size.bytes, 16<<40-1<<20)
	if err := makeImage(image, imageSize, write); err != nil {
		return nil, err
	}
	peers := []subject{
		b.peer(qemuImg, overlay, "create", "-q", "-f", "qcow2", "-b", image, "-F", "raw", overlay),
		{name: cp.name, missing: b.xfsMissing},
	}
	if b.xfsMissing == "" {
		file := filepath.Join(b.xfs, filepath.Base(image))
		clone := file + ".copy"
		if err := makeImage(file, size.bytes, write); err != nil {
			return nil, err
		}
		peers[1] = b.peer(cp, clone, "--reflink=always", file, clone)
	}
	return peers, nil
}

// peer is a program that makes a file, which is removed again.
func (b establishBench) peer(t tool, made string, args ...string) subject {
	return subject{name: t.name, missing: t.notMeasured(),
		measure: func(ctx context.Context) (float64, error) {
			return percentile(99, b.calls, func() (float64, error) {
				took, err := b.lab.timed(b.lab.command(ctx, nil, t.name, args...))
				return took, errors.Join(err, os.Remove(made))
			})
		}}
}

// manyPairs measures a thousand pairs at once.
func (b establishBench) manyPairs(ctx context.Context) ([]row, error) {
	count, calls := massPairs, 10
	if b.lab.short {
		count, calls = 100, 2
	}
	size := establishSizes()[0]
	pairs, err := b.sourced(ctx, size.bytes, count)
	if err != nil {
		return nil, err
	}
	peers, err := b.peers(ctx, size)
	if err != nil {
		return nil, err
	}
	ours := subject{name: "ours", measure: func(ctx context.Context) (float64, error) {
		return b.established(ctx, pairs, calls)
	}}
	results, err := interleave(ctx, b.lab.rounds, 1, append([]subject{ours}, peers...))
	if err != nil {
		return nil, err
	}
	each := series{name: "ours"}
	for _, whole := range results[0].values {
		each.values = append(each.values, whole/float64(count))
	}
	work := fmt.Sprintf("establish, %d pairs of %s at once", count, size.name)
	return []row{
		figure(work, results[0].span(), milliseconds, aim{}),
		against(work+", per pair", each, results[1:], less, milliseconds, aim{}),
	}, nil
}
