package disk

import (
	"bytes"
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
	JournalSize      = 8 << 20 // by default
	RecordHeaderSize = 32
)

// JournalName returns the name of the file of generation gen.
func JournalName(gen uint64) string {
	return [...]string{"journal.0", "journal.1"}[gen%2]
}

// Journal is the two open files. The committer alone uses it.
type Journal struct {
	files   [2]File
	Begun   [2]uint64 // the session that each file's header has; see generation.go
	sizes   [2]int64
	Gen     uint64 // that is written
	Off     int64  // where the next record goes
	Durable int64  // everything before it is on the disk
	attempt uint32
	buf     []byte
}

// CreateJournal makes both files, of size bytes each.
func CreateJournal(fsys FS, serial string, size int64) error {
	for gen := range uint64(2) {
		f, err := fsys.Create(JournalName(gen))
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
	for off := int64(0); off < size; off += int64(len(Zeros)) {
		if _, err := f.WriteAt(Zeros, off); err != nil {
			return err
		}
	}
	h := Header{Magic: magicJournal, Serial: serial, Extra: uint32(size)}
	if _, err := f.WriteAt(h.Encode(), 0); err != nil {
		return err
	}
	return f.Sync()
}

// OpenJournal opens both files.
func OpenJournal(fsys FS, serial string) (*Journal, error) {
	j := &Journal{}
	for gen := range uint64(2) {
		name := JournalName(gen)
		f, err := fsys.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = Corrupt(name, "it is missing")
		}
		if err != nil {
			j.Close()
			return nil, err
		}
		j.files[gen] = f
		if j.Begun[gen], j.sizes[gen], err = checkJournalFile(f, name, serial); err != nil {
			j.Close()
			return nil, err
		}
	}
	return j, nil
}

// checkJournalFile returns the session that the file has begun, and its size.
func checkJournalFile(f File, name, serial string) (begun uint64, size int64, err error) {
	h, err := ReadHeader(f, name, 0, magicJournal, serial)
	if err != nil {
		return 0, 0, err
	}
	want := cmp.Or(int64(h.Extra), JournalSize) // older versions do not tell
	size, err = f.Size()
	if err == nil && size != want {
		err = Corrupt(name, "it has %d bytes, not %d", size, want)
	}
	return h.ID, size, err
}

