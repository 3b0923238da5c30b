package filearray

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"copyservices/arrayclient/fault"
)

// The journal holds what happened since the last checkpoint. There are two
// files of fixed size, written in turn: generation g goes to file g%2. They
// are filled with zeros when they are made, so that a commit needs neither
// space nor a change of the file's size. After the header come records:
//
//	0   4  CRC-32C of the rest of the record, padding included
//	4   4  length of the payload
//	8   8  generation
//	16  8  durable: all before this offset was on the disk when it was written
//	24  4  type
//	28  4  attempt: how many commits of the generation found no room before
//	32     payload, zeros to a multiple of 8
//
// The first record that is not valid ends the journal. It is the torn end of
// an unfinished commit, unless a later record says that it was durable: then
// the file is damaged, and refused.
//
// On file systems that write nothing in place the zeros promise no room, and a
// commit may find the disk full. It leaves nothing valid then: what holds the
// header of its first record is written last, in one block. Behind the commit that
// takes its place there may be whole records of it; they are known by their lower
// attempt and end the journal, too.
const (
	journalSize  = 8 << 20
	recordHeader = 32
)

func journalName(gen uint64) string {
	return [...]string{"journal.0", "journal.1"}[gen%2]
}

type journal struct {
	files   [2]File
	begun   [2]uint64 // the session that each file's header has; see generation.go
	sizes   [2]int64
	gen     uint64
	off     int64 // where the next record goes
	durable int64
	attempt uint32
	buf     []byte
}

// createJournal makes both files, of size bytes each.
func createJournal(fsys FS, serial string, size int64) error {
	for gen := range uint64(2) {
		f, err := fsys.Create(journalName(gen))
		if err != nil {
			return err
		}
		err = writeJournalFile(f, serial, size)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func writeJournalFile(f File, serial string, size int64) error {
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros, off); err != nil {
			return err
		}
	}
	h := header{magic: magicJournal, serial: serial, extra: uint32(size)}
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	return f.Sync()
}

func openJournal(fsys FS, serial string) (*journal, error) {
	j := &journal{}
	for gen := range uint64(2) {
		name := journalName(gen)
		f, err := fsys.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = corrupt(name, "it is missing")
		}
		if err != nil {
			j.close()
			return nil, err
		}
		j.files[gen] = f
		if j.begun[gen], j.sizes[gen], err = checkJournalFile(f, name, serial); err != nil {
			j.close()
			return nil, err
		}
	}
	return j, nil
}

// checkJournalFile returns the session that the file has begun, and its size.
func checkJournalFile(f File, name, serial string) (begun uint64, size int64, err error) {
	h, err := readHeader(f, name, 0, magicJournal, serial)
	if err != nil {
		return 0, 0, err
	}
	want := cmp.Or(int64(h.extra), journalSize) // older versions do not tell
	size, err = f.Size()
	if err == nil && size != want {
		err = corrupt(name, "it has %d bytes, not %d", size, want)
	}
	return h.id, size, err
}

