// Package segments keeps the bytes of volumes in files.
//
// A volume's bytes are raw in one or more segment files (disk/volumefile.go). Data is
// one volume over its segments: it reads, writes, zeros, clones and syncs ranges, and
// knows nothing of hosts, relationships or logs. Folder makes, opens, grows and
// removes the files of all volumes of an array. What the files of one volume cannot
// know by themselves, they know by two things that the folder keeps for all:
//
// # Shared blocks
//
// Where the file system can do that (XFS, btrfs), the background copy lets a target
// share the source's blocks instead of copying them. A later write to the source then
// takes new space, as its target would have before. Volumes may share blocks long
// after their relationship has ended. Readers do not see that, but a power cut can
// show it: it brings a volume back to a block that it had left, if that was not
// synced, and a partner may have been written there. So of volumes that may share
// blocks only one at a time has changes to a track that are not synced; the others
// are synced first (sharing.go).
//
// # Older files
//
// A file that somebody puts back from a backup is whole, and yet not the file that an
// image, or a logged write, counts on. So each file has a stamp, a number that only
// grows, and the journal takes down which stamps the files have on the disk. A file
// with an older one is refused, and its volume fails alone (stamps.go).
//
// A sync that failed is never tried again: nothing is known any more about what is on
// the disk. It fails the volume for good, and for all who waited for it (file.go).
package segments
