package filearray

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"copyservices/arrayclient/filearray/disk"

	"copyservices/arrayclient"
	"copyservices/arrayclient/fault"
)

// fullDisk is an array on a disk that was filled while it was at work.
type fullDisk struct {
	t       *testing.T
	fsys    disk.FS
	array   *Array
	serials []arrayclient.Serial // source, target, and one that fills the disk
	now     []byte               // a byte for each track of the source
	image   []byte
	// maybe is what a track may have because a write of it was refused.
	maybe map[int]byte
}

const fullTracks = 64 // of the source

// fillUp makes an array, an image, and the disk full: filler does that at last.
func fillUp(t *testing.T, fsys disk.FS, large int64, filler func()) *fullDisk {
	t.Helper()
	d := &fullDisk{t: t, fsys: fsys, array: createTestArray(t, fsys), maybe: map[int]byte{}}
	d.serials = append(mustCreate(t, d.array, fullTracks*trackSize, 2),
		mustCreate(t, d.array, large, 1)...)
	writeOnes(t, d.array, d.serials[0], 1)
	mustFlush(t, mustOpen(t, d.array, d.serials[0]))
	d.now = bytes.Repeat([]byte{1}, fullTracks)
	d.image = bytes.Clone(d.now)
	err := d.array.Establish(context.Background(), d.pairs(), arrayclient.Options{NoCopy: true})
	if err != nil {
		t.Fatal(err)
	}
	d.fill(mustOpen(t, d.array, d.serials[2]))
	filler()
	return d
}

func (d *fullDisk) pairs() []arrayclient.Pair {
	return []arrayclient.Pair{{Source: d.serials[0], Target: d.serials[1]}}
}

// fill writes until the disk is full.
func (d *fullDisk) fill(vol arrayclient.VolumeIO) {
	d.t.Helper()
	defer vol.Close()
	piece := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(piece)
	for off := int64(0); off < vol.Size(); off += int64(len(piece)) {
		if _, err := vol.WriteAt(piece, off); err != nil {
			d.mustBeFull(err)
			return
		}
	}
	d.t.Fatal("the disk is not full")
}

func (d *fullDisk) mustBeFull(err error) {
	d.t.Helper()
	if !disk.IsFull(err) {
		d.t.Fatalf("the disk is full, the error is %v", err)
	}
}

// overwrite writes to tracks of the source, for which there may be no room.
func (d *fullDisk) overwrite(with byte, n int) {
	d.t.Helper()
	vol := mustOpen(d.t, d.array, d.serials[0])
	defer vol.Close()
	rng := rand.New(rand.NewPCG(uint64(with), 1))
	for range n {
		track := rng.IntN(fullTracks)
		_, err := vol.WriteAt(bytes.Repeat([]byte{with}, trackSize), int64(track)*trackSize)
		if err == nil {
			d.now[track] = with
			delete(d.maybe, track)
		} else {
			d.mustBeFull(err)
			d.maybe[track] = with
		}
	}
	if err := vol.Flush(); err != nil {
		d.mustBeFull(err)
	}
}