func (j *journal) close() error {
	var errs []error
	for _, f := range j.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// sync makes what was read durable.
func (j *journal) sync() error {
	return errors.Join(j.files[0].Sync(), j.files[1].Sync())
}

// start makes gen the generation that is written, from offset off of its file.
func (j *journal) start(gen uint64, off int64) {
	j.gen, j.off, j.durable, j.attempt = gen, off, off, 0
}

// size returns that of the file that is written.
func (j *journal) size() int64 { return j.sizes[j.gen%2] }

// room reports whether n bytes of payload in count records fit, with enough
// left for the record that ends a checkpoint.
func (j *journal) room(count, n int) bool {
	return j.off+int64(n+(count+4)*(recordHeader+8)) <= j.size()
}

// commit writes records and makes them durable. After errNoRoom it is as if it had
// not been called; after any other error nothing is known.
func (j *journal) commit(records []record) error {
	if err := j.write(records...); err != nil {
		return err
	}
	if err := j.files[j.gen%2].Sync(); err != nil {
		return err
	}
	j.off += int64(len(j.buf))
	j.durable = j.off
	if err := j.note(record{kind: recDurable}); !errors.Is(err, errNoRoom) {
		return err
	}
	return nil
}

// note writes a record that nobody waits for. After an error the next record
// goes to the same place: a gap would end the journal.
func (j *journal) note(r record) error {
	err := j.write(r)
	if err == nil {
		j.off += int64(len(j.buf))
	}
	return err
}

// errNoRoom is in the chain of the error of a write for which the disk has no room,
// and which left nothing valid.
var errNoRoom = errors.New("there is no room for it")

// journalBlock is what a file system writes whole or not at all.
const journalBlock = 4096

// write writes records to where the next ones go.
func (j *journal) write(records ...record) error {
	j.buf = j.buf[:0]
	for _, r := range records {
		j.buf = appendAttempt(j.buf, j.gen, j.durable, j.attempt, r.kind, r.payload)
	}
	f := j.files[j.gen%2]
	head := min(journalBlock-j.off%journalBlock, int64(len(j.buf)))
	var n int
	var err error
	if tail := j.buf[head:]; len(tail) > 0 {
		_, err = f.WriteAt(tail, j.off+head)
	}
	if err == nil {
		n, err = f.WriteAt(j.buf[:head], j.off)
	}
	if err == nil {
		return nil
	}
	j.attempt++
	if n == 0 && isFull(err) {
		return fmt.Errorf("%w: %w", errNoRoom, err)
	}
	return err
}

// appendRecord appends a record of which durable bytes of its file are known to
// be synced. Its payload is given in parts.
func appendRecord(
	buf []byte, gen uint64, durable int64, kind recordType, payload ...[]byte,
) []byte {
	return appendAttempt(buf, gen, durable, 0, kind, payload...)
}

func appendAttempt(
	buf []byte, gen uint64, durable int64, attempt uint32, kind recordType, payload ...[]byte,
) []byte {
	start := len(buf)
	buf = append(buf, zeros[:recordHeader]...)
	for _, part := range payload {
		buf = append(buf, part...)
	}
	length := len(buf) - start - recordHeader
	buf = append(buf, zeros[:-length&7]...)
	b := buf[start:]
	binary.LittleEndian.PutUint32(b[4:], uint32(length))
	binary.LittleEndian.PutUint64(b[8:], gen)
	binary.LittleEndian.PutUint64(b[16:], uint64(durable))
	binary.LittleEndian.PutUint32(b[24:], uint32(kind))
	binary.LittleEndian.PutUint32(b[28:], attempt)
	binary.LittleEndian.PutUint32(b, checksum(b[4:]))
	return buf
}

// read calls f for the records of generation gen and returns the offset
// behind the last.
func (j *journal) read(gen uint64, f func(record) error) (end int64, err error) {
	name := journalName(gen)
	b := make([]byte, j.sizes[gen%2])
	if _, err := j.files[gen%2].ReadAt(b, 0); err != nil {
		return 0, err
	}
	off, attempt := headerSize, uint32(0)
	for {
		r, n, _, ok := decodeRecord(b[off:], gen)
		if !ok || binary.LittleEndian.Uint32(b[off+28:]) < attempt {
			break
		}
		attempt = binary.LittleEndian.Uint32(b[off+28:])
		if err := f(r); err != nil {
			return 0, fault.New(fault.KindOf(err), "%s at offset %d: %w", name, off, err)
		}
		off += n
	}
	if wasDurable(b, off, gen) {
		return 0, corrupt(name, "the record at offset %d has a wrong checksum", off)
	}
	return int64(off), nil
}

// wasDurable reports whether a record behind off says that what is at off was
// durable.
func wasDurable(b []byte, off int, gen uint64) bool {
	for at := off; at+recordHeader <= len(b); at += 8 {
		if binary.LittleEndian.Uint64(b[at+8:]) != gen {
			continue
		}
		if _, _, durable, ok := decodeRecord(b[at:], gen); ok && durable > int64(off) {
			return true
		}
	}
	return false
}

func decodeRecord(b []byte, gen uint64) (r record, n int, durable int64, ok bool) {
	if len(b) < recordHeader || binary.LittleEndian.Uint64(b[8:]) != gen {
		return record{}, 0, 0, false
	}
	length := int(binary.LittleEndian.Uint32(b[4:]))
	if length > len(b)-recordHeader {
		return record{}, 0, 0, false
	}
	n = recordHeader + length + -length&7
	if n > len(b) || checksum(b[4:n]) != binary.LittleEndian.Uint32(b) {
		return record{}, 0, 0, false
	}
	r.kind = recordType(binary.LittleEndian.Uint32(b[24:]))
	r.payload = b[recordHeader : recordHeader+length]
	return r, n, int64(binary.LittleEndian.Uint64(b[16:])), true
}

// wholeRecord appends to b, which was read without the hole behind it, the zeros
// that a record of generation gen (in a stage file: salt) at off has there. All is
// limit bytes long.
func wholeRecord(b []byte, off, limit int64, gen uint64) []byte {
	grow := func(end int64) {
		if n := min(end, limit) - int64(len(b)); n > 0 {
			b = append(b, make([]byte, n)...)
		}
	}
	grow(off + recordHeader)
	if int64(len(b)) < off+recordHeader || binary.LittleEndian.Uint64(b[off+8:]) != gen {
		return b
	}
	grow(off + recordHeader + int64(binary.LittleEndian.Uint32(b[off+4:])) + 7)
	return b
}

// begunAfter returns the later of the generations that the files begin with,
// if it is later than gen, and gen otherwise.
func (j *journal) begunAfter(gen uint64) (uint64, error) {
	b := make([]byte, recordHeader)
	for _, f := range j.files {
		if _, err := f.ReadAt(b, headerSize); err != nil {
			return 0, err
		}
		gen = max(gen, binary.LittleEndian.Uint64(b[8:]))
	}
	return gen, nil
}

// beginSession writes gen into the headers of the journals.
func (j *journal) beginSession(serial string, gen uint64) error {
	for i, f := range j.files {
		h := header{magic: magicJournal, id: gen, serial: serial, extra: uint32(j.sizes[i])}
		if _, err := f.WriteAt(h.encode(), 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("%s: %w", journalName(uint64(i)), err)
		}
	}
	return nil
}
