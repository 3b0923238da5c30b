package writelog

import (
	"copyservices/arrayclient/filearray/disk"
	"sync"
	"testing"
	"time"
)

// fill logs writes until there is no room.
func (w *world) fill(first int64) (n int) {
	w.t.Helper()
	for w.put(first+int64(n), 7) == Logged {
		n++
	}
	return n
}

// waits checks that a write finds no room, and has some once that was waited for.
func (w *world) waits(track int64, b byte) {
	w.t.Helper()
	if how := w.put(track, b); how != NoRoom {
		w.t.Fatalf("a write before the headers are durable: %d", how)
	}
	w.must(w.Room(8 << 10))
	if how := w.put(track, b); how != Logged {
		w.t.Fatalf("a write after that: %d", how)
	}
}

// TestHeldBack: while somebody is about to close a log, two areas are all that writes
// get.
func TestHeldBack(t *testing.T) {
	w := newWorld(t, fourAreas)
	if n := w.fill(0); n != 4 || w.used() != 4 {
		t.Fatalf("%d writes are in %d areas, not 4 in 4", n, w.used())
	}
	release := w.HoldBack()
	w.must(w.Destage())
	w.must(w.Sync())
	if n := w.used(); n != 0 {
		t.Fatalf("%d areas are used after destaging", n)
	}
	if n := w.fill(5); n != 2 {
		t.Fatalf("%d areas take writes while held back, not 2", n)
	}
	w.must(w.Destage())
	for track := range int64(2) { // sealed before they are full
		w.put(9+track, 7)
		w.mu.Lock()
		w.seal(func(a *area) bool { return a.state == open })
		w.mu.Unlock()
	}
	if w.hasRoom() {
		t.Fatal("a third area takes writes while held back")
	}
	release()
	w.must(w.Destage())
	w.must(w.Sync())
	if n := w.fill(12); n != 4 {
		t.Fatalf("%d areas take writes after that, not 4", n)
	}
}

// TestClosed: a closed log is empty and takes nothing until it is open again; who waits
// for room gets it then.
func TestClosed(t *testing.T) {
	w := newWorld(t, fourAreas)
	w.put(1, 5)
	reopen, err := w.Close()
	w.must(err)
	if n := w.Tracks(); n != 0 {
		t.Fatalf("%d tracks are in a closed log", n)
	}
	if how := w.put(2, 6); how != NoRoom {
		t.Fatalf("a closed log did %d with a write", how)
	}
	w.want(1, 5)
	if how := w.PutZeros(3*trackSize, trackSize); how != Past {
		t.Fatalf("a closed log did %d with zeros of another track", how)
	}
	w.Passed(3*trackSize, trackSize)
	var waiting sync.WaitGroup
	var room error
	waiting.Go(func() { room = w.Room(8 << 10) })
	time.Sleep(20 * time.Millisecond) // it waits, or will
	reopen()
	waiting.Wait()
	w.must(room)
	if how := w.put(2, 6); how != Logged {
		t.Fatalf("the open log did %d with a write", how)
	}
	w.want(2, 6)
}

// TestHeadersFirst: as long as the new header of an emptied area is not
// durable, the area takes no writes and no other one is emptied.
func TestHeadersFirst(t *testing.T) {
	two := fourAreas
	two.Areas = 2
	w := newWorld(t, two)
	w.put(0, 2)
	w.must(w.Sync())
	w.begin(two) // gives the other area a new header
	if w.hasRoom() {
		t.Error("an area takes writes whose header is not durable")
	}
	w.wantAll()
	if next, err := w.recycle(w.nextJob(0).i, true); next != syncLogFirst || err != nil {
		t.Errorf("an area is emptied before that: %d, %v", next, err)
	}
	w.must(w.Sync())
	if !w.hasRoom() {
		t.Error("there is no room when it is durable")
	}
}

// TestRoomOfHeaders: who waits for room where all areas are empty and no header is
// durable gets it.
func TestRoomOfHeaders(t *testing.T) {
	two := fourAreas
	two.Areas = 2
	w := newWorld(t, two)
	w.put(0, 2)
	w.must(w.Sync())
	w.must(w.Destage())
	w.must(w.Sync())
	w.begin(two) // gives both areas a new header
	w.waits(1, 3)
}

