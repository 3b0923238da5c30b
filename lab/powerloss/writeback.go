package main

import (
	"context"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// writeBack does at random moments what the kernel may do at any: it begins to
// write dirty pages of a volume's file. File systems then change in memory where
// the data is, and note that on the disk later.
func (d *drive) writeBack(ctx context.Context, rnd *rand.Rand) {
	for pause(ctx, upTo(rnd, 50*time.Millisecond)) {
		names, err := d.volumeFiles()
		if err != nil {
			d.fail(err)
			return
		}
		beginWritingFile(names[rnd.IntN(len(names))])
		d.counts.add("write-back")
	}
}

// beginWriting begins to write the dirty pages of all volumes' files.
func (d *drive) beginWriting() {
	names, _ := d.volumeFiles() // writeBack reports an error
	for _, name := range names {
		beginWritingFile(name)
	}
}

// beginWritingFile promises nothing: the file may be gone with its volume.
func beginWritingFile(name string) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}
