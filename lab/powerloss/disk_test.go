package main

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
)

const testSize = 64 * pageSize

func testDevice(t *testing.T) *device {
	t.Helper()
	s, err := newFileStore(filepath.Join(t.TempDir(), "disk"), testSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &device{size: testSize, store: s, log: testLog(t)}
}

func testLog(t *testing.T) *writeLog {
	t.Helper()
	l, err := newWriteLog(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close() })
	return l
}

// content returns all of a disk.
func content(t *testing.T, s store) []byte {
	t.Helper()
	p := make([]byte, testSize)
	if _, err := s.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}

// scribble makes n random requests to a device.
func scribble(t *testing.T, d *device, rnd *rand.Rand, n int) {
	t.Helper()
	for range n {
		length := 512 * (1 + rnd.Int64N(40))
		off := 512 * rnd.Int64N((testSize-length)/512+1)
		var err error
		switch rnd.IntN(8) {
		case 0:
			err = d.erase(entryTrim, off, length, false)
		case 1:
			err = d.erase(entryZero, off, length, false)
		case 2:
			err = d.flush()
		default:
			err = d.write(bytes.Repeat([]byte{byte(1 + rnd.IntN(255))}, int(length)), off, false)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRebuilt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	d := testDevice(t)
	var moments [][]byte
	for range 30 {
		scribble(t, d, rnd, 10)
		moments = append(moments, content(t, d.store))
	}
	base, err := newFileStore(filepath.Join(t.TempDir(), "base"), testSize)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	r := &rebuilder{log: d.log, base: base}
	for i, want := range moments {
		disk, err := r.disk(crash{position: 10 * (i + 1)}, rnd)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(content(t, disk), want) {
			t.Fatalf("the disk as of entry %d is not what it was", 10*(i+1))
		}
	}
}

// TestLosses writes pages before a flush, which stay, and after it, of which a
// part is lost.
func TestLosses(t *testing.T) {
	const requests, pages = 16, 4
	d := testDevice(t)
	fill := func(b byte, fua bool) {
		for i := range int64(requests) {
			err := d.write(bytes.Repeat([]byte{b}, pages*pageSize), i*pages*pageSize, fua)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(1, false)
	if err := d.flush(); err != nil {
		t.Fatal(err)
	}
	fill(2, false)
	for how, want := range map[loss]struct{ whole, torn bool }{
		loseNothing: {}, loseWrites: {whole: true}, losePages: {whole: true, torn: true},
	} {
		base, err := newFileStore(filepath.Join(t.TempDir(), "base"), testSize)
		if err != nil {
			t.Fatal(err)
		}
		defer base.Close()
		r := &rebuilder{log: d.log, base: base}
		c := crash{position: d.log.position(), loss: how}
		disk, err := r.disk(c, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		lost, torn := 0, false
		for request := range slices.Chunk(content(t, disk), pages*pageSize) {
			old := 0
			for page := range slices.Chunk(request, pageSize) {
				if !bytes.Equal(page, bytes.Repeat(page[:1], pageSize)) || page[0] == 0 {
					t.Fatalf("%s: a page is of neither write", how)
				}
				if page[0] == 1 {
					old++
				}
			}
			lost += old
			torn = torn || old > 0 && old < pages
		}
		if (lost > 0) != want.whole || torn != want.torn || lost == requests*pages {
			t.Errorf("%s: %d pages are lost, of single requests a part: %v", how, lost, torn)
		}
	}
	fill(3, true)
	disk := newOverlay(bytes.NewReader(make([]byte, testSize)))
	none := func(bool) bool { return false }
	if err := d.log.replay(disk, 0, d.log.position(), none); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content(t, disk), bytes.Repeat([]byte{3}, testSize)) {
		t.Error("what was written with FUA is lost")
	}
}

func TestOverlayLeavesItsBase(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	d := testDevice(t)
	scribble(t, d, rnd, 40)
	before := content(t, d.store)
	first := &device{size: testSize, store: newOverlay(d.store.(fileStore)), log: testLog(t)}
	scribble(t, first, rnd, 40)
	kept := first.store.(*overlay).clone()
	want := content(t, first.store)
	scribble(t, first, rnd, 40)
	if !bytes.Equal(content(t, d.store), before) {
		t.Error("a change above changed the disk below")
	}
	if !bytes.Equal(content(t, kept), want) || bytes.Equal(content(t, first.store), want) {
		t.Error("a change changed a clone, or nothing")
	}
	path := filepath.Join(t.TempDir(), "saved")
	if err := kept.saveTo(path, testSize); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readFile(t, path), want) {
		t.Error("the saved disk is another")
	}
}

func TestCrashesAreWithinTheLog(t *testing.T) {
	d := testDevice(t)
	rnd := rand.New(rand.NewPCG(4, 4))
	scribble(t, d, rnd, 300)
	const first = 100
	list := chooseCrashes(rnd, 300, first, d.log, []span{{from: 150, to: 180}})
	kinds := map[loss]int{}
	inSpan, again := 0, 0
	for i, c := range list {
		if c.position < first || c.position > 300 || i > 0 && c.position < list[i-1].position {
			t.Fatalf("crash %d is at %d, after one at %d", i, c.position, list[max(0, i-1)].position)
		}
		kinds[c.loss]++
		if c.position >= 150 && c.position <= 180 {
			inSpan++
		}
		if c.again {
			again++
		}
	}
	if len(kinds) != int(losses) || inSpan < 100 || again == 0 || again == len(list) {
		t.Errorf("losses %v, %d in the span, %d again", kinds, inSpan, again)
	}
}