// TestHeaderWithoutRoom: an area that gets no new header on a full disk takes no writes:
// behind them might be records of before.
func TestHeaderWithoutRoom(t *testing.T) {
	two := fourAreas
	two.Areas = 2
	w := newWorld(t, two)
	w.put(0, 2)
	w.must(w.Sync())
	w.fsys.full.Store(true)
	w.begin(two)
	w.fsys.full.Store(false)
	w.waits(1, 3)
	w.want(0, 2)
	w.want(1, 3)
}

// TestFailureIsTold: who waits for a log to be destaged hears that it cannot be.
func TestFailureIsTold(t *testing.T) {
	w := newWorld(t, fourAreas)
	if n := w.fill(0); n != 4 {
		t.Fatalf("%d areas take writes, not 4", n)
	}
	w.fsys.full.Store(true)
	if err := w.Destage(); !disk.IsFull(err) {
		t.Errorf("destaging on a full disk: %v", err)
	}
	if err := w.Room(8 << 10); !disk.IsFull(err) {
		t.Errorf("waiting for room on a full disk: %v", err)
	}
	if _, err := w.Close(); !disk.IsFull(err) {
		t.Errorf("closing on a full disk: %v", err)
	}
	w.fsys.full.Store(false)
	w.must(w.Room(8 << 10)) // a log that could not be closed is open
	w.must(w.Destage())
}

// TestTrimSparesHeaders: as long as it is not durable that an area is empty,
// nothing of what is in it is given back: it may come back.
func TestTrimSparesHeaders(t *testing.T) {
	w := newWorld(t, fourAreas)
	w.put(0, 2)
	w.must(w.Sync())
	w.must(w.Destage())
	w.must(w.Sync())
	w.begin(fourAreas) // gives all areas new headers, which are not synced
	before := w.held()
	w.volume.source.Store(false)
	w.must(w.trim())
	if n := w.held(); n != before {
		t.Fatalf("%d of %d bytes are left before the headers are durable", n, before)
	}
	w.must(w.Sync())
	w.must(w.trim())
	if n := w.held(); n >= before {
		t.Fatalf("%d of %d bytes are left of an empty log", n, before)
	}
}

// held returns how much storage the file occupies.
func (w *world) held() int64 {
	w.t.Helper()
	n, err := w.file.Allocated()
	w.must(err)
	return n
}

// TestReadWhileDestaged: what a read found in the log stays there until it is read.
func TestReadWhileDestaged(t *testing.T) {
	two := fourAreas
	two.Areas = 2
	w := newWorld(t, two)
	w.put(1, 5)
	var destaging sync.WaitGroup
	p := make([]byte, 8<<10)
	w.must(w.Read(p, trackSize, func() error {
		destaging.Go(func() { w.must(w.Destage()) })
		for range 20 {
			time.Sleep(2 * time.Millisecond)
			w.must(w.Sync()) // an emptied area may take writes again
		}
		w.put(2, 9)
		w.put(3, 9)
		return nil
	}))
	destaging.Wait()
	if p[0] != 5 || p[len(p)-1] != 5 {
		t.Fatalf("read %d and %d of what was written as 5", p[0], p[len(p)-1])
	}
}

// TestDropWaits: a log is dropped when nobody destages it any more.
func TestDropWaits(t *testing.T) {
	w := newWorld(t, fourAreas)
	w.volume.saving = make(chan struct{})
	w.put(0, 2)
	var destaging, dropping sync.WaitGroup
	destaging.Go(func() { _ = w.Destage() })
	for {
		w.mu.Lock()
		busy := w.running
		w.mu.Unlock()
		if busy {
			break
		}
		time.Sleep(time.Millisecond)
	}
	dropped := make(chan struct{})
	dropping.Go(func() {
		w.Drop()
		close(dropped)
	})
	select {
	case <-dropped:
		t.Error("the log is gone while it is being destaged")
	case <-time.After(50 * time.Millisecond):
	}
	close(w.volume.saving)
	destaging.Wait()
	dropping.Wait()
	if w.Tracks() != 0 {
		t.Error("something is logged after that")
	}
}
