package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"copyservices/arrayclient"
)

// Where files share blocks, a file that is overwritten gets other blocks, which
// the file system notes on the disk later. Until then the disk has it that the
// old ones are still its own, though another file may be overwriting them. So
// this is done now and then on purpose, while nobody else writes: a copy is
// made, and both sides of it are overwritten in turn without a flush.

// sharer lets volumes share blocks and then overwrites them.
func (d *drive) sharer(ctx context.Context, rnd *rand.Rand) {
	for pause(ctx, upTo(rnd, time.Second)) {
		d.steady.Lock()
		err := d.share(context.WithoutCancel(ctx), rnd)
		d.steady.Unlock()
		if err != nil && !errors.Is(err, errRefused) {
			d.fail(err)
		}
	}
}

// share copies a volume and overwrites it, and then its copy: as a host does, or
// by making it the target of another volume that changes.
func (d *drive) share(ctx context.Context, rnd *rand.Rand) error {
	list := slices.Clone(d.volumes)
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	source, target, other := list[0], list[1], list[2]
	if err := d.release(ctx, list[:3]); err != nil {
		return err
	}
	first, tracks := rnd.IntN(8), 1+rnd.IntN(8)
	err := d.alone(func() error {
		return errors.Join(d.overwrite(source, 0, hotBlocks/trackBlocks),
			d.overwrite(other, 0, hotBlocks/trackBlocks), d.flushNow(source))
	})
	if err != nil {
		return err
	}
	if err := d.establish(ctx, rnd, []copyPair{{source, target}}, arrayclient.Options{}); err != nil {
		return err
	}
	if err := d.awaitEnd(ctx, target); err != nil {
		return err
	}
	order := []*volume{source, target}
	switch rnd.IntN(3) {
	case 0:
		opts := arrayclient.Options{NoCopy: true}
		if err := d.establish(ctx, rnd, []copyPair{{other, target}}, opts); err != nil {
			return err
		}
		order = []*volume{source, other}
	case 1:
		slices.Reverse(order)
	}
	d.counts.add("overwriting of shared blocks")
	return d.alone(func() error { return d.overwriteInTurn(rnd, order, first, tracks) })
}

// overwriteInTurn overwrites the same tracks of both volumes, and gives the
// kernel time to write.
func (d *drive) overwriteInTurn(rnd *rand.Rand, both []*volume, first, tracks int) error {
	from := 0
	for _, v := range both {
		from = d.device.log.position()
		if err := d.overwrite(v, first, tracks); err != nil {
			return err
		}
		d.beginWriting()
		time.Sleep(100*time.Millisecond + upTo(rnd, 300*time.Millisecond))
	}
	d.beginWriting()
	time.Sleep(upTo(rnd, 300*time.Millisecond))
	d.noteSpan(from)
	return nil
}

// release ends all relationships of the volumes.
func (d *drive) release(ctx context.Context, list []*volume) error {
	var serials []arrayclient.Serial
	bySerial := map[arrayclient.Serial]*volume{}
	for _, v := range list {
		serials = append(serials, v.serial)
	}
	for _, v := range d.volumes {
		bySerial[v.serial] = v
	}
	rels, err := d.server.Load().client.Relationships(ctx, serials...)
	if err != nil {
		return err
	}
	for _, r := range rels {
		err := d.withdraw(ctx, copyPair{bySerial[r.Source], bySerial[r.Target]})
		if err != nil && !errors.Is(err, errRefused) { // it may have ended
			return err
		}
	}
	return nil
}

// awaitEnd waits a while for the end of the relationship of a target.
func (d *drive) awaitEnd(ctx context.Context, target *volume) error {
	for range 100 {
		list, err := d.server.Load().client.Relationships(ctx, target.serial)
		if err != nil || len(list) == 0 {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errRefused
}

// alone calls f while no host uses any volume.
func (d *drive) alone(f func() error) error {
	for _, v := range d.volumes {
		v.quiet.Lock()
		defer v.quiet.Unlock()
	}
	return f()
}

// overwrite writes to whole tracks, without a flush.
func (d *drive) overwrite(v *volume, first, tracks int) error {
	return d.with(v, func(a *attachment) error {
		for t := first; t < first+tracks; t++ {
			w := hostWrite{kind: cmdWrite, first: t * trackBlocks, n: trackBlocks}
			if err := d.write(d.server.Load(), v, a, w); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *drive) flushNow(v *volume) error {
	return d.with(v, func(a *attachment) error { return d.flush(v, a) })
}

// with lets f use the volume.
func (d *drive) with(v *volume, f func(*attachment) error) error {
	a, err := v.attach(nil, d.server.Load())
	if err != nil {
		return err
	}
	defer v.detach(a)
	return f(a)
}

// writeBack does at random moments what the kernel may do at any: it begins to
// write dirty pages of a volume's file. File systems then change in memory where
// the data is, and note that on the disk later.
func (d *drive) writeBack(ctx context.Context, rnd *rand.Rand) {
	for pause(ctx, upTo(rnd, 50*time.Millisecond)) {
		names, err := d.volumeFiles()
		if err != nil {
			d.fail(err)
			return
		}
		beginWritingFile(names[rnd.IntN(len(names))])
		d.counts.add("write-back")
	}
}

// beginWriting begins to write the dirty pages of all volumes' files.
func (d *drive) beginWriting() {
	names, _ := d.volumeFiles() // writeBack reports an error
	for _, name := range names {
		beginWritingFile(name)
	}
}

// beginWritingFile promises nothing: the file may be gone with its volume.
func beginWritingFile(name string) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}