// verify reads everything.
func (d *fullDisk) verify(what string) {
	d.t.Helper()
	for _, v := range mustList(d.t, d.array) {
		if v.Failed != "" {
			d.t.Fatalf("%s: volume %s failed: %s", what, v.Serial, v.Failed)
		}
	}
	p := readAll(d.t, mustOpen(d.t, d.array, d.serials[0]))
	for i, want := range d.now {
		track := p[i*trackSize : (i+1)*trackSize]
		other, may := d.maybe[i]
		for _, b := range track {
			if b != want && (!may || b != other) {
				d.t.Fatalf("%s: track %d of the source has %d, not %d", what, i, b, want)
			}
		}
	}
	rels, err := d.array.Relationships(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	if len(rels) == 0 || rels[0].State == arrayclient.StateFailed {
		return
	}
	p = readAll(d.t, mustOpen(d.t, d.array, d.serials[1]))
	for i, want := range d.image {
		if b := p[i*trackSize]; b != want {
			d.t.Fatalf("%s: track %d of the image has %d, not %d", what, i, b, want)
		}
	}
}

// reopen opens the array again, which is sound.
func (d *fullDisk) reopen(fsys disk.FS, what string) {
	d.t.Helper()
	if problems := Check(fsys); problems != nil {
		d.t.Fatalf("%s: check: %v", what, problems)
	}
	d.fsys, d.array = fsys, openTestArray(d.t, fsys)
	d.verify(what)
}

func (d *fullDisk) mustClose() {
	d.t.Helper()
	if err := d.array.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// makeRoom trims and deletes the volume that fills the disk, after which all works.
func (d *fullDisk) makeRoom() {
	d.t.Helper()
	ctx, vol := context.Background(), mustOpen(d.t, d.array, d.serials[2])
	if err := vol.Zero(0, vol.Size(), true); err != nil {
		d.t.Fatalf("trim: %v", err)
	}
	mustFlush(d.t, vol)
	vol.Close()
	if err := d.array.DeleteVolume(ctx, d.serials[2]); err != nil {
		d.t.Fatalf("delete: %v", err)
	}
	d.works()
}

// works holds that the array works as on any disk.
func (d *fullDisk) works() {
	d.t.Helper()
	ctx := context.Background()
	clear(d.maybe)
	d.overwrite(9, 30)
	if len(d.maybe) > 0 {
		d.t.Fatalf("%d writes are refused although there is room", len(d.maybe))
	}
	d.verify("with room")
	if _, err := d.array.Withdraw(ctx, d.pairs()); err != nil {
		d.t.Fatal(err)
	}
	if err := d.array.Establish(ctx, d.pairs(), arrayclient.Options{Persistent: true}); err != nil {
		d.t.Fatal(err)
	}
	d.array.copies.Wait()
	d.image = bytes.Clone(d.now)
	if r := relOf(d.t, d.array, d.serials[0]); r.State != arrayclient.StateComplete {
		d.t.Fatalf("the copy is %+v", r)
	}
	d.verify("copied")
}

// eachFullDisk is called with file systems that write in place, and not.
func eachFullDisk(t *testing.T, f func(t *testing.T, fsys *crashFS)) {
	for _, copies := range []bool{false, true} {
		t.Run(fmt.Sprintf("copies %t", copies), func(t *testing.T) {
			fsys := newCrashFS()
			// Journals, reserve, and twice the source and as much again.
			fsys.limit, fsys.copies = 2*disk.JournalSize/blockSize+3*fullTracks*16+300, copies
			f(t, fsys)
		})
	}
}

// fillRest takes the last blocks, as another program may, and returns what gives
// them back.
func fillRest(t *testing.T, fsys *crashFS) (giveBack func()) {
	t.Helper()
	for name := range fsys.live { // what is synced takes the least room
		if err := (&crashFile{fsys, name, fsys.live[name]}).Sync(); err != nil {
			t.Fatal(err)
		}
	}
	f, err := fsys.Create("other")
	if err != nil {
		t.Fatal(err)
	}
	for off := int64(0); err == nil; off += blockSize {
		_, err = f.WriteAt(disk.Zeros[:blockSize], off)
	}
	if !disk.IsFull(err) {
		t.Fatal(err)
	}
	return func() {
		if err := fsys.Remove("other"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDiskGoesOn: on a full disk reads go on, writes and relationships fail as
// they must, the array opens, and deleting a volume makes room.
func TestFullDiskGoesOn(t *testing.T) {
	eachFullDisk(t, func(t *testing.T, fsys *crashFS) {
		d := fillUp(t, fsys, 16<<20, func() { fillRest(t, fsys) })
		d.goesOn(func() disk.FS { return fsys.afterKill() })
	})
}

// goesOn uses the full disk up to its end. Kill returns what a killed process left.
func (d *fullDisk) goesOn(kill func() disk.FS) {
	d.t.Helper()
	d.overwrite(2, 40)
	d.verify("live")
	if r := relOf(d.t, d.array, d.serials[1]); r.State != arrayclient.StateFailed ||
		!strings.Contains(r.Reason, syscall.ENOSPC.Error()) {
		d.t.Fatalf("the relationship is %s: %q", r.State, r.Reason)
	}
	d.array.kill()
	d.reopen(kill(), "after a kill")
	d.overwrite(3, 20)
	d.mustClose()
	d.reopen(d.fsys, "after an end")
	d.overwrite(4, 20)
	d.verify("live again")
	d.makeRoom()
	d.mustClose()
	d.reopen(d.fsys, "at the end")
	d.mustClose()
}

// TestFullDiskCrashes: what was acknowledged on a full disk outlives the loss of
// the power.
func TestFullDiskCrashes(t *testing.T) {
	eachFullDisk(t, func(t *testing.T, fsys *crashFS) {
		d := fillUp(t, fsys, 16<<20, func() { fillRest(t, fsys) })
		d.overwrite(2, 40)
		d.array.kill()
		for seed := range uint64(6) {
			d.reopen(fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))), fmt.Sprintf("seed %d", seed))
			d.array.kill()
		}
	})
}

// TestFullDiskWithoutReserve: an array that has no reserve, and no room for a
// single block, opens, is read, refuses what it cannot do, and does all that when
// there is room.
func TestFullDiskWithoutReserve(t *testing.T) {
	eachFullDisk(t, func(t *testing.T, fsys *crashFS) {
		d := fillUp(t, fsys, 16<<20, func() {})
		d.array.kill()
		fsys.afterKill()
		if err := fsys.Remove(disk.ReserveName); err != nil {
			t.Fatal(err)
		}
		giveBack := fillRest(t, fsys)
		d.reopen(fsys, "without reserve")
		d.overwrite(2, 20)
		d.verify("live")
		if fsys.copies {
			_, err := d.array.CreateVolumes(context.Background(), arrayclient.VolumeSpec{Size: 1 << 20})
			d.mustBeFull(err)
			err = d.array.SetLabel(context.Background(), d.serials[0], "x")
			d.mustBeFull(err)
			if fault.KindOf(err) != fault.Failed || fault.HintOf(err) == "" {
				t.Fatalf("of kind %s, hint %q: %v", fault.KindOf(err), fault.HintOf(err), err)
			}
		}
		d.mustClose()
		d.reopen(fsys, "again")
		for seed := range uint64(6) {
			d.array.kill()
			d.reopen(fsys.afterCrash(rand.New(rand.NewPCG(seed, 1))), fmt.Sprintf("seed %d", seed))
		}
		d.array.kill()
		d.reopen(fsys.afterKill(), "and again")
		giveBack()
		d.makeRoom()
		d.mustClose()
	})
}

// TestCommitWithoutRoom: a commit for which there is no room leaves nothing, not
// even behind the one that takes its place.
func TestCommitWithoutRoom(t *testing.T) {
	fsys := newCrashFS()
	if err := Create(fsys, CreateOptions{Serial: "13698"}); err != nil {
		t.Fatal(err)
	}
	j, err := disk.OpenJournal(fsys, "13698")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	j.Start(7, disk.HeaderSize)
	large := func(b byte) disk.Record { // up to the end of the block
		n := disk.JournalBlock - disk.HeaderSize - disk.RecordHeaderSize
		return disk.Record{Kind: disk.RecCopyRate, Payload: bytes.Repeat([]byte{b}, n)}
	}
	writes := 0
	fsys.setFault(func(op, _ string) error {
		if op == "write" {
			if writes++; writes == 2 || writes == 5 { // a head, and a note
				return errNoSpace
			}
		}
		return nil
	})
	behind := disk.Record{Kind: disk.RecCopyRate, Payload: []byte("behind")}
	if err := j.Commit([]disk.Record{large('A'), behind}); !errors.Is(err, disk.ErrNoRoom) {
		t.Fatalf("commit: %v", err)
	}
	read := func() (found string) {
		_, err := j.Read(7, func(r disk.Record) error {
			found += string(r.Payload[:1])
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := read(); found != "" {
		t.Fatalf("of the commit that failed there is %q", found)
	}
	writes = 3
	if err := j.Commit([]disk.Record{large('B')}); err != nil || writes != 5 {
		t.Fatalf("commit: %v, %d writes", err, writes)
	}
	if found := read(); found != "B" {
		t.Fatalf("in place of B there is %q", found)
	}
}

// TestFullDiskUnfinishedExpansion: a volume whose expansion was cut off has its old
// size as long as the disk is too full to finish that: the next opening would wipe
// out what is written behind it.
func TestFullDiskUnfinishedExpansion(t *testing.T) {
	ctx, fsys := context.Background(), newCrashFS()
	a := createTestArray(t, fsys)
	s := mustCreate(t, a, 1<<20, 1)[0]
	fsys.setFault(nth(2, "write", disk.VolumeDir+"/000", errNoSpace))
	if err := a.ExpandVolume(ctx, s, 2<<20); !disk.IsFull(err) {
		t.Fatalf("expand: %v", err)
	}
	a.kill()
	fsys.afterKill()
	fsys.setFault(nth(1, "write", "meta.", errNoSpace))
	b := openTestArray(t, fsys)
	defer b.kill()
	if vol := mustOpen(t, b, s); vol.Size() != 1<<20 {
		t.Fatalf("the volume has %d bytes", vol.Size())
	}
	fsys.setFault(nil)
	if err := b.ExpandVolume(ctx, s, 2<<20); err != nil {
		t.Fatal(err)
	}
	if p := readAll(t, mustOpen(t, b, s)); !bytes.Equal(p, make([]byte, 2<<20)) {
		t.Fatal("what was added does not read as zeros")
	}
}
