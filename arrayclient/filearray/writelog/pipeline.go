package writelog

import (
	"cmp"
	"sync"
	"time"
)

// againAfter is how long the background waits after an error.
const againAfter = time.Second

// inBackground reports whether areas are destaged without being asked for.
func (l *Log) inBackground() bool { return l.conf.After >= 0 }

// want sees that areas up to generation gen are destaged. mu is held.
func (l *Log) want(gen uint64) {
	l.wanted = max(l.wanted, gen)
	select {
	case l.nudge <- struct{}{}:
	default: // it has not looked yet
	}
	l.start()
}

// start starts the goroutine if it is not there. mu is held.
func (l *Log) start() {
	if !l.running {
		l.running = true
		l.conf.Go(l.run)
	}
}

// destageSoon lets what is logged be destaged in a while, if the background does that.
// mu is held.
func (l *Log) destageSoon() {
	if l.inBackground() {
		l.start()
	}
}

// Resume lets the background destage what Open found.
func (l *Log) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.areas.inUse() > 0 {
		l.destageSoon()
	}
}

// run destages until nothing is logged, or asked for where there is no background.
func (l *Log) run() {
	said := ""
	for wait := l.conf.After; ; {
		if l.pause(wait) {
			l.wantAll()
		}
		wait = l.conf.After
		err := l.destageWanted()
		if err != nil { // it may have been of the moment
			err = l.destageWanted()
		}
		if err == nil && l.lacksSync() {
			err = l.Sync()
		}
		if err != nil {
			if said != err.Error() {
				said = err.Error()
				l.conf.Logger.Error("staged writes not destaged", "volume", l.conf.Name, "error", err)
			}
			wait = againAfter
		} else if err := l.trim(); err != nil {
			l.conf.Logger.Warn("space of the stage not given back", "volume", l.conf.Name, "error", err)
		}
		if l.ends(err) {
			return
		}
	}
}

// pause waits for d, less when it is nudged or the array ends, and reports
// whether the time is over. Without a background it waits for a nudge alone.
func (l *Log) pause(d time.Duration) bool {
	var over <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-l.nudge:
	case <-l.conf.Context.Done():
	}
	return false
}

// wantAll raises what is wanted to all that is logged.
func (l *Log) wantAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted = max(l.wanted, l.areas.newest())
}

// lacksSync reports whether there is no room because no empty area has a durable header.
func (l *Log) lacksSync() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file != nil && l.areas.unsynced() && !l.room(1)
}

// ends reports whether the goroutine that destages ends, and tells those who
// wait how it went. Who wants something after that starts another one.
func (l *Log) ends(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = err
		l.failures++
	}
	l.changed.Broadcast()
	useless := l.volume.Err() != nil || l.volume.Stuck() != nil
	goesOn := l.inBackground() && l.conf.Context.Err() == nil && !useless
	if err == nil && l.areas.leftUpTo(l.wanted) || goesOn && l.areas.inUse() > 0 {
		return false
	}
	l.running = false
	return true
}

// await waits until done says so, or for the next failure to destage. mu is held, but
// while it waits.
func (l *Log) await(done func() bool) error {
	for failures := l.failures; !done(); l.changed.Wait() {
		if l.failures != failures {
			return l.failed
		}
	}
	return nil
}

// Destage brings to the volume's files what was logged when it was called. No gate is
// held.
func (l *Log) Destage() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := l.areas.newest()
	if newest > 0 {
		l.want(newest)
	}
	if err := l.await(func() bool { return !l.areas.leftUpTo(newest) }); err != nil {
		return err
	}
	return l.volume.Err()
}

// Room waits until there is room in the log, which was full or closed, for a write of n
// bytes. No gate is held.
func (l *Log) Room(n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.await(func() bool {
		if l.file == nil || l.room(n) {
			return true
		}
		if i := l.areas.oldest((*area).used); i >= 0 {
			l.want(l.areas[i].gen)
		} else if l.areas.unsynced() {
			l.want(l.wanted)
		}
		return false
	})
}

// job is an area on its way through the steps.
type job struct {
	i      int
	gen    uint64
	tracks []int64 // in order
	mark   func() error
}

