package main

import (
	"bytes"
	"encoding/binary"
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
