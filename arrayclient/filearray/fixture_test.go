package filearray

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/writelog"
)

func newRand(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func createTestArray(t *testing.T, fsys disk.FS) *Array {
	t.Helper()
	return createStagingArray(t, fsys, writelog.Default)
}

func createStagingArray(t *testing.T, fsys disk.FS, s writelog.Measures) *Array {
	t.Helper()
	if err := Create(fsys, CreateOptions{Serial: "13698"}); err != nil {
		t.Fatal(err)
	}
	return openStagingArray(t, fsys, s)
}

func openTestArray(t *testing.T, fsys disk.FS) *Array {
	t.Helper()
	return openStagingArray(t, fsys, writelog.Default)
}

func openStagingArray(t *testing.T, fsys disk.FS, s writelog.Measures) *Array {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	a, err := Open(fsys, OpenOptions{Logger: logger, measures: s})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustCreate(t *testing.T, a *Array, size int64, count int) []arrayclient.Serial {
	t.Helper()
	list, err := a.CreateVolumes(context.Background(),
		arrayclient.VolumeSpec{Size: size, Count: count})
	if err != nil {
		t.Fatal(err)
	}
	var serials []arrayclient.Serial
	for _, v := range list {
		serials = append(serials, v.Serial)
	}
	return serials
}

// kill leaves the array as a killed process would: no checkpoint.
func (a *Array) kill() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.cancel()
	a.copies.Wait()
	a.destages.Wait()
	a.store.Commit(nil, nil, nil) // waits for what goes on in the background
	if c := a.store.Current; c != nil {
		<-c.Done
	}
}

func mustOpen(t *testing.T, a *Array, s arrayclient.Serial) arrayclient.VolumeIO {
	t.Helper()
	v, err := a.OpenVolume(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func readAll(t *testing.T, v arrayclient.VolumeIO) []byte {
	t.Helper()
	p := make([]byte, v.Size())
	if _, err := v.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}

func realArray(t *testing.T) *Array {
	t.Helper()
	fsys, err := disk.OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := createTestArray(t, fsys)
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if problems := Check(fsys); problems != nil {
			t.Error(problems)
		}
	})
	return a
}

func waitComplete(t *testing.T, a *Array, target arrayclient.Serial) {
	t.Helper()
	for range 3000 {
		rels, err := a.Relationships(context.Background(), target)
		if err != nil {
			t.Fatal(err)
		}
		if len(rels) == 0 || rels[0].OutOfSync == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the copy does not end")
}

func mustWrite(t *testing.T, vol arrayclient.VolumeIO, track int64, n int, b byte) {
	t.Helper()
	if _, err := vol.WriteAt(bytes.Repeat([]byte{b}, n), track*trackSize); err != nil {
		t.Fatal(err)
	}
}

func mustFlush(t *testing.T, vol arrayclient.VolumeIO) {
	t.Helper()
	if err := vol.Flush(); err != nil {
		t.Fatal(err)
	}
}

// stay stages and destages only when it is told to.
var stay = writelog.Measures{Areas: 2, Area: 1 << 20, Longest: 64 << 10, After: -1}

// oneBlock is the length of a write whose record fills a block of the disk.
const oneBlock = blockSize - disk.RecordHeaderSize - 8

// eachDisk opens what may be left when the power goes.
func eachDisk(t *testing.T, fsys *crashFS, draws uint64, f func(what string, disk *crashFS, a *Array)) {
	t.Helper()
	for seed := range draws {
		disk := fsys.afterCrash(rand.New(rand.NewPCG(seed, 1)))
		f(fmt.Sprintf("seed %d", seed), disk, openStagingArray(t, disk, stay))
	}
}

// pairUp makes an array with a source full of ones and an established target.
func pairUp(t *testing.T, opts arrayclient.Options) (*crashFS, *Array, []arrayclient.Serial) {
	t.Helper()
	return pairUpStaging(t, opts, writelog.Default)
}

func pairUpStaging(
	t *testing.T, opts arrayclient.Options, s writelog.Measures,
) (*crashFS, *Array, []arrayclient.Serial) {
	t.Helper()
	fsys := newCrashFS()
	a := createStagingArray(t, fsys, s)
	return fsys, a, pairIn(t, a, opts)
}

// pairIn makes the volumes of pairUp.
func pairIn(t *testing.T, a *Array, opts arrayclient.Options) []arrayclient.Serial {
	t.Helper()
	serials := mustCreate(t, a, 1<<20, 3)
	writeOnes(t, a, serials[0], 1)
	err := a.Establish(context.Background(),
		[]arrayclient.Pair{{Source: serials[0], Target: serials[1]}}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return serials
}

func writeOnes(t *testing.T, a *Array, s arrayclient.Serial, with byte) {
	t.Helper()
	v := mustOpen(t, a, s)
	defer v.Close()
	if _, err := v.WriteAt(bytes.Repeat([]byte{with}, int(v.Size())), 0); err != nil {
		t.Fatalf("write to %s: %v", s, err)
	}
}

func relOf(t *testing.T, a *Array, s arrayclient.Serial) arrayclient.Relationship {
	t.Helper()
	rels, err := a.Relationships(context.Background(), s)
	if err != nil || len(rels) != 1 {
		t.Fatalf("relationships of %s: %v, %v", s, rels, err)
	}
	return rels[0]
}

// volumeOf returns the volume itself.
func volumeOf(t *testing.T, a *Array, s arrayclient.Serial) *volume {
	t.Helper()
	a.mu.RLock()
	defer a.mu.RUnlock()
	v, err := a.lookup(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustDestage(t *testing.T, a *Array, s arrayclient.Serial) {
	t.Helper()
	if err := volumeOf(t, a, s).log.Destage(); err != nil {
		t.Fatal(err)
	}
}

func mustList(t *testing.T, a *Array) []arrayclient.Volume {
	t.Helper()
	list, err := a.Volumes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// mustFail holds that the damage of the file of that name fails volume 000 alone,
// that check finds it, and that opening and closing leave the file as it is.
func mustFail(t *testing.T, fsys *crashFS, name string) {
	t.Helper()
	before := fsys.content(name)
	var a *Array
	for range 2 {
		if a != nil {
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
		a = openTestArray(t, fsys)
		for i, v := range mustList(t, a) {
			if failed := strings.Contains(v.Failed, name); failed != (i == 0) {
				t.Fatalf("volume %s is listed with failure %q", v.Serial, v.Failed)
			}
		}
	}
	defer a.Close()
	list := mustList(t, a)
	if r := relOf(t, a, list[1].Serial); r.State != arrayclient.StateFailed ||
		!strings.Contains(r.Reason, name) {
		t.Fatalf("the relationship is %+v", r)
	}
	if _, err := mustOpen(t, a, list[1].Serial).ReadAt(make([]byte, 1<<20), 0); err == nil ||
		!strings.Contains(err.Error(), name) {
		t.Fatalf("reading the image: %v", err)
	}
	other := mustOpen(t, a, list[2].Serial)
	mustWrite(t, other, 0, 512, 7)
	mustFlush(t, other)
	if !bytes.Equal(fsys.content(name), before) {
		t.Fatalf("%s was changed", name)
	}
	if problems := Check(fsys); len(problems) != 1 || !strings.Contains(problems[0].Error(), name) ||
		fault.HintOf(problems[0]) == "" {
		t.Fatalf("check finds %v", problems)
	}
}

// failing makes op on the files of the volume with the given id fail.
func failing(op, id string, err error) func(string, string) error {
	return func(o, name string) error {
		if o == op && strings.HasPrefix(name, disk.VolumeDir+"/"+id) {
			return err
		}
		return nil
	}
}

func (c *crashFS) setFault(f func(op, name string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

// content returns all of a file, nil when it is missing.
func (c *crashFS) content(name string) []byte {
	f, err := c.Open(name)
	if err != nil {
		return nil
	}
	size, _ := f.Size()
	p := make([]byte, size)
	f.ReadAt(p, 0)
	return p
}

// damage changes one file of a closed array.
func damage(fsys *crashFS, name string, f func(ino *inode)) {
	fsys.mu.Lock()
	defer fsys.mu.Unlock()
	f(fsys.live[name])
}

func flip(off int64) func(*inode) {
	return func(ino *inode) {
		b := bytes.Clone(ino.newest(off / blockSize))
		b[off%blockSize] ^= 0x10
		ino.blocks[off/blockSize] = []*diskBlock{{versions: [][]byte{b}, owners: 1}}
	}
}

// nth makes the n-th op on files whose name begins with prefix fail, and those
// after it.
func nth(n int, op, prefix string, err error) func(string, string) error {
	return func(o, name string) error {
		if o == op && strings.HasPrefix(name, prefix) {
			if n--; n <= 0 {
				return err
			}
		}
		return nil
	}
}

// once makes one op on a file fail, the first that is called.
func once(op, name string, err error) func(string, string) error {
	done := false
	return func(o, n string) error {
		if done || o != op || n != name {
			return nil
		}
		done = true
		return err
	}
}

func (a *Array) commitCheckpoint() bool {
	var err error
	committed := a.store.Commit(nil, nil, func() { err = a.store.BeginCheckpoint() })
	return committed == nil && err == nil
}