// destageWanted destages the areas that are wanted, in three steps side by side. After
// an error nothing more is begun: what was saved or marked stays so, and the area is
// taken again the next time, after which it is the oldest again.
func (l *Log) destageWanted() error {
	toMark, toApply := make(chan *job), make(chan *job)
	var first firstError
	var steps sync.WaitGroup
	steps.Go(func() {
		defer close(toApply)
		for j := range toMark {
			first.unless(func() error { return l.markArea(j) })
			toApply <- j
		}
	})
	steps.Go(func() {
		for j := range toApply {
			first.unless(func() error { return l.applyArea(j) })
		}
	})
	for j := l.nextJob(0); j != nil; j = l.nextJob(j.gen) {
		if first.unless(func() error { return l.saveArea(j) }); first.get() != nil {
			break
		}
		toMark <- j
	}
	close(toMark)
	steps.Wait()
	return first.get()
}

// firstError keeps the first error of several steps.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// unless does a step unless one before it failed.
func (f *firstError) unless(step func() error) {
	if f.get() != nil {
		return
	}
	if err := step(); err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.err = cmp.Or(f.err, err)
	}
}

// nextJob takes the oldest wanted area that is newer than after; nil when there is none.
func (l *Log) nextJob(after uint64) *job {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.seal(func(a *area) bool { return a.gen > after && a.gen <= l.wanted })
	if i < 0 {
		return nil
	}
	return &job{i: i, gen: l.areas[i].gen, tracks: l.areas[i].inOrder()}
}

// saveArea saves the tracks of an area.
func (l *Log) saveArea(j *job) (err error) {
	if j.mark, err = l.volume.Save(j.tracks); err == nil {
		l.setState(j.i, saved)
	}
	return err
}

// markArea makes it durable that the tracks of an area are saved.
func (l *Log) markArea(j *job) error {
	err := j.mark()
	if err == nil {
		l.setState(j.i, marked)
	}
	return err
}

// applyArea brings an area, whose tracks are saved and marked, to the volume's files, and
// empties it.
func (l *Log) applyArea(j *job) error {
	bring := func(track int64, write func(p []byte, off int64) error) error {
		return l.eachWrite(j.i, track, write)
	}
	if err := l.volume.Apply(j.tracks, bring); err != nil {
		return err
	}
	l.setState(j.i, applied)
	return l.finishArea(j.i)
}

var trackBuffers = sync.Pool{New: func() any { return new([trackSize]byte) }}

// eachWrite calls write for what area i has of a track.
func (l *Log) eachWrite(i int, track int64, write func(p []byte, off int64) error) error {
	buf := trackBuffers.Get().(*[trackSize]byte)
	defer trackBuffers.Put(buf)
	var few [8]fragment
	for _, f := range l.fragments(few[:0], track*trackSize, 1) {
		if f.area != uint8(i) {
			continue
		}
		p := buf[:f.n]
		if _, err := l.file.ReadAt(p, f.at); err != nil {
			return err
		}
		if err := write(p, f.off); err != nil {
			return err
		}
	}
	return nil
}

// setState notes how far area i is.
func (l *Log) setState(i int, s state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.areas[i].state = s
}

// finishArea empties an area that is in the volume's files, and makes that durable.
func (l *Log) finishArea(i int) error {
	for synced := false; ; {
		next, err := l.recycle(i, synced)
		if err == nil && next == syncFilesFirst {
			synced, err = true, l.volume.Sync()
		} else if err == nil {
			err = l.Sync()
		}
		if err != nil || next == emptied {
			return err
		}
	}
}

// emptying is what recycle did, or what is to be done before it can.
type emptying int

const (
	emptied emptying = iota
	syncFilesFirst
	syncLogFirst
)

// recycle empties area i unless a flush has promised what is in it and the
// volume's files are not known to be synced since, or an older area might come
// back and this one not.
func (l *Log) recycle(i int, synced bool) (emptying, error) {
	l.recycling.Lock()
	defer l.recycling.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.volume.Err(); err != nil {
		return emptied, err // nothing is known about what is in the files
	}
	if l.areas.unsynced() {
		return syncLogFirst, nil
	}
	if !l.areas[i].promised {
		l.volume.Expose()
	} else if !synced {
		return syncFilesFirst, nil
	}
	tracks := l.areas[i].tracks
	if err := l.renew(i); err != nil {
		return emptied, err
	}
	l.index.forget(i, tracks)
	if l.active == i {
		l.moveOn()
	}
	l.changed.Broadcast()
	return emptied, nil
}
