package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The array under test has few small volumes, so that everything happens to
// every block often.
const (
	firstVolume  = 0x100
	volumes      = 8
	volumeBlocks = 1024 + 2 // 64 tracks and a part of one
	maxLog       = 3 << 30  // bytes; no longer logs are written
)

// drive is a time in which hosts and administrators use an array, and everything
// is written down that a power loss must leave.
type drive struct {
	device  *device
	program string // copyserver
	state   string // its folder, on the device
	base    string // of the names of the server's files beside it
	seed    uint64

	volumes []*volume
	tokens  atomic.Uint32
	tasks   atomic.Int64
	calm    atomic.Bool // nobody flushes
	counts  counts
	// steady is held for reading by acts and for writing while the server is
	// killed and started again.
	steady sync.RWMutex
	server atomic.Pointer[server]

	mu    sync.Mutex
	lives []*life // all that ever were
	spans []span  // moments in which much may be lost
	err   error   // that ended the drive
	end   context.CancelFunc
}

func (d *drive) volumeSize() int64 { return volumeBlocks * pageSize }

func (d *drive) note(l *life) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lives = append(d.lives, l)
}

// span is a part of the log, by positions.
type span struct{ from, to int }

func (d *drive) noteSpan(from int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spans = append(d.spans, span{from, d.device.log.position()})
}

// fail ends the drive because of something that is no power loss's fault.
func (d *drive) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
	d.end()
}

// random returns a source of random numbers for one goroutine.
func (d *drive) random(stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(d.seed, stream))
}

// run drives for that long.
func (d *drive) run(ctx context.Context, length time.Duration) error {
	s, err := startServer(ctx, d.program, d.state, d.base)
	if err != nil {
		return err
	}
	d.server.Store(s)
	defer func() { d.server.Load().kill() }()
	for i := range volumes {
		v := newVolume(firstVolume + uint32(i))
		if err := d.create(ctx, s, v); err != nil {
			return err
		}
		d.volumes = append(d.volumes, v)
	}
	ctx, d.end = context.WithTimeout(ctx, length)
	defer d.end()
	var running sync.WaitGroup
	stream := uint64(0)
	begin := func(f func(context.Context, *rand.Rand)) {
		stream++
		rnd := d.random(stream)
		running.Go(func() { f(ctx, rnd) })
	}
	for _, v := range d.volumes {
		for range 2 {
			begin(func(ctx context.Context, rnd *rand.Rand) { d.host(ctx, v, rnd) })
		}
		begin(func(ctx context.Context, rnd *rand.Rand) { d.flusher(ctx, v, rnd) })
	}
	for range 3 {
		begin(d.administrator)
	}
	begin(d.sharer)
	begin(d.writeBack)
	begin(d.changeMood)
	begin(d.killer)
	running.Wait()
	return d.err
}

// pause waits and reports whether the drive goes on.
func pause(ctx context.Context, length time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(length):
		return true
	}
}

// upTo returns a random time.
func upTo(rnd *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(rnd.Int64N(int64(most)))
}

// changeMood makes times in which nobody flushes, which leave much to lose, and
// ends the drive when the log is long.
func (d *drive) changeMood(ctx context.Context, rnd *rand.Rand) {
	for pause(ctx, 200*time.Millisecond+upTo(rnd, 2*time.Second)) {
		d.calm.Store(rnd.IntN(3) > 0)
		if d.device.log.size() > maxLog {
			d.end()
		}
	}
}

// killer kills the server now and then, so that some of what is lost with the
// power was left in the page cache by a process that is no more.
func (d *drive) killer(ctx context.Context, rnd *rand.Rand) {
	for pause(ctx, 3*time.Second+upTo(rnd, 6*time.Second)) {
		d.steady.Lock()
		d.server.Load().kill()
		// Others may have begun what they end before the drive does.
		s, err := startServer(context.WithoutCancel(ctx), d.program, d.state, d.base)
		if err == nil {
			d.server.Store(s)
			d.counts.add("kill of the server")
		} else {
			d.fail(fmt.Errorf("start after a kill: %w", err))
		}
		d.steady.Unlock()
	}
}

// counts counts what was done, by its name.
type counts struct{ byName sync.Map }

func (c *counts) add(name string) {
	n, _ := c.byName.LoadOrStore(name, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// String lists the counts, ordered by name.
func (c *counts) String() string {
	var list []string
	c.byName.Range(func(name, n any) bool {
		list = append(list, fmt.Sprintf("%s %d", name, n.(*atomic.Int64).Load()))
		return true
	})
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// volumeFiles returns the names of the files that hold volumes' data.
func (d *drive) volumeFiles() ([]string, error) {
	names, err := filepath.Glob(filepath.Join(d.state, "*", "volumes", "*"))
	if err == nil && len(names) == 0 {
		err = errors.New("there are no files of volumes where they should be")
	}
	return names, err
}
