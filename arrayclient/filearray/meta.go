package filearray

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
)

// The state of the array as of the last checkpoint is in meta.0 or meta.1:
// a header and JSON. The checkpoint of generation g writes meta.(g%2), after
// the bitmaps and while journal g already takes the records that follow it,
// so whichever of the two is valid, journals with all that came after it are
// there.
func metaName(gen uint64) string { return [...]string{"meta.0", "meta.1"}[gen%2] }

// maxMeta bounds what is read; 4,096 volumes need less than 2 MiB.
const maxMeta = 64 << 20

func writeMeta(fsys FS, serial string, gen uint64, s *state) error {
	payload, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := createOrOpen(fsys, metaName(gen))
	if err != nil {
		return err
	}
	h := header{
		magic: magicMeta, id: gen, serial: serial,
		length: uint64(len(payload)), extra: checksum(payload),
	}
	_, err = f.WriteAt(append(h.encode(), payload...), 0)
	if err == nil {
		err = f.Truncate(headerSize + int64(len(payload)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncMeta makes the meta file of generation gen durable, and that it is there.
func syncMeta(fsys FS, gen uint64) error {
	f, err := fsys.Open(metaName(gen))
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return fsys.SyncDir(".")
}

// metaSlot is one of the two files: what is in it, or why it cannot be used.
type metaSlot struct {
	gen    uint64
	serial string
	state  *state
	err    error
}

func readMetaSlot(fsys FS, slot uint64) metaSlot {
	name := metaName(slot)
	f, err := fsys.Open(name)
	if err != nil {
		return metaSlot{err: err}
	}
	defer f.Close()
	h, err := readHeader(f, name, 0, magicMeta, "")
	if err != nil {
		return metaSlot{err: err}
	}
	if h.length > maxMeta || h.id%2 != slot {
		return metaSlot{err: corrupt(name, "its header makes no sense")}
	}
	payload := make([]byte, h.length)
	if _, err := f.ReadAt(payload, headerSize); err != nil && !errors.Is(err, io.EOF) {
		return metaSlot{err: err}
	}
	if checksum(payload) != h.extra {
		return metaSlot{err: corrupt(name, "its checksum is wrong")}
	}
	s := newState()
	s.SharingSince = 0 // older versions say nothing of it
	if err := json.Unmarshal(payload, s); err != nil {
		return metaSlot{err: corrupt(name, "%v", err)}
	}
	return metaSlot{gen: h.id, serial: h.serial, state: s}
}

// readMeta returns the newer of the valid slots, and why the other one, if it
// is there, cannot be used.
func readMeta(fsys FS) (best metaSlot, other error, err error) {
	a, b := readMetaSlot(fsys, 0), readMetaSlot(fsys, 1)
	if a.err != nil || b.err == nil && b.gen > a.gen {
		a, b = b, a
	}
	switch {
	case a.err == nil && b.err != nil && !errors.Is(b.err, fs.ErrNotExist):
		return a, b.err, nil
	case a.err == nil:
		return a, nil, nil
	case errors.Is(a.err, fs.ErrNotExist):
		return a, nil, b.err
	}
	return a, nil, a.err
}
