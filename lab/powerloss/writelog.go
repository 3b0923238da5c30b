package main

import (
	"os"
	"sort"
	"sync"
	"time"
)

// entryKind is what a file system asked of its disk.
type entryKind byte

const (
	entryWrite entryKind = iota
	entryZero            // zeros are to be there
	entryTrim            // what is there does not matter any more; our disk makes it zeros
	entryFlush
)

// entry is one request to a disk that changed it, or a flush.
type entry struct {
	kind   entryKind
	fua    bool          // it was durable when it was answered
	off, n int64         // on the disk
	at     int64         // of a write's data in the file of the log
	when   time.Duration // since the log began
}

// writeLog remembers in their order all requests that changed a disk. A position
// in it is a number of entries, and with it a moment.
type writeLog struct {
	mu      sync.Mutex
	file    *os.File // the data of writes
	end     int64    // of the file
	entries []entry
	begun   time.Time
}

func newWriteLog(path string) (*writeLog, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &writeLog{file: f, begun: time.Now()}, nil
}

func (l *writeLog) close() error { return l.file.Close() }

// add appends an entry. p is the data of a write, otherwise nil.
func (l *writeLog) add(e entry, p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.at, e.when = l.end, time.Since(l.begun)
	if _, err := l.file.WriteAt(p, l.end); err != nil {
		return err
	}
	l.end += int64(len(p))
	l.entries = append(l.entries, e)
	return nil
}

// position returns how many entries there are.
func (l *writeLog) position() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// size returns how many bytes were written.
func (l *writeLog) size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

// lastFlush returns how many of the first n entries a power loss cannot take
// back: those up to the last flush.
func (l *writeLog) lastFlush(n int) int {
	for n > 0 && l.entries[n-1].kind != entryFlush {
		n--
	}
	return n
}

// positionAt returns the position at that time since the log began.
func (l *writeLog) positionAt(t time.Duration) int {
	return sort.Search(len(l.entries), func(i int) bool { return l.entries[i].when > t })
}

// data returns what a write wrote.
func (l *writeLog) data(e entry) ([]byte, error) {
	p := make([]byte, e.n)
	_, err := l.file.ReadAt(p, e.at)
	return p, err
}

// reset makes the log empty.
func (l *writeLog) reset() error {
	l.end, l.entries = 0, nil
	return l.file.Truncate(0)
}
