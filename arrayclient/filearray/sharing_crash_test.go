package filearray

import (
	"testing"

	"copyservices/arrayclient"
)

// sharingScript has volumes share blocks, and then changes each of them in all
// ways there are while changes of the others are not synced yet.
func (r *crashRun) sharingScript() {
	const track = trackSize / sectorSize
	copying, nocopy := arrayclient.Options{}, arrayclient.Options{NoCopy: true}
	clone := func(src, tgt int) func() bool {
		return func() bool { return r.establish(copying, r.pair(src, tgt)) && r.waitCopied() }
	}
	write := func(vol int, first, n int64) func() bool {
		return func() bool { return r.write(vol, first, n) }
	}
	flush := func(vol int) func() bool { return func() bool { return r.flush(vol) } }
	r.run([]func() bool{
		write(0, 0, 16*track), flush(0), write(1, 0, 16*track), flush(1),
		// A former source's unsynced overwrite, then a copy into the target.
		clone(0, 2),
		write(0, 3*track, 2*track),
		func() bool { return r.establish(nocopy, r.pair(1, 2)) },
		write(1, 4*track-8, 16),
		func() bool { return r.destage(1) },
		func() bool { return r.withdraw(1, 2) },
		// Former partners that hosts write to, in both orders.
		clone(0, 3),
		write(0, 5*track, 8), write(3, 5*track, 4), write(0, 5*track+2, 4),
		write(3, 7*track, 16), write(0, 7*track+8, 16), flush(0),
		write(0, 8*track, 8), flush(3), write(3, 8*track, 8), flush(3),
		// The copy of a copy shares blocks with the first source.
		clone(3, 2),
		write(0, 9*track, 8), write(2, 9*track, 8), write(3, 9*track, 8), flush(2),
		// Zeros, and a target that is written over before it is copied.
		func() bool { return r.zero(0, 10*track, 2*track) },
		write(2, 10*track, track), write(3, 11*track, track), flush(3),
		func() bool { return r.establish(nocopy, r.pair(1, 3)) },
		write(3, 12*track, track), write(2, 12*track, track), flush(2),
		func() bool { return r.withdraw(1, 3) },
		func() bool { return r.array.Close() == nil },
	})
}

// TestCrashSharedBlocks loses the power at every change of the disk while
// volumes share blocks.
func TestCrashSharedBlocks(t *testing.T) { crashEverywhere(t, (*crashRun).sharingScript) }
