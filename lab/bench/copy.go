package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"copyservices/arrayclient"
)

const copyCase = "copy"

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
			"iflag=nocache`), and so was the file below its file system. XFS and btrfs are made for this, each in a sparse file of 8 GiB on " +
			"the disk, mounted by way of a loop device.",
		measure: measureCopy,
	}
}

// copyPlace is a file system to copy on.
type copyPlace struct {
	name string // the second part of the case
	kind string // type of the file system
	dir  string
	// image is the file below a file system that was made for this.
	image string
}

// aim is greater where the file system can share blocks.
func (p copyPlace) aim() aim {
	if _, shares := makers[p.kind]; shares {
		return atLeast(20, "≥ 20")
	}
	return atLeast(0.9, "≥ 0.9")
}

func measureCopy(ctx context.Context, l *lab) ([]row, error) {
	var rows []row
	for _, p := range []copyPlace{
		{name: "disk", kind: fileSystem(l.disk), dir: l.disk},
		{name: "xfs", kind: "xfs"},
		{name: "btrfs", kind: "btrfs"},
	} {
		if !l.wants(copyCase + "/" + p.name) {
			continue
		}
		l.logf("  %s", p.kind)
		more, err := p.measure(ctx, l)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func (p copyPlace) measure(ctx context.Context, l *lab) ([]row, error) {
	if p.dir == "" {
		dir, missing, err := l.mounted(ctx, p.kind)
		if err != nil {
			return nil, err
		}
		if missing != "" {
			return []row{{work: "background copy, " + p.kind, ours: missing}}, nil
		}
		p.dir, p.image = dir, dir+imageSuffix
	}
	return p.rows(ctx, l)
}

// rows measures warm and cold.
func (p copyPlace) rows(ctx context.Context, l *lab) (rows []row, err error) {
	b, err := prepareCopy(ctx, l, p)
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
			p.aim()))
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
	image  string // file below the file system; may be empty
}

func prepareCopy(ctx context.Context, l *lab, p copyPlace) (*copyBench, error) {
	e, err := newEngine(filepath.Join(p.dir, copyCase))
	if err != nil {
		return nil, err
	}
	b := &copyBench{engine: e, lab: l, size: 1 << 30, image: p.image}
	if l.short {
		b.size = 64 << 20
	}
	v, err := b.volumes(ctx, b.size, 1)
	if err == nil {
		b.source = v[0]
		b.file, err = volumeFile(e.dir, string(b.source))
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
	if !cold {
		return errors.Join(err, b.lab.warm(ctx, b.file))
	}
	err = errors.Join(err, b.lab.chill(ctx, b.file))
	if b.image != "" {
		err = errors.Join(err, b.lab.chill(ctx, b.image))
	}
	return err
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
