package disk

import "copyservices/arrayclient/fault"

// Files that are restored from an older backup, some of them or most, would make a
// wrong image without a sign. So an opening leaves its generation where the files
// of volumes, the journals and the meta file each have it:
//
//   - in the headers of the journals and in GenerationName, which says of the
//     folder of volumes what a header says of a file, before the meta file of the
//     opening is written: "begun";
//   - in that meta file and all later ones, as the session;
//   - in GenerationName, once a meta file is durable: "durable".
//
// What has begun an earlier session than that of the meta file is older than it.
// What has begun a later one than an opening of this meta file would, or has seen
// a later meta file become durable, is newer.
const (
	GenerationDir  = VolumeDir + "/generation"
	GenerationName = GenerationDir + "/last"
)

// OpeningAfter returns the generation of an opening of meta file gen. It spares
// that file, and no record of that generation can be left in a journal.
func OpeningAfter(gen uint64) uint64 { return gen + 3 }

// MayFollow reports whether a checkpoint that was cut off may have left gen behind
// when metaGen is the last meta file: a checkpoint, or that of an opening.
func MayFollow(metaGen, gen uint64) bool {
	return gen <= metaGen+1 || gen == OpeningAfter(metaGen)
}

// NoteDurable notes that meta file gen of a session is durable. Nobody waits for that.
func NoteDurable(fsys FS, serial string, gen, session uint64) error {
	f, err := fsys.Open(GenerationName)
	if err != nil {
		return err
	}
	defer f.Close()
	h := Header{Magic: MagicGen, ID: gen, Length: session, Serial: serial}
	_, err = f.WriteAt(h.Encode(), 0)
	return err
}

// RestoredError is the error for a file that is older than another one, which it is
// no older than when only a crash came between.
func RestoredError(name, other string) error {
	return fault.New(fault.Failed, "%s is older than %s", name, other).
		WithHint("was it restored from a backup? restore the whole state folder from one backup")
}
