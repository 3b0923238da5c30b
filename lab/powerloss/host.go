package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// hotBlocks are those that most writes go to, the same of every volume.
const hotBlocks = 256

// trackBlocks is how many blocks a track has.
const trackBlocks = 16

// hostWrite is a request of a host that changes blocks.
type hostWrite struct {
	kind     operation
	flags    uint16
	first, n int // blocks
}

// randomWrite returns what a host may ask for: short writes and whole tracks,
// seldom much, now and then zeros or a trim.
func randomWrite(rnd *rand.Rand) hostWrite {
	w := hostWrite{kind: cmdWrite, n: 1 + rnd.IntN(4)}
	switch rnd.IntN(32) {
	case 0:
		w.n = 256 + rnd.IntN(100) // more than what is staged
	case 1, 2:
		w.n = 1 + rnd.IntN(100)
	case 3:
		w.kind, w.n = cmdTrim, 1+rnd.IntN(64)
	case 4:
		w.kind, w.n = cmdZero, 1+rnd.IntN(64)
	case 5, 6, 7, 8, 9, 10, 11, 12:
		w.n = trackBlocks
	}
	w.first = rnd.IntN(volumeBlocks - w.n + 1)
	if rnd.IntN(4) > 0 && w.n < hotBlocks {
		w.first = rnd.IntN(hotBlocks - w.n)
	}
	if w.n == trackBlocks {
		w.first -= w.first % trackBlocks
	}
	if rnd.IntN(100) == 0 {
		w.flags |= flagFUA
	}
	if w.kind == cmdZero && rnd.IntN(2) == 0 {
		w.flags |= flagNoHole
	}
	return w
}

// host writes to a volume.
func (d *drive) host(ctx context.Context, v *volume, rnd *rand.Rand) {
	var a *attachment
	for pause(ctx, upTo(rnd, 30*time.Millisecond)) {
		w := randomWrite(rnd)
		if d.calm.Load() {
			w.flags &^= flagFUA
		}
		a = d.request(v, a, func(s *server, a *attachment) error { return d.write(s, v, a, w) })
	}
}

// flusher flushes a volume.
func (d *drive) flusher(ctx context.Context, v *volume, rnd *rand.Rand) {
	var a *attachment
	for pause(ctx, upTo(rnd, time.Second)) {
		if !d.calm.Load() {
			a = d.request(v, a, func(_ *server, a *attachment) error { return d.flush(v, a) })
		}
	}
}

// request lets f use the volume and returns the connection for the next time.
// That the server was killed is no failure.
func (d *drive) request(
	v *volume, a *attachment, f func(*server, *attachment) error,
) *attachment {
	v.quiet.RLock()
	defer v.quiet.RUnlock()
	s := d.server.Load()
	a, err := v.attach(a, s)
	if err == nil {
		err = f(s, a)
	}
	if err == nil {
		return a
	}
	if a != nil {
		v.detach(a)
	}
	if !s.gone(err) {
		d.fail(fmt.Errorf("a host's request to %s failed: %w", v.serial, err))
	}
	return nil
}

func (d *drive) write(s *server, v *volume, a *attachment, w hostWrite) error {
	t := zeros
	if w.kind == cmdWrite {
		t = token(d.tokens.Add(1))
	}
	if !v.life.begin(w.first, w.n, t, d.device.log.position()) {
		return nil
	}
	var data []byte
	if w.kind == cmdWrite {
		data = make([]byte, w.n*pageSize)
		for i := range w.n {
			fillPage(data[i*pageSize:][:pageSize], t, place{v.id, uint32(w.first + i)})
		}
	}
	err := a.request(w.kind, w.flags, int64(w.first)*pageSize, int64(w.n)*pageSize, data)
	if err != nil {
		s.gone(err) // until then it may still write
	}
	durable := never
	if w.flags&flagFUA != 0 {
		durable = d.device.log.position()
	}
	v.life.end(w.first, w.n, err == nil, durable)
	d.counts.add("write")
	return err
}

func (d *drive) flush(v *volume, a *attachment) error {
	answered := v.life.answered()
	if err := a.request(cmdFlush, 0, 0, 0, nil); err != nil {
		return err
	}
	v.life.promise(answered, d.device.log.position())
	d.counts.add("flush")
	return nil
}
