package filearray

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/disk"
)

// recorded makes two relationships with change recording, whose sources were
// written to since.
func recorded(t *testing.T) (*stallFS, *Array, []arrayclient.Serial, []arrayclient.Pair) {
	t.Helper()
	fsys := &stallFS{crashFS: newCrashFS()}
	a := createTestArray(t, fsys)
	v := mustCreate(t, a, 1<<20, 4)
	pairs := []arrayclient.Pair{{Source: v[0], Target: v[1]}, {Source: v[2], Target: v[3]}}
	err := a.Establish(context.Background(), pairs, arrayclient.Options{Record: true})
	if err != nil {
		t.Fatal(err)
	}
	a.copies.Wait()
	for range 2 { // the first time the writes are staged
		writeOnes(t, a, v[0], 2)
		writeOnes(t, a, v[2], 2)
		mustDestage(t, a, v[0])
		mustDestage(t, a, v[2])
	}
	return fsys, a, v, pairs
}

// TestResyncSourceFails: a source that cannot be made durable after the images
// were taken fails its own relationship, the others go on.
func TestResyncSourceFails(t *testing.T) {
	fsys, a, v, pairs := recorded(t)
	defer a.kill()
	syncs := 0
	fsys.setFault(func(op, name string) error {
		if op != "sync" || !strings.HasPrefix(name, disk.VolumeDir+"/000") {
			return nil
		}
		if syncs++; syncs > 1 {
			return syscall.EIO
		}
		return nil
	})
	begun, release := fsys.arm("sync", disk.VolumeDir+"/000")
	resynced := make(chan error, 1)
	go func() { resynced <- a.Resync(context.Background(), pairs) }()
	<-begun
	mustWrite(t, mustOpen(t, a, v[0]), 0, 512, 3) // a host writes before the instant
	release()
	if err := <-resynced; err == nil {
		t.Fatal("the resync did not notice")
	}
	a.copies.Wait()
	if r := relOf(t, a, v[1]); r.State != arrayclient.StateFailed {
		t.Fatalf("the first relationship is %+v", r)
	}
	if r := relOf(t, a, v[3]); r.State != arrayclient.StateComplete {
		t.Fatalf("the second relationship is %+v", r)
	}
}

// TestResyncRefused: a source that cannot be made durable before that has
// nothing refreshed: the images are what they were.
func TestResyncRefused(t *testing.T) {
	fsys, a, v, pairs := recorded(t)
	defer a.kill()
	fsys.setFault(failing("sync", "000", syscall.EIO))
	if err := a.Resync(context.Background(), pairs); fault.KindOf(err) != fault.Refused {
		t.Fatalf("the resync: %v", err)
	}
	fsys.setFault(nil)
	for _, target := range []arrayclient.Serial{v[1], v[3]} {
		if r := relOf(t, a, target); r.State != arrayclient.StateComplete || r.Changed == 0 {
			t.Fatalf("the relationship is %+v", r)
		}
		if p := readAll(t, mustOpen(t, a, target)); !bytes.Equal(p, make([]byte, len(p))) {
			t.Fatalf("the image on %s changed", target)
		}
	}
}
