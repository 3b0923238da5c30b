package filearray

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// dependent writes block i to volume i mod len(vols), each after the one
// before was acknowledged, until stop is closed. It returns how many.
func dependent(vols []arrayclient.VolumeIO, stop <-chan struct{}) (uint64, error) {
	p := make([]byte, 8)
	for i := uint64(1); ; i++ {
		select {
		case <-stop:
			return i - 1, nil
		default:
		}
		binary.LittleEndian.PutUint64(p, i)
		n := uint64(len(vols))
		if _, err := vols[i%n].WriteAt(p, int64(i/n%2048*512)); err != nil {
			return i - 1, err
		}
	}
}

// lastOf returns the highest write that a volume holds.
func lastOf(t *testing.T, v arrayclient.VolumeIO) uint64 {
	t.Helper()
	var last uint64
	p := readAll(t, v)
	for at := 0; at < len(p); at += 512 {
		last = max(last, binary.LittleEndian.Uint64(p[at:]))
	}
	return last
}

// checkPrefix checks that on the images of n volumes there are the writes up
// to one number and none after it.
func checkPrefix(t *testing.T, images []arrayclient.VolumeIO) uint64 {
	t.Helper()
	n := uint64(len(images))
	lasts := make([]uint64, n)
	var newest uint64
	for i, v := range images {
		lasts[i] = lastOf(t, v)
		newest = max(newest, lasts[i])
	}
	for i, last := range lasts {
		// The newest write to volume i that is not after newest.
		want := newest - (newest-uint64(i)+n*newest)%n
		if want > newest || newest < uint64(i) {
			want = 0
		}
		if last != want {
			t.Fatalf("write %d is there, on volume %d the last is %d, not %d", newest, i, last, want)
		}
	}
	return newest
}

// TestConsistencyGroup takes images of eight volumes one after the other while
// dependent writes go on: with freeze they are those of one instant.
func TestConsistencyGroup(t *testing.T) {
	const volumes = 8
	a := realArray(t)
	serials := mustCreate(t, a, 1<<20, 2*volumes)
	var sources, targets []arrayclient.VolumeIO
	for i := range volumes {
		sources = append(sources, mustOpen(t, a, serials[i]))
		targets = append(targets, mustOpen(t, a, serials[volumes+i]))
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		if _, err := dependent(sources, stop); err != nil {
			t.Error(err)
		}
	})
	ctx := context.Background()
	var before uint64
	for range 10 {
		time.Sleep(5 * time.Millisecond)
		var pairs []arrayclient.Pair
		for i := range volumes { // several establish tasks that carry the freeze
			p := arrayclient.Pair{Source: serials[i], Target: serials[volumes+i]}
			pairs = append(pairs, p)
			opts := arrayclient.Options{Freeze: true, NoCopy: true}
			if err := a.Establish(ctx, pairs[i:], opts); err != nil {
				t.Fatal(err)
			}
			if r := relOf(t, a, p.Target); r.State != arrayclient.StateFrozen {
				t.Fatalf("a frozen relationship is %+v", r)
			}
		}
		readAll(t, sources[0]) // reads go on
		if err := a.ConsistencyCreated(ctx, pairs); err != nil {
			t.Fatal(err)
		}
		newest := checkPrefix(t, targets)
		if newest <= before {
			t.Fatalf("no write came through between write %d and write %d", before, newest)
		}
		before = newest
		if _, err := a.Withdraw(ctx, pairs); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	running.Wait()
}

