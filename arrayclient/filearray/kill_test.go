package filearray

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
)

// What a killed process wrote, the next one finds, though it is not on the
// disk yet: these tests kill the process first and cut the power later.

// reopen opens the array as the process does that was started after a kill,
// and nil when the power goes meanwhile.
func reopen(t *testing.T, fsys *crashFS, what string) *Array {
	t.Helper()
	a, err := Open(fsys, OpenOptions{})
	if err != nil && !errors.Is(err, errPower) {
		t.Fatalf("%s: %v", what, err)
	}
	return a
}

// settle flushes all volumes after a kill. From then on their content is no
// other than what is read.
func (r *crashRun) settle(a *Array) {
	for _, s := range r.serials {
		v, err := a.OpenVolume(context.Background(), s)
		if err != nil {
			r.t.Fatal(err)
		}
		p := make([]byte, v.Size())
		if _, err := v.ReadAt(p, 0); err == nil && v.Flush() == nil {
			r.now[s] = exactly(p)
			delete(r.during, s)
			r.atomic = nil
			if r.growing == s {
				r.growing = ""
			}
		}
		v.Close()
	}
}

// exactly is the oracle of a volume whose content is known.
func exactly(p []byte) *oracle {
	o := newOracle(int64(len(p)))
	for i := range o.may {
		o.may[i] = []uint64{binary.LittleEndian.Uint64(p[i*sectorSize:])}
	}
	return o
}

// TestKillThenPower kills the process at a random change of the disk, starts
// the next one and cuts the power while that one opens, or later.
func TestKillThenPower(t *testing.T) {
	rng := newRand(t)
	const changes = 240 // of the script, about
	for range 60 {
		r := &crashRun{t: t}
		r.setUp()
		killed := 1 + rng.IntN(changes)
		r.fsys.crashAt = r.fsys.changes + killed
		r.script()
		r.array.kill()
		fsys := r.fsys.afterKill()
		opened := 1 + rng.IntN(60)
		if rng.IntN(2) == 0 {
			opened = 1 + rng.IntN(8)
		}
		seed := rng.Uint64()
		what := fmt.Sprintf("kill at change %d, power gone %d later, seed %d", killed, opened, seed)
		fsys.setCrash(opened)
		if a := reopen(t, fsys, what); a != nil {
			r.settle(a)
			a.kill()
		}
		r.verify(fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))), false, what)
	}
}

func (c *crashFS) setCrash(after int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crashAt = c.changes + after
}

// TestFlushAfterKill: what was written before a kill is durable when a flush
// after it has returned.
func TestFlushAfterKill(t *testing.T) {
	fsys := newCrashFS()
	a := createTestArray(t, fsys)
	v := mustCreate(t, a, 1<<20, 1)
	writeOnes(t, a, v[0], 1)
	a.kill()
	b := openTestArray(t, fsys.afterKill())
	if err := mustOpen(t, b, v[0]).Flush(); err != nil {
		t.Fatal(err)
	}
	b.kill()
	for seed := range uint64(8) {
		c := openTestArray(t, fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))))
		if p := readAll(t, mustOpen(t, c, v[0])); !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
			t.Fatal("what was flushed is lost")
		}
		c.kill()
	}
}

// TestEstablishKilled kills the process within Establish: before its record,
// between that and the sync of the source, or about the note that follows. If
// there is a relationship after that, its image changes no more.
func TestEstablishKilled(t *testing.T) {
	for k := 1; k < 10; k++ {
		fsys := newCrashFS()
		a := createTestArray(t, fsys)
		v := mustCreate(t, a, 1<<20, 2)
		writeOnes(t, a, v[0], 1)
		fsys.setCrash(k)
		rels, recs := a.planned(t, arrayclient.Pair{Source: v[0], Target: v[1]})
		if a.establish(rels, recs) == nil {
			a.secureImages(rels) // without settleAhead, so that there is something to sync
		}
		a.kill()
		b := openTestArray(t, fsys.afterKill())
		found, _ := b.Relationships(context.Background())
		image := readAll(t, mustOpen(t, b, v[1]))
		b.kill()
		if len(found) == 0 {
			continue
		}
		for seed := range uint64(8) {
			c := openTestArray(t, fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))))
			if p := readAll(t, mustOpen(t, c, v[1])); !bytes.Equal(p, image) {
				t.Fatalf("killed at change %d: the image changed", k)
			}
			c.kill()
		}
	}
}

// planned returns the relationship of a pair, not yet established.
func (a *Array) planned(t *testing.T, p arrayclient.Pair) ([]*relationship, []disk.RelationshipRecord) {
	t.Helper()
	recs, err := a.plan([]arrayclient.Pair{p}, arrayclient.Options{NoCopy: true})
	if err != nil {
		t.Fatal(err)
	}
	return a.newRelationships(recs), recs
}

// TestCheckpointKilled kills the process in a checkpoint, and cuts the power
// in the opening after that: the marks of the bitmap are there all the same.
func TestCheckpointKilled(t *testing.T) {
	rng := newRand(t)
	for range 24 {
		fsys, a, v := pairUp(t, arrayclient.Options{NoCopy: true})
		checkpoint := func() {
			a.commitCheckpoint()
			a.store.Commit(nil, nil, func() { a.store.EndCheckpoint() })
		}
		mustOpen(t, a, v[0]).WriteAt(make([]byte, trackSize), 0)
		checkpoint()
		mustOpen(t, a, v[0]).WriteAt(make([]byte, 2*trackSize), trackSize)
		k, j := 1+rng.IntN(8), 1+rng.IntN(12)
		fsys.setCrash(k)
		checkpoint()
		a.kill()
		fsys.afterKill()
		fsys.setCrash(j)
		what := fmt.Sprintf("killed at %d, power gone at %d", k, j)
		if b := reopen(t, fsys, what); b != nil {
			b.kill()
		}
		for range 2 {
			seed := rng.Uint64()
			c, err := Open(fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))), OpenOptions{})
			if err != nil {
				t.Fatalf("%s, seed %d: %v", what, seed, err)
			}
			p := readAll(t, mustOpen(t, c, v[1]))
			if !bytes.Equal(p, bytes.Repeat([]byte{1}, len(p))) {
				t.Fatalf("%s, seed %d: the image changed", what, seed)
			}
			c.kill()
		}
	}
}

// TestMetaKilled kills the process before it syncs a meta file, and cuts the
// power before the next process has synced the other: one of them is whole.
func TestMetaKilled(t *testing.T) {
	fsys, a, _ := pairUp(t, arrayclient.Options{NoCopy: true})
	gen := a.store.Journal.Gen + 1
	unsynced := func(gen uint64) func(op, name string) error {
		return func(op, name string) error {
			if op == "sync" && name == disk.MetaName(gen) {
				return errPower
			}
			return nil
		}
	}
	fsys.setFault(unsynced(gen))
	a.commitCheckpoint()
	a.kill()
	fsys.setFault(unsynced(gen + 3))
	if b := reopen(t, fsys, "meta.*"); b != nil {
		t.Fatal("the second process has opened the array")
	}
	for seed := range uint64(100) {
		_, _, err := disk.ReadMeta(fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
