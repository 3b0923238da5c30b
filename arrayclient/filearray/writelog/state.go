package writelog

import "slices"

// state is how far an area is. Only the goroutine that destages goes beyond sealed.
//
//	empty → open → sealed → saved → marked → applied → empty, of a new generation
//
// After an error an area is taken again from where sealed ones begin: what is saved
// and marked already costs nothing then.
type state int

const (
	empty   state = iota
	open          // has records, and takes more while it is the active one
	sealed        // takes no more
	saved         // the targets have what its tracks were
	marked        // and that is durable
	applied       // all of it is in the volume's files
)

// area is a part of the file. Its offsets are relative to its begin. Areas
// with records are older than those without, and older than one another by
// their generations.
type area struct {
	gen, salt uint64
	state     state
	end       int64 // behind the last record
	durable   int64 // behind the last record that was synced
	promised  bool  // a flush counts on what is in it
	// unsynced says that its header is not durable: what is in it by an older
	// header must not be written over.
	unsynced bool
	tracks   []int64
}

// used reports whether the area has to be emptied before it takes writes.
func (a *area) used() bool { return a.state != empty }

// areas are those of a file, in their places.
type areas []area

// oldest returns the area of the lowest generation of those that f picks, -1
// when there is none.
func (list areas) oldest(f func(*area) bool) int {
	found := -1
	for i := range list {
		if f(&list[i]) && (found < 0 || list[i].gen < list[found].gen) {
			found = i
		}
	}
	return found
}

// unsynced reports whether the header of an area is not durable.
func (list areas) unsynced() bool {
	return slices.ContainsFunc(list, func(a area) bool { return a.unsynced })
}

// inUse counts those that have to be emptied before they take writes.
func (list areas) inUse() (n int) {
	for i := range list {
		if list[i].used() {
			n++
		}
	}
	return n
}

// newest returns the generation of the area in use that was written to last, 0 when
// none is.
func (list areas) newest() (gen uint64) {
	for i := range list {
		if a := &list[i]; a.used() {
			gen = max(gen, a.gen)
		}
	}
	return gen
}

// leftUpTo reports whether one up to a generation has to be emptied.
func (list areas) leftUpTo(newest uint64) bool {
	return list.oldest(func(a *area) bool { return a.used() && a.gen <= newest }) >= 0
}

// inOrder returns the tracks of an area in order.
func (a *area) inOrder() []int64 {
	list := slices.Clone(a.tracks)
	slices.Sort(list)
	return slices.Compact(list)
}
