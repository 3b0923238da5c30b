package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// pageSize is the unit that hosts write, that the file systems use and that a
// disk keeps or loses whole.
const pageSize = 4096

// token names one write of a host; its pages hold nothing that another write's
// hold. Zeros have the token 0.
type token uint32

const zeros token = 0

// place is where in which volume a page was written.
type place struct {
	volume, block uint32
}

// fillPage makes p the page that the write puts at the place: a header that
// tells both, and numbers that depend on all of it.
func fillPage(p []byte, t token, at place) {
	if t == zeros {
		clear(p)
		return
	}
	binary.LittleEndian.PutUint32(p, uint32(t))
	binary.LittleEndian.PutUint32(p[4:], at.volume)
	binary.LittleEndian.PutUint32(p[8:], at.block)
	x := uint64(t)*0x9E3779B97F4A7C15 ^ uint64(at.volume)<<40 ^ uint64(at.block)<<1 | 1
	binary.LittleEndian.PutUint32(p[12:], uint32(x>>32))
	for i := 16; i < pageSize; i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(p[i:], x)
	}
}

var zeroPage = make([]byte, pageSize)

// readPage tells what p holds. whole is false where it is no page of any write,
// for example parts of two.
func readPage(p []byte) (t token, at place, whole bool) {
	if bytes.Equal(p, zeroPage) {
		return zeros, place{}, true
	}
	t, at = pageHeader(p)
	want := make([]byte, pageSize)
	fillPage(want, t, at)
	return t, at, t != zeros && bytes.Equal(p, want)
}

// pageHeader reads the header of what may be a page of a write.
func pageHeader(p []byte) (token, place) {
	return token(binary.LittleEndian.Uint32(p)),
		place{binary.LittleEndian.Uint32(p[4:]), binary.LittleEndian.Uint32(p[8:])}
}

// describePage says in words what a page holds.
func describePage(p []byte) string {
	t, at, whole := readPage(p)
	switch {
	case whole && t == zeros:
		return "zeros"
	case whole:
		return fmt.Sprintf("write %d to block %d of volume %03X", t, at.block, at.volume)
	}
	want := make([]byte, pageSize)
	fillPage(want, t, at)
	same := 0
	for same < pageSize && want[same] == p[same] {
		same++
	}
	return fmt.Sprintf("no page of any write; the first %d bytes are of write %d to block %d "+
		"of volume %03X", same, t, at.block, at.volume)
}

// describeTokens says in words what may be in a block.
func describeTokens(list []token) string {
	if list == nil {
		return "anything that was written"
	}
	var words []string
	for _, t := range slices.Compact(slices.Sorted(slices.Values(list))) {
		if t == zeros {
			words = append(words, "zeros")
		} else {
			words = append(words, fmt.Sprintf("write %d", t))
		}
	}
	return strings.Join(words, " or ")
}

// traces says where on the disk a block of a write was put, and when: lines for
// whoever looks for the cause.
func (l *writeLog) traces(what string, t token, block, position int) []string {
	var out []string
	for i, e := range l.entries[:position] {
		if e.kind != entryWrite || t == zeros {
			continue
		}
		data, err := l.data(e)
		if err != nil {
			return append(out, err.Error())
		}
		for at := 0; at+pageSize <= len(data); at += pageSize {
			if found, in := pageHeader(data[at:]); found == t && int(in.block) == block {
				out = append(out, fmt.Sprintf("%s write %d of volume %03X: entry %d, page %d of the disk",
					what, t, in.volume, i, (e.off+int64(at))/pageSize))
			}
		}
	}
	return out
}
