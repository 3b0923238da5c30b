package main

import (
	"fmt"
	"slices"
	"strings"
)

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
