package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"copyservices/arrayclient"
)

const (
	copyCase = "copy"
	// copyShared is the aim where the file system can share blocks.
	copyShared = 20
	copyPlain  = 0.9
)

func copySection() section {
	return section{
		name: copyCase, title: "Background copy",
		cases: []string{copyCase + "/disk", copyCase + "/xfs", copyCase + "/btrfs"},
		how: "The array alone, in the program that measures, copies a volume of 1 GiB full of data " +
			"in the background: from the call of establish until the relationship is complete, " +
			"which says that the target is durable. `cp --reflink=never` copies the source's file " +
			"on the same file system, `sync` of the copy follows and counts, so that both are " +
			"durable at the end. Each run copies into a new volume and a new file. Warm: the " +
			"source is in the page cache; cold: it was dropped from it before (`dd " +
			"iflag=nocache`). XFS and btrfs are made for this, each in a sparse file of 8 GiB on " +
			"the disk, mounted by way of a loop device.",
		measure: measureCopy,
	}
}

// copyPlace is a file system to copy on.
type copyPlace struct {
	name    string // the second part of the case
	kind    string // type of the file system
	dir     string
	missing string
	least   float64 // aim
	text    string
}

func measureCopy(ctx context.Context, l *lab) ([]row, error) {
	places := []copyPlace{
		{name: "disk", kind: fileSystem(l.disk), dir: l.disk, least: copyPlain, text: "≥ 0.9"},
		{name: "xfs", kind: "xfs", least: copyShared, text: "≥ 20"},
		{name: "btrfs", kind: "btrfs", least: copyShared, text: "≥ 20"},
	}
	var rows []row
	for _, p := range places {
		if !l.wants(copyCase + "/" + p.name) {
			continue
		}
		var err error
		if p.dir == "" {
			p.dir, p.missing, err = l.mounted(ctx, p.kind, map[string]tool{
				"xfs": mkXFS, "btrfs": mkBtrfs}[p.kind])
		}
		if err != nil {
			return nil, err
		}
		if p.missing != "" {
			rows = append(rows, row{work: "background copy, " + p.kind, ours: p.missing})
			continue
		}
		l.logf("  %s", p.kind)
		more, err := p.rows(ctx, l)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// rows measures warm and cold.
func (p copyPlace) rows(ctx context.Context, l *lab) (rows []row, err error) {
	b, err := prepareCopy(ctx, l, p.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close(), os.RemoveAll(b.dir)) }()
	for _, cold := range []bool{false, true} {
		work := "background copy, " + p.kind + ", warm"
		if cold {
			work = "background copy, " + p.kind + ", cold"
		}
		results, err := interleave(ctx, l.rounds, 1, []subject{
			{name: "ours", measure: func(ctx context.Context) (float64, error) {
				return b.ours(ctx, cold)
			}},
			{name: "cp", missing: cp.notMeasured(), measure: func(ctx context.Context) (float64, error) {
				return b.cp(ctx, cold)
			}},
		})
		if err != nil {
			return nil, err
		}
		rows = append(rows, against(work, results[0], results[1:], less, milliseconds,
			atLeast(p.least, p.text)))
	}
	return rows, nil
}

// copyBench is an array with a volume to copy.
type copyBench struct {
	*engine
	lab    *lab
	size   int64 // bytes
	source arrayclient.Serial
	file   string // of the source
}

func prepareCopy(ctx context.Context, l *lab, dir string) (*copyBench, error) {
	e, err := newEngine(filepath.Join(dir, copyCase))
	if err != nil {
		return nil, err
	}
	b := &copyBench{engine: e, lab: l, size: 1 << 30}
	if l.short {
		b.size = 64 << 20
	}
	v, err := b.volumes(ctx, b.size, 1)
	if err == nil {
		b.source = v[0]
		b.file, err = e.file(b.source)
	}
	if err == nil {
		err = b.change(ctx, b.source, fullOf(b.size))
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// settled makes the page cache what the run is to find.
func (b *copyBench) settled(ctx context.Context, cold bool) error {
	err := b.lab.settle(ctx, b.dir)
	if cold {
		return errors.Join(err, b.lab.chill(ctx, b.file))
	}
	_, warmed := b.lab.timed(b.lab.command(ctx, nil, "cat", b.file))
	return errors.Join(err, warmed)
}

// ours copies the source to a new volume.
func (b *copyBench) ours(ctx context.Context, cold bool) (float64, error) {
	v, err := b.volumes(ctx, b.size, 1)
	if err != nil {
		return 0, err
	}
	if err := b.settled(ctx, cold); err != nil {
		return 0, err
	}
	pairs := []arrayclient.Pair{{Source: b.source, Target: v[0]}}
	took, err := secondsOf(func() error {
		err := b.Establish(ctx, pairs, arrayclient.Options{Persistent: true})
		if err != nil {
			return err
		}
		return b.copied(ctx, pairs[0])
	})
	if err != nil {
		return 0, err
	}
	if _, err := b.Withdraw(ctx, pairs); err != nil {
		return 0, err
	}
	return took, b.DeleteVolume(ctx, v[0])
}

// cp copies the source's file to a new one.
func (b *copyBench) cp(ctx context.Context, cold bool) (float64, error) {
	if err := b.settled(ctx, cold); err != nil {
		return 0, err
	}
	to := filepath.Join(b.dir, "copy")
	took, err := b.lab.timed(b.lab.command(ctx, nil, cp.name, "--reflink=never", b.file, to))
	if err != nil {
		return 0, err
	}
	synced, err := b.lab.timed(b.lab.command(ctx, nil, "sync", to))
	return took + synced, errors.Join(err, os.Remove(to))
}
