package disk

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
)

// MetaName returns the name of the meta file of generation gen.
//
// The state of the array as of the last checkpoint is in meta.0 or meta.1:
// a header and JSON. The checkpoint of generation g writes meta.(g%2), after
// the bitmaps and while journal g already takes the records that follow it,
// so whichever of the two is valid, journals with all that came after it are
// there.
func MetaName(gen uint64) string { return [...]string{"meta.0", "meta.1"}[gen%2] }

// maxMeta bounds what is read; 4,096 volumes need less than 2 MiB.
const maxMeta = 64 << 20

// WriteMeta writes the state as of checkpoint gen, durably.
func WriteMeta(fsys FS, serial string, gen uint64, s *State) error {
	payload, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := createOrOpen(fsys, MetaName(gen))
	if err != nil {
		return err
	}
	h := Header{
		Magic: magicMeta, ID: gen, Serial: serial,
		Length: uint64(len(payload)), Extra: Checksum(payload),
	}
	_, err = f.WriteAt(append(h.Encode(), payload...), 0)
	if err == nil {
		err = f.Truncate(HeaderSize + int64(len(payload)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// SyncMeta makes the meta file of generation gen durable, and that it is there.
func SyncMeta(fsys FS, gen uint64) error {
	f, err := fsys.Open(MetaName(gen))
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return fsys.SyncDir(".")
}

// MetaSlot is one of the two files: what is in it, or, in Err, why it cannot be
// used.
type MetaSlot struct {
	Gen    uint64
	Serial string
	State  *State
	Err    error
}

// ReadMetaSlot reads the meta file of even (0) or odd (1) generations.
func ReadMetaSlot(fsys FS, slot uint64) MetaSlot {
	name := MetaName(slot)
	f, err := fsys.Open(name)
	if err != nil {
		return MetaSlot{Err: err}
	}
	defer f.Close()
	h, err := ReadHeader(f, name, 0, magicMeta, "")
	if err != nil {
		return MetaSlot{Err: err}
	}
	if h.Length > maxMeta || h.ID%2 != slot {
		return MetaSlot{Err: Corrupt(name, "its header makes no sense")}
	}
	payload := make([]byte, h.Length)
	if _, err := f.ReadAt(payload, HeaderSize); err != nil && !errors.Is(err, io.EOF) {
		return MetaSlot{Err: err}
	}
	if Checksum(payload) != h.Extra {
		return MetaSlot{Err: Corrupt(name, "its checksum is wrong")}
	}
	s := NewState()
	s.SharingSince = 0 // older versions say nothing of it
	if err := json.Unmarshal(payload, s); err != nil {
		return MetaSlot{Err: Corrupt(name, "%v", err)}
	}
	return MetaSlot{Gen: h.ID, Serial: h.Serial, State: s}
}

// ReadMeta returns the newer of the valid slots, and why the other one, if it
// is there, cannot be used.
func ReadMeta(fsys FS) (best MetaSlot, other error, err error) {
	a, b := ReadMetaSlot(fsys, 0), ReadMetaSlot(fsys, 1)
	if a.Err != nil || b.Err == nil && b.Gen > a.Gen {
		a, b = b, a
	}
	switch {
	case a.Err == nil && b.Err != nil && !errors.Is(b.Err, fs.ErrNotExist):
		return a, b.Err, nil
	case a.Err == nil:
		return a, nil, nil
	case errors.Is(a.Err, fs.ErrNotExist):
		return a, nil, b.Err
	}
	return a, nil, a.Err
}
