package filearray

import (
	"copyservices/arrayclient/filearray/records"
	"slices"

	"copyservices/arrayclient/filearray/bitmap"
	"copyservices/arrayclient/filearray/disk"
	"copyservices/arrayclient/filearray/writelog"
)

// A host's request may be as long as it likes. It is done in pieces, each of
// which takes the gate anew, so that who wants the gate to himself, and who
// queues behind him, waits for a piece and no longer. No piece syncs anything
// while it has the gate, but what the committer writes to the journal.
const (
	readPiece  = 1 << 20
	writePiece = 4 << 20
	// zeroData is how much data is made holes in one piece, of which the rest
	// are holes already.
	zeroData = 16 << 20
	// zeroClaimed is how much is zeroed in one piece where each track has to be
	// claimed because a partner may share it.
	zeroClaimed = 1 << 30
	// saveWork is how many tracks are copied in one piece, to all targets
	// together, and saveAtOnce how many before they are synced.
	saveWork   = 16
	saveAtOnce = 256
	// extentsAtOnce is how many extents are looked at in one piece.
	extentsAtOnce = 64
)

// pieceOf returns how much of [off, off+n) is a piece of about most bytes, of
// which only the last need not end with a track.
func pieceOf(off, n, most int64) int64 {
	if n <= most {
		return n
	}
	return most - (off+most)%trackSize
}

// ReadAt reads what hosts see: on a target, tracks that are not copied yet
// come from the source.
func (v *volume) ReadAt(p []byte, off int64) (int, error) {
	if err := v.checkLong(off, int64(len(p)), readPiece); err != nil {
		return 0, err
	}
	for done := 0; done < len(p); {
		at := off + int64(done)
		n := int(pieceOf(at, int64(len(p)-done), readPiece))
		if err := v.readPiece(p[done:done+n], at); err != nil {
			return done, err
		}
		done += n
	}
	return len(p), nil
}

func (v *volume) readPiece(p []byte, off int64) error {
	v.gate.RLock()
	defer v.gate.RUnlock()
	if err := v.check(off, int64(len(p))); err != nil {
		return err
	}
	if v.target != nil {
		return v.target.readTarget(p, off)
	}
	return v.log.Read(p, off, func() error { return v.data.ReadAt(p, off) })
}

// checkLong is check for a range of more than one piece, of which none shall be
// done when the last one is beyond the end.
func (v *volume) checkLong(off, n, piece int64) error {
	if 0 <= n && n <= piece {
		return nil
	}
	v.gate.RLock()
	defer v.gate.RUnlock()
	return v.check(off, n)
}

// WriteAt writes p. On a source, what targets have not copied yet is saved
// first, or p is staged; see package comment.
func (v *volume) WriteAt(p []byte, off int64) (int, error) {
	if err := v.checkLong(off, int64(len(p)), writePiece); err != nil {
		return 0, err
	}
	for done := 0; done < len(p); {
		at := off + int64(done)
		n := int(pieceOf(at, int64(len(p)-done), writePiece))
		if err := v.writePiece(p[done:done+n], at); err != nil {
			return done, err
		}
		done += n
	}
	return len(p), nil
}

func (v *volume) writePiece(p []byte, off int64) error {
	for polite, again := true, true; again; {
		how, err := v.tryWrite(p, off, polite)
		if err == nil {
			again, err = v.follow(how, off, int64(len(p)))
		}
		if err != nil {
			return err
		}
		polite = polite && how != partnerBefore
	}
	return nil
}

// Zero makes a range read as zeros.
func (v *volume) Zero(off, n int64, punch bool) error {
	if err := v.checkLong(off, n, 0); err != nil {
		return err
	}
	for polite := true; n > 0; {
		part, how, err := v.tryZero(off, n, punch, polite)
		polite = how != partnerBefore
		again := false
		if err == nil {
			again, err = v.follow(how, off, part)
		}
		if err != nil {
			return err
		}
		if !again {
			off, n = off+part, n-part
		}
	}
	return nil
}

// outcome is what a try to write did, or what it takes before it is tried again.
type outcome int

const (
	direct        outcome = iota // it goes to the volume, which has no log to pass
	pastLog                      // it goes past the log, and log.Passed is to be called after it
	done                         // it is logged
	markAfter                    // it is done when markWritten has been called
	roomBefore                   // try again when there is room in the log
	destageBefore                // try again when what it overlaps has been destaged
	saveBefore                   // try again when saveAhead has been called
	targetBefore                 // try again when readyTarget has been called
	partnerBefore                // try again when MakeWay has been called
)

// ofLog are the outcomes of what the write log does with a write.
var ofLog = [...]outcome{
	writelog.Past: pastLog, writelog.Logged: done, writelog.NoRoom: roomBefore,
	writelog.DestageFirst: destageBefore, writelog.TooLong: saveBefore,
}

// put logs a write to v if it needs to be. The gate is held.
func (v *volume) put(p []byte, off int64) (outcome, error) {
	if len(v.sources) == 0 && v.log.Tracks() == 0 {
		return direct, nil
	}
	if err := v.data.Err(); err != nil {
		return direct, err
	}
	needed := v.needsSaving(off/trackSize, bitmap.Tracks(off%trackSize+int64(len(p))))
	how, err := v.log.Put(p, off, needed)
	return ofLog[how], err
}