// TestFreezeTimeout: writes are released when nobody releases them.
func TestFreezeTimeout(t *testing.T) {
	fsys := newCrashFS()
	if err := Create(fsys, CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	a, err := Open(fsys, OpenOptions{FreezeTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	v := mustCreate(t, a, 1<<20, 2)
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	ctx := context.Background()
	if err := a.ConsistencyCreated(ctx, pairs); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("release without a relationship: %v", err)
	}
	begin := time.Now()
	if err := a.Establish(ctx, pairs, arrayclient.Options{Freeze: true, NoCopy: true}); err != nil {
		t.Fatal(err)
	}
	writeOnes(t, a, v[0], 1)
	if held := time.Since(begin); held < 40*time.Millisecond {
		t.Fatalf("the write waited %v", held)
	}
	if r := relOf(t, a, v[1]); r.State != arrayclient.StateNoCopy || r.Reason == "" {
		t.Fatalf("after the timeout the relationship is %+v", r)
	}
	if err := a.ConsistencyCreated(ctx, pairs); fault.KindOf(err) != fault.Refused {
		t.Fatalf("release after the timeout: %v", err)
	}
}

// TestFreezeEnds: a withdraw, and the end of the array, release the writes.
func TestFreezeEnds(t *testing.T) {
	a := realArray(t)
	v := mustCreate(t, a, 1<<20, 3)
	ctx := context.Background()
	opts := arrayclient.Options{Freeze: true, NoCopy: true}
	for _, release := range []func(p []arrayclient.Pair){
		func(p []arrayclient.Pair) {
			if _, err := a.Withdraw(ctx, p); err != nil {
				t.Error(err)
			}
		},
		func([]arrayclient.Pair) { a.Thaw() },
	} {
		pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
		if err := a.Establish(ctx, pairs, opts); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, func() { release(pairs) })
		writeOnes(t, a, v[0], 1)
	}
}

// TestThawStays: once the array is told that the server ends, an establish that is at
// work then freezes nothing either, and nobody is told that the images are of one
// instant.
func TestThawStays(t *testing.T) {
	a := realArray(t)
	v := mustCreate(t, a, 1<<20, 4)
	ctx := context.Background()
	opts := arrayclient.Options{Freeze: true, NoCopy: true}
	before := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
	after := []arrayclient.Pair{{Source: v[2], Target: v[3]}}
	if err := a.Establish(ctx, before, opts); err != nil {
		t.Fatal(err)
	}
	a.Thaw()
	if err := a.Establish(ctx, after, opts); err != nil {
		t.Fatal(err)
	}
	first, second := mustOpen(t, a, v[0]), mustOpen(t, a, v[2])
	written := make(chan error, 1)
	go func() {
		_, err := first.WriteAt([]byte{1}, 0)
		if err == nil {
			_, err = second.WriteAt([]byte{1}, 0)
		}
		written <- err
	}()
	select {
	case err := <-written:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(FreezeTimeout / 4):
		t.Fatal("a write waits after Thaw")
	}
	for _, pairs := range [][]arrayclient.Pair{before, after} {
		if err := a.ConsistencyCreated(ctx, pairs); fault.KindOf(err) != fault.Refused {
			t.Errorf("the group %v is said to be complete: %v", pairs, err)
		}
		r := relOf(t, a, pairs[0].Target)
		if r.State != arrayclient.StateNoCopy || r.Reason != "the freeze was released by the end of the server" {
			t.Errorf("after the thaw the relationship is %+v", r)
		}
	}
}

// TestThawMeetsEstablish: however the two fall together, no write waits afterwards.
func TestThawMeetsEstablish(t *testing.T) {
	for range 8 {
		a := realArray(t)
		v := mustCreate(t, a, 1<<20, 2)
		pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
		var both sync.WaitGroup
		both.Go(func() {
			opts := arrayclient.Options{Freeze: true, NoCopy: true}
			if err := a.Establish(context.Background(), pairs, opts); err != nil {
				t.Error(err)
			}
		})
		both.Go(a.Thaw)
		both.Wait()
		if r := relOf(t, a, v[1]); r.State != arrayclient.StateNoCopy {
			t.Fatalf("the relationship is %+v", r)
		}
	}
}

// TestFreezeOutlivesCopy: a copy that is complete does not release the writes
// that a consistency group holds.
func TestFreezeOutlivesCopy(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		a := createTestArray(t, newCrashFS())
		v := mustCreate(t, a, 1<<20, 2)
		pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}}
		opts := arrayclient.Options{Freeze: true, Persistent: persistent}
		if err := a.Establish(context.Background(), pairs, opts); err != nil {
			t.Fatal(err)
		}
		waitComplete(t, a, v[1])
		time.Sleep(20 * time.Millisecond)
		if r := relOf(t, a, v[1]); r.State != arrayclient.StateFrozen {
			t.Fatalf("the relationship is %+v", r)
		}
		written := make(chan struct{})
		go func() {
			defer close(written)
			writeOnes(t, a, v[0], 1)
		}()
		select {
		case <-written:
			t.Fatal("the write does not wait")
		case <-time.After(50 * time.Millisecond):
		}
		if err := a.ConsistencyCreated(context.Background(), pairs); err != nil {
			t.Fatal(err)
		}
		<-written
		a.copies.Wait()
		if rels, _ := a.Relationships(context.Background()); len(rels) == 1 != persistent {
			t.Fatalf("after the release there is %v", rels)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