// Close closes both files.
func (j *Journal) Close() error {
	var errs []error
	for _, f := range j.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Sync makes what was read durable.
func (j *Journal) Sync() error {
	return errors.Join(j.files[0].Sync(), j.files[1].Sync())
}

// SyncWritten makes what was noted in the file that is written durable.
func (j *Journal) SyncWritten() error { return j.files[j.Gen%2].Sync() }

// Start makes gen the generation that is written, from offset off of its file.
func (j *Journal) Start(gen uint64, off int64) {
	j.Gen, j.Off, j.Durable, j.attempt = gen, off, off, 0
}

// Size returns that of the file that is written.
func (j *Journal) Size() int64 { return j.sizes[j.Gen%2] }

// Room reports whether n bytes of payload in count records fit, with enough
// left for the record that ends a checkpoint.
func (j *Journal) Room(count, n int) bool {
	return j.Off+int64(n+(count+4)*(RecordHeaderSize+8)) <= j.Size()
}

// Commit writes records and makes them durable. After ErrNoRoom it is as if it had
// not been called; after any other error nothing is known.
func (j *Journal) Commit(records []Record) error {
	if err := j.write(records...); err != nil {
		return err
	}
	if err := j.files[j.Gen%2].Sync(); err != nil {
		return err
	}
	j.Off += int64(len(j.buf))
	j.Durable = j.Off
	if err := j.Note(Record{Kind: RecDurable}); !errors.Is(err, ErrNoRoom) {
		return err
	}
	return nil
}

// Note writes a record that nobody waits for. After an error the next record
// goes to the same place: a gap would end the journal.
func (j *Journal) Note(r Record) error {
	err := j.write(r)
	if err == nil {
		j.Off += int64(len(j.buf))
	}
	return err
}

// ErrNoRoom is in the chain of the error of a write for which the disk has no room,
// and which left nothing valid.
var ErrNoRoom = errors.New("there is no room for it")

// JournalBlock is what a file system writes whole or not at all.
const JournalBlock = 4096

// write writes records to where the next ones go.
func (j *Journal) write(records ...Record) error {
	j.buf = j.buf[:0]
	for _, r := range records {
		j.buf = appendAttempt(j.buf, j.Gen, j.Durable, j.attempt, r.Kind, r.Payload)
	}
	f := j.files[j.Gen%2]
	head := min(JournalBlock-j.Off%JournalBlock, int64(len(j.buf)))
	var n int
	var err error
	if tail := j.buf[head:]; len(tail) > 0 {
		_, err = f.WriteAt(tail, j.Off+head)
	}
	if err == nil {
		n, err = f.WriteAt(j.buf[:head], j.Off)
	}
	if err == nil {
		return nil
	}
	j.attempt++
	if n == 0 && IsFull(err) {
		return fmt.Errorf("%w: %w", ErrNoRoom, err)
	}
	return err
}

// AppendRecord appends a record of which durable bytes of its file are known to
// be synced. Its payload is given in parts.
func AppendRecord(
	buf []byte, gen uint64, durable int64, kind RecordType, payload ...[]byte,
) []byte {
	return appendAttempt(buf, gen, durable, 0, kind, payload...)
}

func appendAttempt(
	buf []byte, gen uint64, durable int64, attempt uint32, kind RecordType, payload ...[]byte,
) []byte {
	start := len(buf)
	buf = append(buf, Zeros[:RecordHeaderSize]...)
	for _, part := range payload {
		buf = append(buf, part...)
	}
	length := len(buf) - start - RecordHeaderSize
	buf = append(buf, Zeros[:-length&7]...)
	b := buf[start:]
	binary.LittleEndian.PutUint32(b[4:], uint32(length))
	binary.LittleEndian.PutUint64(b[8:], gen)
	binary.LittleEndian.PutUint64(b[16:], uint64(durable))
	binary.LittleEndian.PutUint32(b[24:], uint32(kind))
	binary.LittleEndian.PutUint32(b[28:], attempt)
	binary.LittleEndian.PutUint32(b, Checksum(b[4:]))
	return buf
}

// Read calls f for the records of generation gen and returns the offset
// behind the last.
func (j *Journal) Read(gen uint64, f func(Record) error) (end int64, err error) {
	name := JournalName(gen)
	b := make([]byte, j.sizes[gen%2])
	if _, err := j.files[gen%2].ReadAt(b, 0); err != nil {
		return 0, err
	}
	off, attempt := HeaderSize, uint32(0)
	for {
		r, n, _, ok := DecodeRecord(b[off:], gen)
		if !ok || binary.LittleEndian.Uint32(b[off+28:]) < attempt {
			break
		}
		attempt = binary.LittleEndian.Uint32(b[off+28:])
		if err := f(r); err != nil {
			return 0, fault.New(fault.KindOf(err), "%s at offset %d: %w", name, off, err)
		}
		off += n
	}
	if WasDurable(b, off, gen) {
		return 0, Corrupt(name, "the record at offset %d has a wrong checksum", off)
	}
	return int64(off), nil
}

// WasDurable reports whether a record behind off says that what is at off was
// durable. Records are apart by multiples of 8 bytes. Nearly always there is none, in
// megabytes of zeros, so the generation of a record is searched for first.
func WasDurable(b []byte, off int, gen uint64) bool {
	mark := binary.LittleEndian.AppendUint64(nil, gen)
	for at := off; at+RecordHeaderSize <= len(b); {
		i := bytes.Index(b[at+8:], mark)
		if i < 0 {
			return false
		}
		at += i
		if (at-off)%8 != 0 {
			at++
			continue
		}
		if _, _, durable, ok := DecodeRecord(b[at:], gen); ok && durable > int64(off) {
			return true
		}
		at += 8
	}
	return false
}

// DecodeRecord reads the record of generation gen that b begins with, of n bytes; ok
// is false where there is none.
func DecodeRecord(b []byte, gen uint64) (r Record, n int, durable int64, ok bool) {
	if len(b) < RecordHeaderSize || binary.LittleEndian.Uint64(b[8:]) != gen {
		return Record{}, 0, 0, false
	}
	length := int(binary.LittleEndian.Uint32(b[4:]))
	if length > len(b)-RecordHeaderSize {
		return Record{}, 0, 0, false
	}
	n = RecordHeaderSize + length + -length&7
	if n > len(b) || Checksum(b[4:n]) != binary.LittleEndian.Uint32(b) {
		return Record{}, 0, 0, false
	}
	r.Kind = RecordType(binary.LittleEndian.Uint32(b[24:]))
	r.Payload = b[RecordHeaderSize : RecordHeaderSize+length]
	return r, n, int64(binary.LittleEndian.Uint64(b[16:])), true
}

// WholeRecord appends to b, which was read without the hole behind it, the zeros
// that a record of generation gen (in a stage file: salt) at off has there. All is
// limit bytes long.
func WholeRecord(b []byte, off, limit int64, gen uint64) []byte {
	grow := func(end int64) {
		if n := min(end, limit) - int64(len(b)); n > 0 {
			b = append(b, make([]byte, n)...)
		}
	}
	grow(off + RecordHeaderSize)
	if int64(len(b)) < off+RecordHeaderSize || binary.LittleEndian.Uint64(b[off+8:]) != gen {
		return b
	}
	grow(off + RecordHeaderSize + int64(binary.LittleEndian.Uint32(b[off+4:])) + 7)
	return b
}

// BegunAfter returns the later of the generations that the files begin with,
// if it is later than gen, and gen otherwise.
func (j *Journal) BegunAfter(gen uint64) (uint64, error) {
	b := make([]byte, RecordHeaderSize)
	for _, f := range j.files {
		if _, err := f.ReadAt(b, HeaderSize); err != nil {
			return 0, err
		}
		gen = max(gen, binary.LittleEndian.Uint64(b[8:]))
	}
	return gen, nil
}

// BeginSession writes gen into the headers of the journals.
func (j *Journal) BeginSession(serial string, gen uint64) error {
	for i, f := range j.files {
		h := Header{Magic: magicJournal, ID: gen, Serial: serial, Extra: uint32(j.sizes[i])}
		if _, err := f.WriteAt(h.Encode(), 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("%s: %w", JournalName(uint64(i)), err)
		}
	}
	return nil
}