// follow does what a try to write n bytes left to do, without the gate, and
// reports whether to try again.
func (v *volume) follow(how outcome, off, n int64) (again bool, err error) {
	switch how {
	case roomBefore:
		return true, v.log.Room(int(n))
	case destageBefore:
		return true, v.log.Destage()
	case saveBefore:
		return true, v.saveAhead(off, n)
	case targetBefore:
		return true, v.readyTarget(off, n)
	case partnerBefore:
		v.data.MakeWay(off, n) // an error is the partner's
		return true, nil
	case markAfter:
		return false, v.markWritten(off, n)
	}
	return false, nil
}

// tryWrite writes p unless something else has to be done before. polite means that
// partners are synced without the gate: they may always have changed again, so it is
// asked for once.
func (v *volume) tryWrite(p []byte, off int64, polite bool) (outcome, error) {
	v.enter()
	defer v.gate.RUnlock()
	n := int64(len(p))
	if err := v.check(off, n); err != nil {
		return direct, err
	}
	if err := v.roomFor(off, n); err != nil {
		return direct, err
	}
	if v.target != nil {
		if polite && v.data.Blocked(off, n) {
			return partnerBefore, nil
		}
		return v.target.writeTarget(off, n, func(at, n int64) error {
			return v.data.WriteAt(p[at-off:at-off+n], at)
		})
	}
	how, err := v.put(p, off)
	switch {
	case err != nil || how > pastLog:
		return how, err
	case how == pastLog:
		defer v.log.Passed(off, n)
	}
	if polite && v.data.Blocked(off, n) {
		return partnerBefore, nil
	}
	return how, v.data.WriteAt(p, off)
}

// tryZero zeroes a piece of a range, and returns its length, unless something
// else has to be done before; polite is as in tryWrite.
func (v *volume) tryZero(off, n int64, punch, polite bool) (int64, outcome, error) {
	v.enter()
	defer v.gate.RUnlock()
	if err := v.check(off, n); err != nil {
		return 0, direct, err
	}
	write := func(at, n int64) error { return v.data.Zero(at, n, punch) }
	n = v.zeroPiece(off, n, punch)
	if err := v.roomFor(off, n); err != nil && !punch {
		return 0, direct, err
	}
	defer v.array.store.Spare.Hope()
	if v.target != nil {
		if polite && v.data.Blocked(off, n) {
			return n, partnerBefore, nil
		}
		how, err := v.target.writeTarget(off, n, write)
		return n, how, err
	}
	saved := v.savedPart(off, n)
	if saved == 0 {
		return n, saveBefore, nil
	}
	how := ofLog[v.log.PutZeros(off, saved)]
	if how != pastLog {
		return saved, how, nil
	}
	defer v.log.Passed(off, saved)
	if polite && v.data.Blocked(off, saved) {
		return saved, partnerBefore, nil
	}
	return saved, how, write(off, saved)
}

// zeroPiece returns how much of a range is zeroed in one piece.
func (v *volume) zeroPiece(off, n int64, punch bool) int64 {
	if !punch {
		return pieceOf(off, n, writePiece)
	}
	part := v.data.Bound(off, n, zeroData)
	if v.data.Shares() {
		part = min(part, zeroClaimed)
	}
	if part < n {
		part = max(part-(off+part)%trackSize, min(n, trackSize-off%trackSize))
	}
	return part
}

// Flush makes the writes that returned before it durable.
func (v *volume) Flush() error {
	if !disk.SyncsVolumes {
		return nil
	}
	return v.syncAll()
}

type extent struct {
	n    int64
	hole bool
}

// Extents reports the extents as a host sees them. f is called without the
// gate: it may take its time, and read the volume.
func (v *volume) Extents(off, n int64, f func(length int64, hole bool) bool) error {
	if err := v.checkLong(off, n, 0); err != nil {
		return err
	}
	list := make([]extent, 0, extentsAtOnce)
	for n > 0 {
		if v.log.Overlaps(off, n) {
			if err := v.log.Destage(); err != nil {
				return v.errNotDestaged(err)
			}
		}
		var err error
		list, err = v.someExtents(list[:0], off, n)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, e := range list {
			if !f(e.n, e.hole) {
				return nil
			}
			off, n = off+e.n, n-e.n
		}
	}
	return nil
}

// someExtents appends the first extents of a range to list.
func (v *volume) someExtents(list []extent, off, n int64) ([]extent, error) {
	v.gate.RLock()
	defer v.gate.RUnlock()
	if err := v.check(off, n); err != nil {
		return list, err
	}
	add := func(length int64, hole bool) bool {
		list = append(list, extent{length, hole})
		return len(list) < extentsAtOnce
	}
	switch {
	case v.target != nil:
		return list, v.target.targetExtents(off, n, add)
	case v.log.Overlaps(off, n): // written to meanwhile; there may be data anywhere
		return append(list, extent{n, false}), nil
	}
	err := v.data.Extents(off, n, add)
	return list, err
}

// commitLinked makes marks durable, those excepted whose relationship has ended
// meanwhile. Their targets are synced, the gate is held.
func (v *volume) commitLinked(marks []records.Mark) error {
	marks = slices.DeleteFunc(marks, func(m records.Mark) bool {
		r, _ := m.Rel.(*relationship)
		return v.target != r && !slices.Contains(v.sources, r)
	})
	if len(marks) == 0 {
		return v.array.store.Err()
	}
	return v.array.store.Commit(marks, nil, nil)
}

// commitMarks makes marks of relationships of v durable, and before that the
// data that they speak of. No gate is held.
func (v *volume) commitMarks(marks []records.Mark) error {
	if len(marks) == 0 {
		return nil
	}
	return v.markSaved(marks)
}
