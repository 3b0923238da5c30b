package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// lab is where the power goes: a folder, and the program under test.
type lab struct {
	options
	top string
	out io.Writer
}

// prepare builds the program under test, if it is not given.
func (l *lab) prepare(ctx context.Context) (err error) {
	if l.program == "" {
		l.program, err = l.build(ctx, "")
	}
	return err
}

// build builds copyserver with a build tag and returns its file.
func (l *lab) build(ctx context.Context, tag string) (string, error) {
	program := filepath.Join(l.top, "copyserver"+tag)
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", tag, "-o", program, "./cmd/copyserver")
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
}

// control sees that builds are found out that leave out a sync: then the harness
// sees what it is for.
func (l *lab) control(ctx context.Context) error {
	for _, tag := range []string{"lossy_targets", "lossy_volumes"} {
		program, err := l.build(ctx, tag)
		if err != nil {
			return err
		}
		c := *l
		c.program, c.keep, c.out = program, "", io.Discard
		c.seconds, c.points = min(l.seconds, 8), 60
		t := c.newTrial(fileSystems[0], l.seed)
		t.untilBad = true
		bad, err := t.run(ctx)
		if err != nil {
			return fmt.Errorf("a build with the tag %s: %w", tag, err)
		}
		if bad == 0 {
			return fmt.Errorf("a build with the tag %s leaves out a sync, and nothing bad is seen: "+
				"this test sees nothing", tag)
		}
		fmt.Fprintf(l.out, "a build with the tag %s is found out\n", tag)
	}
	return nil
}

// diskSize is the size of the disk that file systems are made on.
const diskSize = 3 << 29

// trial is one drive on one file system and the crashes after it.
type trial struct {
	*lab
	fs       fileSystem
	seed     uint64
	work     string
	bad      int  // points
	untilBad bool // the first is enough
}

func (l *lab) newTrial(fs fileSystem, seed uint64) *trial {
	return &trial{lab: l, fs: fs, seed: seed, work: filepath.Join(l.top, trialDir)}
}

// run returns how many points are bad.
func (t *trial) run(ctx context.Context) (bad int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.trialLimit(), errors.New("it took too long"))
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, seed %d: %w", t.fs.name, t.seed, cmp.Or(context.Cause(ctx), err))
		}
	}()
	if err := os.MkdirAll(t.work, 0o700); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.work)) }()
	log, err := newWriteLog(filepath.Join(t.work, "log"))
	if err != nil {
		return 0, err
	}
	defer log.close()
	d, err := t.drive(ctx, log)
	if err == nil {
		err = t.crashes(ctx, log, d)
	}
	return t.bad, err
}

// drive lets hosts and administrators work on a new file system.
func (t *trial) drive(ctx context.Context, log *writeLog) (_ *drive, err error) {
	path := filepath.Join(t.work, "disk")
	disk, err := newFileStore(path, diskSize)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, disk.Close(), os.Remove(path)) }()
	dev := &device{size: diskSize, store: disk, log: log}
	m, err := plug(ctx, dev, t.work)
	if err != nil {
		return nil, err
	}
	defer m.unplug()
	if err := t.fs.make(ctx, m.disk); err != nil {
		return nil, err
	}
	if err := t.fs.mountOn(ctx, m.disk, m.dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.unmount()) }()
	d := &drive{
		device: dev, program: t.program, seed: t.seed,
		state: filepath.Join(m.dir, stateName), base: filepath.Join(t.work, "drive"),
	}
	begun := time.Now()
	if err := d.run(ctx, time.Duration(t.seconds)*time.Second); err != nil {
		return nil, err
	}
	fmt.Fprintf(t.out, "%s, seed %d: %.0f s, %d entries of %d MiB; %s\n", t.fs.name, t.seed,
		time.Since(begun).Seconds(), log.position(), log.size()>>20, &d.counts)
	return d, nil
}

// crashes loses the power at random moments of the drive.
func (t *trial) crashes(ctx context.Context, log *writeLog, d *drive) error {
	base, err := newFileStore(filepath.Join(t.work, "base"), diskSize)
	if err != nil {
		return err
	}
	defer base.Close()
	again, err := newWriteLog(filepath.Join(t.work, "again"))
	if err != nil {
		return err
	}
	defer again.close()
	v := &verifier{program: t.program, work: t.work, fs: t.fs, lives: d.lives, again: again}
	r := &rebuilder{log: log, base: base}
	rnd := rand.New(rand.NewPCG(t.seed, 1<<32))
	begun := time.Now()
	for i, c := range chooseCrashes(rnd, t.points, d.lives[volumes-1].created.to, log, d.spans) {
		disk, err := r.disk(c, rand.New(rand.NewPCG(c.seed, 0)))
		if err != nil {
			return err
		}
		if err := t.crash(ctx, v, c, disk, fmt.Sprintf("point %d of %d", i+1, t.points), log); err != nil {
			return err
		}
		if t.bad > 0 && t.untilBad {
			break
		}
	}
	fmt.Fprintf(t.out, "%s, seed %d: %d points in %.0f s, %d volumes compared, %d points bad\n",
		t.fs.name, t.seed, t.points, time.Since(begun).Seconds(), v.checked, t.bad)
	return nil
}

// crash looks at what one crash leaves, and a second one if there is to be one.
func (t *trial) crash(
	ctx context.Context, v *verifier, c crash, disk *overlay, name string, log *writeLog,
) error {
	first := disk.clone()
	before, err := v.look(ctx, disk, c.position)
	if err != nil {
		return err
	}
	where := fmt.Sprintf("%s, seed %d, %s (position %d, last flush %d, %s)", t.fs.name, t.seed,
		name, c.position, log.lastFlush(c.position), c.loss)
	if len(before.bad) > 0 || !c.again {
		return t.report(where, before, first, log, c)
	}
	second, how, err := v.crashAgain(first, rand.New(rand.NewPCG(c.seed, 1)))
	if err != nil {
		return err
	}
	first = second.clone()
	after, err := v.look(ctx, second, c.position)
	if err != nil {
		return err
	}
	compareLooks(before, after)
	return t.report(where+", "+how, after, first, log, c)
}

// report tells what is bad, if anything is.
func (t *trial) report(where string, s *seen, disk *overlay, log *writeLog, c crash) error {
	if len(s.bad) == 0 {
		return nil
	}
	t.bad++
	fmt.Fprintf(t.out, "BAD %s: %d findings\n", where, len(s.bad))
	told := map[string]int{} // by volume
	for _, b := range s.bad {
		if told[b.volume]++; told[b.volume] > 2 {
			continue
		}
		fmt.Fprintf(t.out, "    %s\n", b.what)
		for _, line := range append(log.traces("expected", b.token, b.block, c.position),
			log.traces("found", b.found, b.block, c.position)...) {
			fmt.Fprintf(t.out, "        %s\n", line)
		}
	}
	if t.keep == "" {
		return nil
	}
	path := filepath.Join(t.keep, fmt.Sprintf("%s-%d-%d.img", t.fs.name, t.seed, c.position))
	fmt.Fprintf(t.out, "    the disk is in %s\n", path)
	return errors.Join(os.MkdirAll(t.keep, 0o700), disk.saveTo(path, diskSize))
}
