package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestPagesTellWhatTheyAre(t *testing.T) {
	p, q := make([]byte, pageSize), make([]byte, pageSize)
	fillPage(p, 5, place{0x100, 7})
	if got, at, whole := readPage(p); got != 5 || at != (place{0x100, 7}) || !whole {
		t.Errorf("%d at %v, whole %v", got, at, whole)
	}
	fillPage(q, 6, place{0x100, 7})
	copy(p[pageSize/2:], q[pageSize/2:])
	if _, _, whole := readPage(p); whole {
		t.Error("halves of two pages count as a whole one")
	}
	if text := describePage(p); !strings.Contains(text, "the first 2048 bytes are of write 5") {
		t.Error(text)
	}
	if got, _, whole := readPage(make([]byte, pageSize)); got != zeros || !whole {
		t.Error("zeros are not zeros")
	}
}

func TestNotTestedIsLoud(t *testing.T) {
	for ci, want := range map[string]int{"": exitGood, "true": exitBad} {
		t.Setenv("CI", ci)
		var out bytes.Buffer
		if got := (options{}).notTested([]string{"root", "nbdfuse"}, &out); got != want {
			t.Errorf("CI=%q: status %d, want %d", ci, got, want)
		}
		if !strings.Contains(out.String(), "POWER LOSS IS NOT TESTED: missing here: root, nbdfuse") {
			t.Errorf("it says %q", out.String())
		}
	}
}

func TestMissingToolIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	list, err := selectFileSystems("xfs,ext4")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	missing := fmt.Sprint(options{fileSystems: list}.missing())
	for _, want := range []string{"nbdfuse", "mkfs.xfs", "mkfs.ext4"} {
		if !strings.Contains(missing, want) {
			t.Errorf("%s is not in %s", want, missing)
		}
	}
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{
		{"-fs", "fat"}, {"-seconds", "0"}, {"-points", "-1"}, {"x"}, {"-nonsense"},
	} {
		if got := run(args, io.Discard, io.Discard); got != exitUsage {
			t.Errorf("%v: status %d, want %d", args, got, exitUsage)
		}
	}
}

// TestSecondLook compares what was seen before a second crash and after it.
func TestSecondLook(t *testing.T) {
	before := &seen{content: map[uint32][]token{0x100: {1, 2}, 0x101: {3}}}
	after := &seen{content: map[uint32][]token{0x100: {1, 9}, 0x101: {3}}}
	compareLooks(before, before)
	if len(before.bad) > 0 {
		t.Errorf("the same is bad: %v", before.bad)
	}
	compareLooks(before, after)
	if len(after.bad) != 1 || after.bad[0].block != 1 || after.bad[0].found != 9 {
		t.Errorf("a changed block: %+v", after.bad)
	}
}
