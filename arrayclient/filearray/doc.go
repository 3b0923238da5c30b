// Package filearray is the embedded array: volumes in sparse files, with
// FlashCopy relationships between them.
//
// # Copy on write
//
// A relationship has a bitmap with a bit per track of 64 KiB. A clear bit
// means that the target does not hold the track yet: a read of the target
// reads the source. Before a host may change such a track of the source, its
// content is saved to the target and the bit is set. The background copy does
// the same for all tracks in turn. A target's track that is written to is
// copied first, or, when all of it is written over, just marked.
//
// # What is durable when
//
// A point-in-time image must not change in a crash, so this order is kept:
//
//  1. the saved data is written to the target and synced,
//  2. the mark that it was saved is written to the journal and synced,
//  3. the bit is set in memory,
//  4. the host's write goes to the source.
//
// A mark without its data would make the image read garbage; a write to the
// source without the mark would put new data into the image. Steps 1 and 2
// are done by the committer for all writes that wait at the time, so that
// they share the cost of the two syncs.
//
// A host waits for none of this. A write that must be saved first is logged:
// appended to the volume's write log (package writelog), where reads find it, and
// destaged in the background, after steps 1 to 3 for all that is in the same area of
// the log. Until then the source's files, from which targets read, stay as they were.
// An image is taken while the logs of its volumes are closed, and so empty.
// Long writes and zeroing go the direct way, in pieces, each of which is
// saved first (save.go); so do all writes when the log's file cannot be made.
//
// The background copy lets targets share the source's blocks where the file
// system can do that. Package segments sees to it that a power cut shows no volume
// what was written to another one.
//
// Establish syncs the sources before it returns, and notes in the journal that
// it has. What hosts write is durable when a flush that came after it has
// returned; until then a crash of the machine, but not of the process, may lose
// it.
//
// What a killed process wrote, the next one finds, but need not find on the
// disk. So opening takes nothing for durable that it has only read: it syncs
// the meta file, the sources of images of which it is not noted that they were
// synced, and the doubtful pages of bitmaps before it writes over what they
// replace, and the first sync of a volume is never spared.
//
// # Locks
//
// They are taken in this order: who holds one may wait for those below it and for
// none above. None is held over work whose length a caller chooses. Builds with the
// tag lockorder check the order whenever a lock is taken (package lockorder).
//
//	lock                  guards                               held over
//	Array.acts            the configuration: one act at a      waiting for gates, logs
//	                      time changes it                      and the journal, new files
//	volume.gate           relationships and files of a volume  for reading: one piece of
//	                                                           an I/O (io.go); for writing:
//	                                                           the instant of an act, the
//	                                                           journal
//	volume.tracks         tracks being copied                  one piece
//	volume.files          its files, while no gate is held     for reading: syncs
//	Log.recycling         what is logged, against being        a read of what is logged
//	                      overwritten while it is read
//	Log.mu                the index of what is logged, how     a write of a record or
//	                      far areas are, what is wanted        header
//	committer             the journal and what it records      the journal
//	Array.mu              the maps of volumes and              nothing
//	                      relationships, who has one open
//	Store.stateMu         the state                            nothing
//
// A gate that somebody waits for to write lets no reader in; therefore the hold of
// a reader is short. Several gates are locked by acts alone, in the order of the
// volumes' ids. A reader takes no second gate. The relationships of a volume change
// while acts, mu and the gates of both its volumes are held, so who holds any of
// them may look at them. Listing, attaching and releasing a freeze take mu alone.
// Data is synced under files, which acts take for moments; under a gate only for a
// partner that shares blocks and has changed again since it was synced without one
// (package segments).
//
// # Files
//
// All numbers are little endian, all checksums CRC-32C; every file has a
// header with magic, version and checksum (disk/format.go).
//
//	meta.0, meta.1        volumes and relationships as of a checkpoint (disk/meta.go)
//	journal.0, journal.1  what happened since (disk/journal.go)
//	bitmaps/UID.copied    the bits of a relationship as of a checkpoint (bitmap/bitmap.go)
//	reserve               room for what must be written on a full disk (disk/reserve.go)
//	volumes/generation    tells volumes from those of a backup (disk/generation.go)
//	volumes/ID.UID.N      segment N of a volume's data (disk/volumefile.go)
//	stages/ID.UID         writes that are not in the volume's files yet (writelog)
//
// A checkpoint switches to the other journal, writes the changed pages of the
// bitmaps, then the other meta file (package records). Opening reads the newer
// meta file and replays the journals behind it (package recovery); there is nothing to
// repair.
// What a crash can leave half written is never needed. A file that was whole
// once and is not any more is refused with an error that names it.
//
// So are files of an older backup beside newer ones. Sessions tell the meta files, the
// journals and the folder of volumes (disk/generation.go), generations and counts the
// bitmaps, stamps each file of a volume (package segments), which then fails alone. A file of
// a volume on which no image and no logged write counts may be older: it is taken as
// it is.
package filearray
